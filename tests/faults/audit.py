"""`python -m tests.faults.audit ORGANIZATION`: what the database holds, as JSON, for a test to judge."""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from django.db.models import Max, Min, Sum  # noqa: E402

from alerts.models import Alert  # noqa: E402
from budgets.models import LedgerEntry  # noqa: E402
from budgets.verify import differences as ledger_differences  # noqa: E402
from ingest.models import Claim, InboxBatch  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from usage.models import UsageEvent  # noqa: E402
from usage.verify import differences  # noqa: E402


def main() -> None:
    organization_id = int(sys.argv[1])
    with organization_scope(organization_id):
        events = list(UsageEvent.objects.order_by("event_id").values_list("event_id", "cost"))
        received = UsageEvent.objects.aggregate(first=Min("received_at"), last=Max("received_at"))
        ledger = LedgerEntry.objects.values("budget__scope_type").annotate(spent=Sum("spent"))
        report = {
            "waiting": InboxBatch.objects.count(),
            "claims": Claim.objects.count(),
            "received_within_s": (received["last"] - received["first"]).total_seconds() if events else 0,
            "events": [event_id for event_id, _ in events],
            "cost": sum(cost or 0 for _, cost in events),
            "ledger": {row["budget__scope_type"]: int(row["spent"]) for row in ledger},
            "alerts": list(Alert.objects.values_list("dedup_key", flat=True)),
            "differences": [*differences(organization_id), *map(str, ledger_differences(organization_id))],
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
