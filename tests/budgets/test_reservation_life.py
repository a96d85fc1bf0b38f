"""From the hold to the charge: usage, abandonment, late usage, lost counters and processes that die in between."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone
from redis.exceptions import ConnectionError as NotConnected
from time_machine import travel

from budgets.models import Budget, LedgerEntry
from budgets.reservations import lifecycle, settled
from budgets.reservations.authorize import authorize
from budgets.reservations.call import Call, Granted
from budgets.reservations.engine import Standing, prefix_of
from budgets.reservations.estimate import Amounts
from budgets.reservations.governing import forget_governing
from budgets.reservations.models import Authorization, CounterCheck
from budgets.reservations.outage import Outage
from budgets.reservations.reference import Reference
from budgets.reservations.settled import bring_in, check, engine
from budgets.reservations.sweep import sweep_organization
from budgets.standing import used
from common.problems import Problem
from pricing.usage_buckets import Buckets
from tenants.access import organization_scope
from tests.budgets.support import USD, make_budget, use
from tests.budgets.test_authorizations import HELD, hard
from tests.factories import Tenant, make_tenant
from tests.ingest.payloads import event

# 1,500 tokens of input, 300 of them cached, and 250 of output.
SPENT = 227_500
INPUT = 120_000


@pytest.fixture
def acme(committed_tenant: Tenant, committed_prices: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    """Without what another test left behind: a Redis that it took away is not asked for a second."""
    monkeypatch.setattr(settled, "_outage", Outage())
    forget_governing()
    yield committed_tenant
    for key in engine().client.scan_iter(f"{prefix_of(committed_tenant.id)}*"):
        engine().client.delete(key)
    engine().client.srem("budget:organizations", committed_tenant.id)


def ask(tenant: Tenant, name: str, *, lease_ms: int = 60_000, **fields: Any) -> Granted:
    forget_governing()
    call = Call(
        id=name, virtual_key_id=tenant.key.id, team_id=tenant.team.id, provider="openai", model="gpt-4.1-nano",
        asked=Buckets(uncached_input=1200, output=800), **fields,
    )  # fmt: skip
    return authorize(organization_id=tenant.id, call=call, request_id="r", now=timezone.now(), lease_ms=lease_ms)


def standing(tenant: Tenant) -> Standing:
    (found,) = engine().standing(tenant.id, engine().counters(tenant.id))
    assert found is not None
    return found


def spent(tenant: Tenant, budget: Budget) -> int:
    with organization_scope(tenant.id):
        return used([budget], timezone.now())[budget.id].of(budget.unit)


def ends_its_lease(tenant: Tenant) -> None:
    key = f"{prefix_of(tenant.id)}leases"
    for member in engine().client.zrange(key, 0, -1):
        engine().client.zadd(key, {str(member): 1})


def rows(tenant: Tenant) -> list[Authorization]:
    with organization_scope(tenant.id):
        return list(Authorization.objects.order_by("id"))


def test_its_usage_takes_the_place_of_the_hold(acme: Tenant) -> None:
    hard(acme)
    granted = ask(acme, "x")
    assert standing(acme)[:2] == (0, HELD)
    use(acme, event(authorization=granted.authorization))
    assert standing(acme)[:2] == (SPENT, 0)
    (row,) = rows(acme)
    assert (row.reference, row.state, row.cost, row.tokens, row.requests, row.overrun) == (
        granted.authorization, "committed", SPENT, 1750, 1, 0,
    )  # fmt: skip
    with pytest.raises(Problem, match="authorization-ended"):
        ask(acme, "x")


def test_usage_without_an_authorization_counts_too(acme: Tenant) -> None:
    hard(acme)
    ask(acme, "x")
    use(acme, event(), event(authorization="somebody else's word"))
    assert standing(acme)[:2] == (2 * SPENT, HELD)
    assert rows(acme) == []


def test_more_than_was_held_is_recorded_in_full(acme: Tenant) -> None:
    hard(acme)
    granted = ask(acme, "x")
    usage = {"input_tokens": 10_000_000, "output_tokens": 0}
    use(acme, event(authorization=granted.authorization, usage=usage))
    assert standing(acme)[:2] == (USD, 0)
    (row,) = rows(acme)
    assert (row.cost, row.overrun, row.held["cost"]) == (USD, USD - HELD, str(HELD))
    with pytest.raises(Problem, match="budget-exceeded"):
        ask(acme, "y")


def test_several_events_of_one_authorization(acme: Tenant) -> None:
    hard(acme)
    granted = ask(acme, "x")
    use(acme, event(authorization=granted.authorization), event(authorization=granted.authorization))
    use(acme, event(authorization=granted.authorization))
    assert standing(acme)[:2] == (3 * SPENT, 0)
    assert [row.cost for row in rows(acme)] == [3 * SPENT]


@pytest.mark.parametrize(("policy", "charge"), [("input", INPUT), ("full", HELD), ("nothing", 0)])
def test_abandoned_and_corrected_by_late_usage(acme: Tenant, policy: str, charge: int) -> None:
    budget = hard(acme, abandoned=policy)
    granted = ask(acme, "x")
    ends_its_lease(acme)
    assert sweep_organization(acme.id, timezone.now()) == 1
    assert (standing(acme)[:2], spent(acme, budget)) == ((charge, 0), charge)
    (row,) = rows(acme)
    assert (row.state, row.held, row.subject["model"]) == (
        "provisional", {"cost": str(HELD)}, "gpt-4.1-nano",
    )  # fmt: skip
    assert sweep_organization(acme.id, timezone.now()) == 0
    use(acme, event(authorization=granted.authorization))
    assert (standing(acme)[:2], spent(acme, budget)) == ((SPENT, 0), SPENT)
    (row,) = rows(acme)
    assert (row.state, row.cost, row.charges) == ("committed", SPENT, [])


def test_usage_between_the_leases_end_and_the_sweep(acme: Tenant) -> None:
    budget = hard(acme)
    granted = ask(acme, "x")
    ends_its_lease(acme)
    use(acme, event(authorization=granted.authorization))
    assert sweep_organization(acme.id, timezone.now()) == 0
    assert (standing(acme)[:2], spent(acme, budget)) == ((SPENT, 0), SPENT)


def test_the_worker_dies_between_the_commit_and_the_counters(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the lease ends both count; then the sweep sees that the usage was settled, and charges nothing."""
    budget = hard(acme)
    granted = ask(acme, "x")
    with monkeypatch.context() as dead:
        dead.setattr(lifecycle, "bring_in", lambda *_, **__: [])
        dead.setattr("budgets.posting.bring_in", lambda *_, **__: [])
        use(acme, event(authorization=granted.authorization))
    assert standing(acme)[:2] == (0, HELD)
    ends_its_lease(acme)
    assert sweep_organization(acme.id, timezone.now()) == 0
    assert (standing(acme)[:2], spent(acme, budget)) == ((SPENT, 0), SPENT)
    assert rows(acme)[0].state == "committed"


