"""Keys by organization, row-level security, and the doors through which a credential finds its organization."""

from django.db import migrations

from common.tenant_tables import door, row_security, tenant_table

OWN_OR_MINE = "organization_id = costhub_organization() OR user_id = costhub_user()"


def _membership_security() -> migrations.RunSQL:
    """A member sees the organization's memberships, and a user its own in every organization; writes need the scope."""
    return migrations.RunSQL(
        [
            "DROP POLICY tenants_membership_own_organization ON tenants_membership",
            "CREATE POLICY tenants_membership_own_organization ON tenants_membership TO costhub_app"
            f" USING ({OWN_OR_MINE}) WITH CHECK (organization_id = costhub_organization())",
        ],
        migrations.RunSQL.noop,
    )


def _organization_security() -> migrations.RunSQL:
    visible = (
        "id = costhub_organization() OR EXISTS (SELECT FROM tenants_membership m"
        " WHERE m.organization_id = tenants_organization.id AND m.user_id = costhub_user())"
    )
    return migrations.RunSQL(
        [
            *row_security("tenants_organization", visible)[:2],
            "CREATE POLICY tenants_organization_visible ON tenants_organization TO costhub_app"
            f" USING ({visible}) WITH CHECK (id = costhub_organization())",
        ],
        migrations.RunSQL.noop,
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [
        tenant_table("tenants_team", references=[("parent_id", "tenants_team")]),
        tenant_table("tenants_membership"),
        _membership_security(),
        _organization_security(),
        tenant_table("tenants_invitation"),
        tenant_table("tenants_virtualkey", references=[("team_id", "tenants_team")]),
        tenant_table("tenants_accesstoken"),
        tenant_table("tenants_auditentry", immutable=True),
        door(
            "tenants_virtual_key(wanted text)",
            returns="TABLE (organization_id bigint, id bigint, digest bytea, ended_at timestamptz,"
            " team_id bigint, scopes text[])",
            body="SELECT organization_id, id, digest, least(revoked_at, expires_at), team_id, NULL::text[]"
            " FROM public.tenants_virtualkey WHERE public_id = wanted",
            reads=["tenants_virtualkey"],
        ),
        door(
            "tenants_access_token(wanted text)",
            returns="TABLE (organization_id bigint, id bigint, digest bytea, ended_at timestamptz,"
            " team_id bigint, scopes text[])",
            body="SELECT organization_id, id, digest, least(revoked_at, expires_at), NULL::bigint, scopes::text[]"
            " FROM public.tenants_accesstoken WHERE public_id = wanted",
            reads=["tenants_accesstoken"],
        ),
        door(
            "tenants_open_invitation(wanted text)",
            returns="TABLE (organization_id bigint, id bigint, digest bytea)",
            body="SELECT organization_id, id, digest FROM public.tenants_invitation WHERE public_id = wanted",
            reads=["tenants_invitation"],
        ),
        door(
            "tenants_organization_id(wanted text)",
            returns="bigint",
            body="SELECT id FROM public.tenants_organization WHERE slug = wanted",
            reads=["tenants_organization"],
        ),
        door(
            "tenants_organization_ids()",
            returns="SETOF bigint",
            body="SELECT id FROM public.tenants_organization ORDER BY id",
            reads=["tenants_organization"],
        ),
    ]
