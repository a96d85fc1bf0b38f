"""A batch is due as soon as it is in, whatever clocks say; only one that was set aside waits for its time."""

from django.db import migrations

from ingest import tables


class Migration(migrations.Migration):
    dependencies = [("ingest", "0005_intake")]

    operations = [migrations.RunSQL(tables.CREATE_ACCEPT, migrations.RunSQL.noop)]
