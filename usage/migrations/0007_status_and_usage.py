"""Adjustments that change an event's status or its counts."""

from django.db import migrations

from usage import tables


class Migration(migrations.Migration):
    dependencies = [("usage", "0006_retention")]

    # Going back keeps the wider constraint: rows of the new kinds may be there, and adjustments are never deleted.
    operations = [migrations.RunSQL(tables.RENEW_KIND_KNOWN, migrations.RunSQL.noop)]
