"""Keys by organization, row-level security, and the door through which workers find what is due."""

from django.db import migrations

from common.tenant_tables import door, tenant_table


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial"), ("tenants", "0002_row_security"), ("common", "0001_roles")]

    operations = [
        tenant_table("alerts_channel"),
        tenant_table("alerts_alert"),
        tenant_table("alerts_delivery", references=[("alert_id", "alerts_alert"), ("channel_id", "alerts_channel")]),
        tenant_table("alerts_attempt", references=[("delivery_id", "alerts_delivery")], immutable=True),
        door(
            "alerts_organizations_with_due_deliveries(moment timestamptz, most integer)",
            returns="SETOF bigint",
            body="SELECT organization_id FROM public.alerts_delivery"
            " WHERE status IN ('pending', 'sending') AND next_attempt_at <= moment"
            " AND (claimed_until IS NULL OR claimed_until <= moment)"
            " GROUP BY organization_id ORDER BY min(next_attempt_at) LIMIT most",
            reads=["alerts_delivery"],
        ),
    ]