def test_the_sweep_dies_before_the_hold_ends(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = hard(acme)
    ask(acme, "x")
    ends_its_lease(acme)
    with monkeypatch.context() as dead:
        dead.setattr(engine(), "settle", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sweep_organization(acme.id, timezone.now())
    assert sweep_organization(acme.id, timezone.now()) == 0
    assert (standing(acme)[:2], spent(acme, budget)) == ((INPUT, 0), INPUT)


def test_after_a_flush_counters_come_back_from_the_ledger(acme: Tenant) -> None:
    hard(acme)
    use(acme, event())
    granted = ask(acme, "x")
    engine().client.flushdb()
    assert ask(acme, "y").lefts == (USD - SPENT,)
    assert standing(acme)[:2] == (SPENT, HELD)
    with organization_scope(acme.id):
        assert [each.rebuilt for each in CounterCheck.objects.all()] == [1, 1]
    # What was in flight is no longer held, and still counts in full when its usage comes.
    use(acme, event(authorization=granted.authorization))
    assert standing(acme)[:2] == (2 * SPENT, HELD)


def test_what_is_settled_while_redis_is_away_is_found_later(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    hard(acme)
    ask(acme, "x")
    with monkeypatch.context() as away:
        away.setattr(engine(), "client", _Away())
        use(acme, event())
    assert standing(acme)[:2] == (0, HELD)
    monkeypatch.setattr(settled, "_outage", Outage())
    bring_in(acme.id, timezone.now())
    assert standing(acme)[:2] == (SPENT, HELD)


class _Away:
    def __getattr__(self, name: str) -> Any:
        raise NotConnected("away")


@pytest.mark.parametrize("field", ["settled", "left"])
def test_drift_is_measured_and_put_right(acme: Tenant, field: str) -> None:
    hard(acme)
    use(acme, event())
    ask(acme, "x")
    before = standing(acme)
    (name,) = engine().counters(acme.id)
    assert check(acme.id, timezone.now()) == 0
    engine().client.hincrby(f"{prefix_of(acme.id)}c:{name}", field, 1234)
    assert check(acme.id, timezone.now()) == 1
    assert standing(acme)[:2] == before[:2]
    with organization_scope(acme.id):
        assert [int(each.largest) for each in CounterCheck.objects.filter(drifted=1)] == [1234]
    assert check(acme.id, timezone.now()) == 0


def test_a_gateway_knows_the_cost_before_it_is_settled(acme: Tenant) -> None:
    hard(acme)
    granted = ask(acme, "x")
    reference = Reference.parse(granted.authorization)
    assert reference is not None
    whose: dict[str, Any] = {"organization_id": acme.id, "reference": reference, "virtual_key_id": acme.key.id}
    lifecycle.commit(**whose, actual=Amounts(SPENT, 1750, 1))
    assert standing(acme)[:2] == (0, SPENT)
    ends_its_lease(acme)
    assert sweep_organization(acme.id, timezone.now()) == 1
    assert standing(acme)[:2] == (SPENT, 0)
    use(acme, event(authorization=granted.authorization))
    assert standing(acme)[:2] == (SPENT, 0)


@pytest.mark.parametrize(
    ("zone", "before", "after", "seconds"),
    [
        # The night that clocks go back, a day of 25 hours; one that begins at 00:45 UTC; one that begins at 01:00.
        ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", 25 * 3600),
        ("Asia/Kathmandu", "2026-11-20T18:14:59Z", "2026-11-20T18:15:00Z", 24 * 3600),
        ("Africa/Cairo", "2026-04-23T21:59:59Z", "2026-04-23T22:00:00Z", 24 * 3600),
    ],
)
def test_each_period_has_a_counter_of_its_own(acme: Tenant, zone: str, before: str, after: str, seconds: int) -> None:
    with travel(datetime.fromisoformat("2026-01-01T12:00:00Z"), tick=False):
        hard(acme, limit=HELD, period="day", timezone=zone)
    with travel(datetime.fromisoformat(before), tick=False):
        ask(acme, "before")
        with pytest.raises(Problem, match="budget-exceeded"):
            ask(acme, "refused")
    with travel(datetime.fromisoformat(after), tick=False):
        ask(acme, "after")
    first, second = (int(name.partition(".")[2]) for name in engine().counters(acme.id))
    assert (second - first, datetime.fromtimestamp(second, UTC)) == (seconds, datetime.fromisoformat(after))


def test_two_organizations_do_not_touch(acme: Tenant) -> None:
    hard(acme, limit=HELD)
    other = make_tenant("globex")
    hard(other, limit=HELD)
    mine = ask(acme, "x")
    theirs = ask(other, "x")
    use(other, event(authorization=mine.authorization))
    assert standing(acme)[:2] == (0, HELD)
    assert standing(other)[:2] == (SPENT, HELD)
    assert theirs.authorization != mine.authorization


def test_ledger_versions_only_grow(acme: Tenant) -> None:
    make_budget(acme)
    versions = []
    for _ in range(3):
        use(acme, event())
        with organization_scope(acme.id):
            versions.append(LedgerEntry.objects.latest("version").version)
    assert versions == sorted(set(versions))
