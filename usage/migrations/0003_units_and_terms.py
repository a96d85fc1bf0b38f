"""Tool calls, the rule of the price book, where an event came from, and whether its month was closed already."""

from django.db import migrations

from usage import tables


class Migration(migrations.Migration):
    dependencies = [("usage", "0002_tables")]

    operations = [
        migrations.RunSQL(
            tables.ADD_EVENT_COLUMNS,
            "ALTER TABLE usage_event DROP COLUMN tool_calls, DROP COLUMN rule_id, DROP COLUMN source, DROP COLUMN late",
        ),
    ]
