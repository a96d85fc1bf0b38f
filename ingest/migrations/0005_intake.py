"""What came in and what was turned away, by hour; the rate of settling; the backlog by organization."""

from django.db import migrations

from common.tenant_tables import door, row_security
from ingest import tables


class Migration(migrations.Migration):
    dependencies = [("ingest", "0004_accept")]

    operations = [
        migrations.RunSQL(
            [
                tables.CREATE_INTAKE,
                *row_security("ingest_intake"),
                tables.CREATE_TURNED_AWAY,
                *row_security("ingest_turned_away"),
                tables.ADD_MINUTES,
            ],
            "ALTER TABLE ingest_progress DROP COLUMN minute, DROP COLUMN minute_events, DROP COLUMN minute_before;"
            " DROP TABLE ingest_turned_away, ingest_intake",
        ),
        door(
            "ingest_backlog_by_organization()",
            returns="TABLE (organization_id bigint, batches bigint, events bigint, failing bigint,"
            " oldest timestamptz, oldest_due timestamptz)",
            body="SELECT organization_id, count(*), sum(events)::bigint, count(*) FILTER (WHERE attempts > 0),"
            " min(received_at), min(received_at) FILTER (WHERE attempts = 0)"
            " FROM public.ingest_inbox GROUP BY organization_id",
            reads=["ingest_inbox"],
        ),
        door(
            "ingest_settling(at timestamptz)",
            returns="TABLE (events numeric, last_minute numeric)",
            body=f"SELECT coalesce(sum(settled_events), 0), coalesce(sum({tables.LAST_MINUTE_OF_DOOR}), 0)"
            " FROM public.ingest_progress",
            reads=["ingest_progress"],
        ),
        door(
            "ingest_turned_away_totals()",
            returns="TABLE (source text, reason text, requests numeric, events numeric)",
            body="SELECT source, reason, sum(requests), sum(events) FROM public.ingest_turned_away GROUP BY 1, 2",
            reads=["ingest_turned_away"],
        ),
    ]
