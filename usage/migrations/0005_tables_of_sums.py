"""Adjustments, sums by the local day and by every dimension, traces, and closed months.

The rollups that exist keep their sums of the first dimensions; `verify_rollups --repair` makes the new ones from the
events.
"""

from django.db import migrations

from common.tenant_tables import APPLICATION_ROLE, row_security, tenant_table
from usage import tables
from usage.tables import make_partition_function


class Migration(migrations.Migration):
    dependencies = [("usage", "0004_models_of_sums"), ("tenants", "0005_optional_fields")]

    operations = [
        migrations.RunSQL(
            [
                tables.CREATE_INCOMING,
                tables.INDEX_EVENT_TRACE,
                tables.INDEX_EVENT_SESSION,
                tables.CREATE_ADJUSTMENT,
                tables.INDEX_ADJUSTMENT_EVENT,
                tables.INDEX_ADJUSTMENT_RUN,
                *row_security("usage_adjustment"),
                f"REVOKE UPDATE, DELETE ON usage_adjustment FROM {APPLICATION_ROLE}",
                tables.CREATE_POSTING,
                tables.CREATE_VALUE,
                *row_security("usage_value"),
                f"REVOKE UPDATE, DELETE ON usage_value FROM {APPLICATION_ROLE}",
                tables.CREATE_ROLLUP_DAY,
                *row_security("usage_rollup_day"),
                tables.CREATE_CUBE_DAY,
                *row_security("usage_cube_day"),
                tables.CREATE_DETAIL,
                *row_security("usage_detail"),
                tables.CREATE_TRACE,
                tables.INDEX_TRACE,
                *row_security("usage_trace"),
                make_partition_function("usage_event", "usage_adjustment"),
            ],
            [
                make_partition_function("usage_event"),
                "DROP TABLE usage_trace, usage_detail, usage_cube_day, usage_rollup_day, usage_value",
                "DROP VIEW usage_posting",
                "DROP TABLE usage_adjustment",
                "DROP INDEX usage_event_trace, usage_event_session",
                "DROP TYPE usage_incoming",
            ],
        ),
        tenant_table("usage_closedmonth"),
    ]
