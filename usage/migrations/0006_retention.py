"""Dropping whole months of events, the record of it, and the sum of what has no price."""

from django.db import migrations

from common.tenant_tables import APPLICATION_ROLE, door
from usage import tables


class Migration(migrations.Migration):
    dependencies = [("usage", "0005_tables_of_sums")]

    operations = [
        migrations.RunSQL(
            [
                tables.CREATE_DROPPED_MONTH,
                f"REVOKE INSERT, UPDATE, DELETE ON usage_dropped_month FROM {APPLICATION_ROLE}",
                f"GRANT SELECT ON usage_dropped_month TO {APPLICATION_ROLE}",
                tables.DROP_MONTH,
                "REVOKE ALL ON FUNCTION usage_drop_month(date, integer) FROM PUBLIC",
                f"GRANT EXECUTE ON FUNCTION usage_drop_month(date, integer) TO {APPLICATION_ROLE}",
            ],
            "DROP FUNCTION usage_drop_month(date, integer); DROP TABLE usage_dropped_month",
        ),
        door(
            "usage_unpriced_requests()",
            returns="numeric",
            body="SELECT coalesce(sum(unpriced_requests), 0) FROM public.usage_rollup_day WHERE dimension = 'total'",
            reads=["usage_rollup_day"],
        ),
    ]
