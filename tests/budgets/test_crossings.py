"""When budgets speak up: percentages, amounts and forecasts, windows that roll, and limits that change by the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert
from budgets.models import BudgetLimit, LedgerEntry
from budgets.services import budget_update
from budgets.terms import Terms
from budgets.thresholds import Fired, Mark, Marks, all_reached, judge, rearmed, runs_out_at
from common.periods import Period
from tenants.access import organization_scope
from tests.budgets.support import make_budget, use
from tests.factories import Tenant
from tests.ingest.payloads import event

NOW = datetime(2026, 11, 15, tzinfo=UTC)
DAY = timedelta(days=1)
COST, TOKENS = 227_500, 1_750  # of the event in tests.ingest.payloads


def at(tenant: Tenant, days: float, number: int = 1) -> None:
    """So many calls, so many days after NOW, settled at once."""
    now = NOW + days * DAY
    use(tenant, *(event(time=now.isoformat()) for _ in range(number)), now=now)


def told(tenant: Tenant) -> list[str]:
    """The titles of all alerts, oldest first, without the budget's name."""
    with organization_scope(tenant.id):
        return [alert.title.split(": ")[1] for alert in Alert.objects.order_by("id")]


MARKS = Marks([50, 80, 100], [60, 1000], [100, 150])


@pytest.mark.parametrize(
    ("fired", "used", "forecast", "report", "after"),
    [
        (Fired(), 49, 90, [], Fired()),
        (Fired(), 50, None, [(Mark.PERCENT, 50)], Fired(50)),
        # Of percentages and amounts that are passed at once the highest is told.
        (Fired(), 60, 99, [(Mark.AMOUNT, 60)], Fired(50, 60)),
        (Fired(), 85, None, [(Mark.PERCENT, 80)], Fired(80, 60)),
        (Fired(80, 60), 85, None, [], Fired(80, 60)),
        (Fired(80, 60), 85, 160, [(Mark.FORECAST, 150)], Fired(80, 60, 150)),
        (Fired(80, 60, 150), 85, 400, [], Fired(80, 60, 150)),
        # A forecast that spend has caught up with says nothing new.
        (Fired(80, 60), 100, 120, [(Mark.PERCENT, 100)], Fired(100, 60, 100)),
        # What has fired stays fired when spend falls.
        (Fired(100, 60, 100), 10, 20, [], Fired(100, 60, 100)),
    ],
)
def test_judge(fired: Fired, used: int, forecast: int | None, report: list[tuple[Mark, int]], after: Fired) -> None:
    standing = all_reached(MARKS, used=used, limit=100, forecast=forecast)
    assert judge(fired, standing, used=used, limit=100) == (after, report)


def test_rearmed() -> None:
    assert rearmed(Fired(100, 60, 150), Fired(50, 60, 0)) == Fired(50, 60, 0)


@pytest.mark.parametrize(
    ("used", "hours", "expected"),
    [(50, 12, None), (60, 12, 20), (100, 12, None), (120, 12, None), (0, 12, None), (99, 0, None), (75, 12, 16)],
)
def test_runs_out_at(used: int, hours: int, expected: int | None) -> None:
    day = Period(NOW, NOW + DAY)
    found = runs_out_at(used, 100, day, NOW + timedelta(hours=hours))
    assert found == (None if expected is None else NOW + timedelta(hours=expected))


def test_amounts_and_percentages(tenant: Tenant, prices: None) -> None:
    make_budget(
        tenant, limit=10 * COST, now=NOW, thresholds=(30, 50), terms=Terms(threshold_amounts=[4 * COST, 20 * COST])
    )
    for _ in range(5):
        at(tenant, 0)
    assert told(tenant) == [
        "30% of the budget is spent",
        "$0.00091 of the budget are spent",
        "50% of the budget is spent",
    ]


def test_each_kind_of_threshold_once_per_window(tenant: Tenant, prices: None) -> None:
    terms = Terms(threshold_amounts=[2 * TOKENS], forecast_thresholds=[100])
    make_budget(tenant, unit="tokens", limit=5 * TOKENS, now=NOW, thresholds=(80,), terms=terms)
    # Half of November has passed: three calls make six.
    for days in (0, 0.1, 0.2, 0.3, 0.4, 16):
        at(tenant, days)
    assert told(tenant) == [
        "3.5k tokens of the budget are used",
        "on course for 100% of the budget",
        "80% of the budget is used",
    ]
    at(tenant, 16.1)
    assert told(tenant)[3:] == ["3.5k tokens of the budget are used"]
    with organization_scope(tenant.id):
        alert = Alert.objects.order_by("id")[1]
    assert (alert.severity, alert.facts["limit"], alert.facts["forecast"]) == (
        "warning",
        "8.75k tokens",
        "11.1k tokens",
    )


