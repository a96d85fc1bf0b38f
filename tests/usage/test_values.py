"""Values beyond the limit of a month are summed together; which ones those are never changes."""

import contextlib
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from time_machine import travel

from tenants.access import organization_scope
from tests.analytics.support import at, settle
from tests.budgets.support import use
from tests.factories import Tenant
from tests.ingest.payloads import event
from usage.dimensions import OVERFLOW, Value
from usage.models import Detail, RollupDay
from usage.values import admit
from usage.verify import differences, rebuild

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
NOVEMBER = NOON.date().replace(day=1)


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usage.dimensions.LIMIT", 3)
    monkeypatch.setattr("usage.dimensions.LIMITS", {"session": 2, "tag": 1})


def customers(*names: str) -> set[Value]:
    return {("customer", NOVEMBER, name) for name in names}


def requests(tenant: Tenant, dimension: str) -> dict[str, int]:
    with organization_scope(tenant.id):
        found = RollupDay.objects.filter(organization_id=tenant.id, dimension=dimension)
        return {row.value: row.requests for row in found}


def stored(tenant: Tenant) -> set[str]:
    with organization_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT value FROM usage_value WHERE organization_id = %s AND dimension = 'customer'", [tenant.id]
        )
        return {value for (value,) in cursor.fetchall()}


def test_the_first_values_are_kept_apart_and_the_rest_summed_together(tenant: Tenant, prices: None) -> None:
    settle(tenant, [at(NOON, customer=f"c{number}", session=f"s{number}") for number in range(5)])
    settle(tenant, [at(NOON, customer=name) for name in ("c1", "c4", "new", "")])
    assert requests(tenant, "customer") == {"c0": 1, "c1": 2, "c2": 1, OVERFLOW: 4, "": 1}
    assert requests(tenant, "session") == {"s0": 1, "s1": 1, OVERFLOW: 3, "": 4}
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []
        cells = Detail.objects.filter(organization_id=tenant.id, customer=OVERFLOW)
        assert sum(cell.requests for cell in cells) == 4


def test_a_rebuild_sums_the_same_values_together(tenant: Tenant, prices: None) -> None:
    # In another order than a rebuild would find them in.
    for name in ("z", "y", "x", "a", "b"):
        settle(tenant, [at(NOON, customer=name, tags={name: name})])
    before = requests(tenant, "customer"), requests(tenant, "tag.z"), requests(tenant, f"tag.{OVERFLOW}")
    assert before == ({"z": 1, "y": 1, "x": 1, OVERFLOW: 2}, {"z": 1}, {OVERFLOW: 4})
    with organization_scope(tenant.id):
        rebuild(tenant.id)
        assert differences(tenant.id) == []
    assert (requests(tenant, "customer"), requests(tenant, "tag.z"), requests(tenant, f"tag.{OVERFLOW}")) == before


def test_tags_beyond_the_limit_that_fall_together_count_once(tenant: Tenant, prices: None) -> None:
    settle(tenant, [at(NOON, tags={"first": "1"})])
    settle(tenant, [at(NOON, tags={"second": "1", "third": "2", "first": "1"})])
    assert requests(tenant, f"tag.{OVERFLOW}") == {OVERFLOW: 1}
    assert requests(tenant, "tag.first") == {"1": 2}
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []


def test_another_month_starts_anew(tenant: Tenant, prices: None) -> None:
    october = NOON.replace(month=10, day=20)
    settle(tenant, [at(october, customer=f"c{number}") for number in range(4)])
    settle(tenant, [at(NOON, customer=f"d{number}") for number in range(3)])
    assert requests(tenant, "customer") == {f"c{n}": 1 for n in range(3)} | {OVERFLOW: 1} | {
        f"d{n}": 1 for n in range(3)
    }


def test_the_values_of_a_stranger_take_no_room(tenant: Tenant, stranger: Tenant, prices: None) -> None:
    with travel(NOON, tick=False):
        use(stranger, *(event(customer=f"theirs{number}") for number in range(3)), now=NOON)
        use(tenant, event(customer="mine"), now=NOON)
    assert OVERFLOW not in requests(tenant, "customer")


def test_what_a_rolled_back_transaction_admitted_is_not_believed(committed_tenant: Tenant) -> None:
    """A settler that died after it had admitted values leaves none of them behind, in the table or in memory."""
    tenant = committed_tenant

    class Died(Exception):
        pass

    def admit_and_die(*names: str) -> None:
        with organization_scope(tenant.id):
            assert not admit(tenant.id, customers(*names))
            raise Died

    with pytest.raises(Died):
        admit_and_die("a", "b", "c")
    with organization_scope(tenant.id):
        assert not admit(tenant.id, customers("d", "e"))
        with contextlib.suppress(Died), transaction.atomic():
            admit_and_die("f")
    assert stored(tenant) == {"d", "e"}
    with organization_scope(tenant.id):
        assert admit(tenant.id, customers("a", "b"))
        assert not admit(tenant.id, customers("a", "d", "e"))
    assert stored(tenant) == {"a", "d", "e"}
    with organization_scope(tenant.id):
        assert admit(tenant.id, customers("b")), "what is beyond stays beyond, however often it comes"
