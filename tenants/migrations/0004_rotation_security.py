"""Retired secrets behind row-level security, and the door for virtual keys that opens to them as well."""

from django.db import migrations

from common.tenant_tables import door, tenant_table


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_rotation")]

    operations = [
        tenant_table("tenants_retiredsecret", references=[("virtual_key_id", "tenants_virtualkey")]),
        migrations.RunSQL("DROP FUNCTION tenants_virtual_key(text)", migrations.RunSQL.noop),
        door(
            "tenants_virtual_key(wanted text)",
            returns="TABLE (organization_id bigint, id bigint, digest bytea, ended_at timestamptz,"
            " team_id bigint, scopes text[])",
            body="SELECT organization_id, id, digest, least(revoked_at, expires_at), team_id, NULL::text[]"
            " FROM public.tenants_virtualkey WHERE public_id = wanted"
            " UNION ALL SELECT k.organization_id, k.id, r.digest, least(k.revoked_at, k.expires_at, r.ends_at),"
            " k.team_id, NULL::text[]"
            " FROM public.tenants_retiredsecret r JOIN public.tenants_virtualkey k"
            " ON k.organization_id = r.organization_id AND k.id = r.virtual_key_id WHERE r.public_id = wanted",
            reads=["tenants_virtualkey", "tenants_retiredsecret"],
        ),
    ]
