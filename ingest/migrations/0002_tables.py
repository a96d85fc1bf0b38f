"""The inbox, the claims, and the door that tells workers which organizations have something to settle."""

from django.db import migrations

from common.tenant_tables import door, row_security
from ingest import tables


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_initial"), ("tenants", "0002_row_security")]

    operations = [
        migrations.RunSQL(
            [
                tables.CREATE_CLAIM,
                tables.INDEX_CLAIM,
                *row_security("ingest_claim"),
                tables.CREATE_INBOX,
                *row_security("ingest_inbox"),
                tables.CREATE_PROGRESS,
                *row_security("ingest_progress"),
            ],
            "DROP TABLE ingest_progress, ingest_inbox, ingest_claim",
        ),
        door(
            "ingest_waiting_organizations(at timestamptz)",
            returns="SETOF bigint",
            body="SELECT organization_id FROM public.ingest_inbox WHERE not_before <= at"
            " GROUP BY organization_id ORDER BY min(received_at)",
            reads=["ingest_inbox"],
        ),
        door(
            "ingest_backlog()",
            returns="TABLE (batches bigint, events bigint, oldest timestamptz)",
            body="SELECT count(*), coalesce(sum(events), 0)::bigint, min(received_at) FROM public.ingest_inbox",
            reads=["ingest_inbox"],
        ),
    ]
