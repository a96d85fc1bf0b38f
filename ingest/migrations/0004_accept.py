"""Accepting a batch in one round trip."""

from django.db import migrations

from common.tenant_tables import APPLICATION_ROLE
from ingest import tables

_SIGNATURE = "ingest_accept(bigint, bigint, bigint, text, timestamptz, text, bytea, bytea)"


class Migration(migrations.Migration):
    dependencies = [("ingest", "0003_source")]

    operations = [
        migrations.RunSQL(
            [
                tables.CREATE_ACCEPT,
                f"REVOKE ALL ON FUNCTION {_SIGNATURE} FROM PUBLIC",
                f"GRANT EXECUTE ON FUNCTION {_SIGNATURE} TO {APPLICATION_ROLE}",
            ],
            f"DROP FUNCTION {_SIGNATURE}",
        ),
    ]
