"""Where a batch came from: the format or tool, for health per source."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ingest", "0002_tables")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE ingest_inbox ADD COLUMN source text NOT NULL DEFAULT 'native'",
            "ALTER TABLE ingest_inbox DROP COLUMN source",
        ),
    ]