def test_what_only_counts_tells_nobody(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, limit=COST, now=NOW, terms=Terms(enforcement="none", forecast_thresholds=[1]))
    at(tenant, 0, 2)
    assert told(tenant) == []
    with organization_scope(tenant.id):
        budget_update(
            organization=tenant.organization, budget=budget, version=1, name="b", limit=None, thresholds=[50, 100],
            terms=Terms(), actor=None, now=NOW,
        )  # fmt: skip
    assert told(tenant) == ["100% of the budget is spent"]


def test_a_rolling_window_fires_again_once_it_was_below(tenant: Tenant, prices: None) -> None:
    make_budget(tenant, period="rolling", rolling_days=3, limit=4 * COST, thresholds=(50, 100), now=NOW)
    at(tenant, 0, 2)
    assert told(tenant) == ["50% of the budget is spent"]
    # On the next day, and by a late event of an older slot, it stays above.
    at(tenant, 1)
    use(tenant, event(time=(NOW - DAY).isoformat()), now=NOW + DAY)
    assert told(tenant)[1:] == ["100% of the budget is spent"]
    # Nothing is used for days: the sum is below, though nobody looked.
    at(tenant, 6)
    assert told(tenant)[2:] == []
    at(tenant, 6.2)
    at(tenant, 6.4)
    assert told(tenant)[2:] == ["50% of the budget is spent"]


def test_a_late_event_beyond_a_rolling_window_says_nothing(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, period="rolling", rolling_days=3, limit=COST, thresholds=(100,), now=NOW)
    use(tenant, event(time=(NOW - 2 * DAY).isoformat()), now=NOW + 5 * DAY)
    assert told(tenant) == []
    with organization_scope(tenant.id):
        assert LedgerEntry.objects.filter(budget=budget, requests=1).count() == 1


def test_a_lower_limit_of_a_rolling_window_alerts_at_once(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, period="rolling", rolling_days=30, limit=10 * COST, thresholds=(30, 90), now=NOW)
    at(tenant, 0, 4)
    assert told(tenant) == ["30% of the budget is spent"]
    with organization_scope(tenant.id):
        budget_update(
            organization=tenant.organization, budget=budget, version=1, name="b", limit=4 * COST, thresholds=[30, 90],
            actor=None, now=NOW,
        )  # fmt: skip
    assert told(tenant)[1:] == ["90% of the budget is spent"]


def limits(tenant: Tenant) -> list[tuple[int, datetime]]:
    with organization_scope(tenant.id):
        return [(each.amount // COST, each.starts_at) for each in BudgetLimit.objects.order_by("id")]


def test_a_limit_changes_by_the_clock(tenant: Tenant, prices: None) -> None:
    """No job changes it: what fired under the lower limit may fire again under the higher one, and once each."""
    budget = make_budget(tenant, limit=4 * COST, thresholds=(50, 100), now=NOW)
    change: dict[str, Any] = {"name": "b", "thresholds": [50, 100], "actor": None}
    with organization_scope(tenant.id):
        budget_update(
            organization=tenant.organization, budget=budget, version=1, limit=8 * COST, limit_from=NOW + DAY, now=NOW,
            **change,
        )  # fmt: skip
    at(tenant, 0, 3)
    assert told(tenant) == ["50% of the budget is spent"]
    at(tenant, 1)
    assert told(tenant)[1:] == ["50% of the budget is spent"]
    at(tenant, 1.1)
    assert told(tenant)[2:] == []
    assert limits(tenant) == [(4, NOW), (8, NOW + DAY)]
    with organization_scope(tenant.id):
        assert LedgerEntry.objects.get(budget=budget).fired_limit == 8 * COST


def test_a_past_window_is_judged_by_the_limit_it_had(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, limit=4 * COST, thresholds=(50,), now=NOW)
    with organization_scope(tenant.id):
        budget_update(
            organization=tenant.organization, budget=budget, version=1, name="b", limit=100 * COST, thresholds=[50],
            actor=None, now=NOW + 20 * DAY,
        )  # fmt: skip
    use(tenant, *(event(time=NOW.isoformat()) for _ in range(2)), now=NOW + 20 * DAY)
    assert told(tenant) == ["50% of the budget is spent"]
    with organization_scope(tenant.id):
        assert Alert.objects.get().facts["percent"] == "50.0"
