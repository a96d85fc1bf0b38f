"""What is remembered of traces between requests."""

from django.db import migrations

from common.tenant_tables import row_security
from ingest import tables


class Migration(migrations.Migration):
    dependencies = [("ingest", "0006_due_at_once")]

    operations = [
        migrations.RunSQL(
            [tables.CREATE_COVERED_SPAN, *row_security("ingest_covered_span")],
            "DROP TABLE ingest_covered_span",
        ),
    ]
