"""Roles and rights, before any table: what the owner makes from here on, the application may use but not own."""

from django.db import migrations

from common.tenant_tables import APPLICATION_ROLE, DOOR_ROLE


def _role(name: str, options: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')"
        f" THEN CREATE ROLE {name} {options}; END IF; END $$"
    )


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    run_before = [
        ("contenttypes", "0001_initial"),
        ("sessions", "0001_initial"),
        ("django_celery_beat", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(
            [
                _role(APPLICATION_ROLE, "NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"),
                _role(DOOR_ROLE, "NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"),
                # A member may hand functions to the role; the application's login must be able to take its own role.
                f"DO $$ BEGIN EXECUTE format('GRANT {DOOR_ROLE} TO %I', current_user);"
                f" IF current_user <> '{APPLICATION_ROLE}'"
                f" AND NOT pg_has_role(current_user, '{APPLICATION_ROLE}', 'SET')"
                f" THEN EXECUTE format('GRANT {APPLICATION_ROLE} TO %I', current_user); END IF; END $$",
                f"GRANT USAGE ON SCHEMA public TO {APPLICATION_ROLE}",
                # Made before this migration; commands look into it to warn of migrations that were not applied.
                f"GRANT SELECT ON django_migrations TO {APPLICATION_ROLE}",
                f"GRANT USAGE, CREATE ON SCHEMA public TO {DOOR_ROLE}",
                "ALTER DEFAULT PRIVILEGES IN SCHEMA public"
                f" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APPLICATION_ROLE}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APPLICATION_ROLE}",
                # '' is what a setting reads as after a transaction that had set it; both mean: no organization.
                "CREATE FUNCTION costhub_organization() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE"
                " RETURN nullif(current_setting('costhub.organization', true), '')::bigint",
                "CREATE FUNCTION costhub_user() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE"
                " RETURN nullif(current_setting('costhub.user', true), '')::bigint",
            ],
            migrations.RunSQL.noop,
        ),
    ]
