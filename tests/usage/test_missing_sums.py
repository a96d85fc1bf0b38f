"""Usage of a version that kept fewer sums: the new ones are made when the product is brought up to date."""

from datetime import datetime

from tenants.access import organization_scope
from tests.budgets.support import use
from tests.factories import Tenant
from tests.ingest.payloads import event
from usage.models import Detail, RollupDay, Trace
from usage.verify import differences, make_missing_sums


def test_sums_that_were_not_kept_are_made_of_the_events(tenant: Tenant, prices: None, now: datetime) -> None:
    use(tenant, event(trace_id="t1"), now=now)
    assert make_missing_sums() == 0
    with organization_scope(tenant.id):
        for model in (RollupDay, Detail, Trace):
            model.objects.all().delete()
    assert make_missing_sums() == 1
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []
        assert Trace.objects.get().events == 1
    assert make_missing_sums() == 0
