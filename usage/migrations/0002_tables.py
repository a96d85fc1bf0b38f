"""Events by month, rollups, and the function that makes a month's partition."""

from django.db import migrations

from common.tenant_tables import APPLICATION_ROLE, row_security
from usage import tables


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_initial"), ("common", "0001_roles")]

    operations = [
        migrations.RunSQL(
            [
                tables.CREATE_EVENT,
                tables.INDEX_UNPRICED,
                *row_security("usage_event"),
                f"REVOKE UPDATE, DELETE ON usage_event FROM {APPLICATION_ROLE}",
                tables.CREATE_ROLLUP,
                *row_security("usage_rollup"),
                tables.CREATE_CUBE,
                *row_security("usage_cube"),
                tables.make_partition_function("usage_event"),
                "REVOKE ALL ON FUNCTION usage_make_partition(date) FROM PUBLIC",
                f"GRANT EXECUTE ON FUNCTION usage_make_partition(date) TO {APPLICATION_ROLE}",
            ],
            "DROP FUNCTION usage_make_partition(date); DROP TABLE usage_cube, usage_rollup, usage_event",
        ),
    ]
