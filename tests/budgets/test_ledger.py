"""The ledger is exact: side by side, from the middle of a period, at the edges of hard zones, ahead of time."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from alerts.models import Alert
from budgets.models import Budget, LedgerEntry
from budgets.services import budget_archive
from budgets.verify import differences
from ingest import inbox, pipeline
from ingest.schema import parse_events
from tenants.access import organization_scope
from tests.budgets.support import USD, make_budget, use
from tests.factories import Tenant, make_key, make_team, utc_now
from tests.ingest.payloads import event

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COST = 227_500  # nano-USD of the event in tests.ingest.payloads


def entries(budget: Budget) -> list[tuple[str, int, int]]:
    """(start, spent, requests) of every period, oldest first."""
    with organization_scope(budget.organization_id):
        found = LedgerEntry.objects.filter(budget=budget).order_by("period_start")
        return [(f"{entry.period_start:%Y-%m-%dT%H:%MZ}", int(entry.spent), entry.requests) for entry in found]


def at(text: str, **fields: Any) -> dict[str, Any]:
    return event(time=text, **fields)


def accept(tenant: Tenant, *events: dict[str, Any], key_id: int | None = None) -> None:
    """Leaves a batch in the inbox, for others to settle."""
    now = utc_now()
    _, reported = parse_events(list(events), pointers=[""] * len(events), now=now)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={key_id or tenant.key.id: reported}, now=now)


def side_by_side(*jobs: Callable[[], None]) -> None:
    """Runs the jobs at the same time, each on a connection of its own; the first error is raised."""
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


def until_settled(total: int, settled: list[int]) -> Callable[[], None]:
    def work() -> None:
        deadline = utc_now() + timedelta(seconds=50)
        while sum(settled) < total and utc_now() < deadline:
            settled.append(pipeline.settle_waiting(utc_now()))

    return work


def test_usage_counts_in_every_budget_it_belongs_to(tenant: Tenant, prices: None) -> None:
    parent = make_team(tenant, "Parent")
    child, sibling = make_team(tenant, "Child", parent), make_team(tenant, "Sibling", parent)
    key, _ = make_key(tenant, "key", child)
    counted = [
        make_budget(tenant, "all"),
        make_budget(tenant, "parent", team=parent),
        make_budget(tenant, "child", team=child),
        make_budget(tenant, "key", key=key),
        make_budget(tenant, "another on the child", team=child, period="day"),
    ]
    others = [make_budget(tenant, "sibling", team=sibling), make_budget(tenant, "other key", key=tenant.key)]
    use(tenant, event(), event(model="nobody-knows-this"), key=key)
    for budget in counted:
        assert entries(budget)[0][1:] == (COST, 2)
    for budget in others:
        assert entries(budget)[0][1:] == (0, 0)
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []


def test_late_events_land_in_their_own_period(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, period="day", timezone="Europe/Berlin", now=NOW - timedelta(days=3))
    use(tenant, at("2026-11-24T11:00:00Z"), now=NOW)
    use(tenant, at("2026-11-22T22:59:59.999999Z"), at("2026-11-22T23:00:00Z"), at("2026-11-23T22:59:59Z"), now=NOW)
    # Before the first period that it counts.
    use(tenant, at("2026-11-20T22:59:59Z"), now=NOW)
    assert entries(budget) == [
        ("2026-11-20T23:00Z", 0, 0),
        ("2026-11-21T23:00Z", COST, 1),
        ("2026-11-22T23:00Z", 2 * COST, 2),
        ("2026-11-23T23:00Z", COST, 1),
    ]


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", datetime(2026, 11, 24, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 23, 18, 15, tzinfo=UTC)),
        ("Asia/Kolkata", datetime(2026, 11, 23, 18, 30, tzinfo=UTC)),
        ("Pacific/Chatham", datetime(2026, 11, 24, 10, 15, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 11, 23, 13, tzinfo=UTC)),
        ("America/St_Johns", datetime(2026, 11, 24, 3, 30, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("first", ["budget", "usage"])
def test_a_day_is_cut_to_the_instant_whoever_comes_first(
    tenant: Tenant, prices: None, zone: str, midnight: datetime, first: str
) -> None:
    """The organization keeps hours of UTC; a budget made later sums the ragged edges from the events themselves."""
    inside = [midnight, midnight + timedelta(minutes=44), midnight + timedelta(hours=1), NOW - timedelta(seconds=1)]
    events = [event(time=time.isoformat()) for time in [*inside, midnight - timedelta(microseconds=1)]]
    if first == "usage":
        use(tenant, *events, now=NOW)
    budget = make_budget(tenant, period="day", timezone=zone, now=NOW)
    if first == "budget":
        use(tenant, *events, now=NOW)
    assert entries(budget) == [(f"{midnight:%Y-%m-%dT%H:%MZ}", 4 * COST, 4)]
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []


def test_a_new_budget_counts_its_scope_only(tenant: Tenant, prices: None) -> None:
    parent = make_team(tenant, "Parent")
    key, _ = make_key(tenant, "key", make_team(tenant, "Child", parent))
    use(tenant, event(), event(model="nobody-knows-this"), key=key)
    use(tenant, event(), event())
    made = [make_budget(tenant, "all"), make_budget(tenant, "parent", team=parent), make_budget(tenant, "key", key=key)]
    assert [entries(budget)[0][1:] for budget in made] == [(3 * COST, 4), (COST, 2), (COST, 2)]
    with organization_scope(tenant.id):
        assert LedgerEntry.objects.get(budget=made[1]).unpriced_requests == 1


def test_what_was_reached_before_does_not_fire(tenant: Tenant, prices: None) -> None:
    use(tenant, *(event() for _ in range(6)))
    budget = make_budget(tenant, limit=10 * COST, thresholds=(50, 80))
    use(tenant, event())
    with organization_scope(tenant.id):
        assert not Alert.objects.exists()
        assert LedgerEntry.objects.get(budget=budget).fired == 50
    use(tenant, event())
    with organization_scope(tenant.id):
        assert Alert.objects.get().facts["threshold"] == 80


def test_events_dated_ahead_into_the_next_period(tenant: Tenant, prices: None) -> None:
    """A minute before midnight an event of tomorrow may have settled already; a budget made now must know of it."""
    now = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    use(tenant, at("2026-11-30T23:58:00Z"), at("2026-12-01T00:02:00Z"), at("2026-12-01T00:03:00Z"), now=now)
    budget = make_budget(tenant, now=now)
    use(tenant, at("2026-12-01T00:04:00Z"), now=now)
    assert entries(budget) == [("2026-11-01T00:00Z", COST, 1), ("2026-12-01T00:00Z", 3 * COST, 3)]


def test_an_archived_budget_counts_no_more(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant)
    use(tenant, event())
    with organization_scope(tenant.id):
        budget_archive(organization=tenant.organization, budget=budget, actor=tenant.owner, now=utc_now())
    use(tenant, event())
    assert entries(budget)[0][1:] == (COST, 1)


def test_workers_side_by_side(
    committed_tenant: Tenant, committed_prices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "ROUND_EVENTS", 50)  # many rounds, so that the workers meet
    tenant = committed_tenant
    batches, size = 30, 20
    total = batches * size
    team = make_budget(tenant, "team", team=tenant.team, limit=total * COST, thresholds=(10, 20, 50, 90, 100))
    day = make_budget(tenant, "day", period="day", timezone="Asia/Kathmandu", limit=2 * total * COST)
    moment = utc_now()
    for _ in range(batches):
        accept(tenant, *(event(time=moment.isoformat()) for _ in range(size)))
    settled: list[int] = []
    side_by_side(*[until_settled(total, settled)] * 3)
    assert sum(settled) == total
    assert [entries(budget)[0][1:] for budget in (team, day)] == [(total * COST, total)] * 2
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []
        fired = [alert.facts["threshold"] for alert in Alert.objects.filter(facts__budget="team").order_by("id")]
        assert LedgerEntry.objects.get(budget=team).fired == 100
    assert fired[-1] == 100
    assert fired == sorted(set(fired))


def test_budgets_made_while_usage_settles(committed_tenant: Tenant, committed_prices: None) -> None:
    """Whatever the moment, an event is counted by the budget's first sum or by settling: never by both or neither."""
    tenant = committed_tenant
    batches, size, made = 40, 5, 12
    settled: list[int] = []

    def report() -> None:
        for _ in range(batches):
            accept(tenant, *(event() for _ in range(size)))

    def budget() -> None:
        for number in range(made):
            make_budget(tenant, f"budget {number}", team=tenant.team if number % 2 else None, limit=USD)

    side_by_side(report, budget, *[until_settled(batches * size, settled)] * 2)
    assert sum(settled) == batches * size
    with organization_scope(tenant.id):
        assert Budget.objects.count() == made
        assert differences(tenant.id) == []
        spent = {int(entry.spent) for entry in LedgerEntry.objects.all()}
    assert spent == {batches * size * COST}
