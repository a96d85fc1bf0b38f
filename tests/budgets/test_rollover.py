"""What a window left is added to the next, bounded, and once."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import Alert
from budgets.limits import limit_at, limits_now, limits_of, rolled_over, window_pairs
from budgets.models import Budget, BudgetLimit, LimitKind
from budgets.standing import Used
from tenants.access import organization_scope
from tests.budgets.support import make_budget, use
from tests.factories import Tenant
from tests.ingest.payloads import event

COST = 227_500
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = datetime(2026, 11, 24, tzinfo=UTC)


def budget(**given: object) -> Budget:
    values = {
        "id": 1, "organization_id": 1, "period": "day", "timezone": "UTC", "limit": 100, "rollover_max": 30,
        "counts_from": TODAY - 10 * DAY, "unit": "requests",
    }  # fmt: skip
    return Budget(**values | given)


def row(kind: LimitKind, amount: int, starts_at: datetime, ends_at: datetime | None = None) -> BudgetLimit:
    return BudgetLimit(
        organization_id=1, kind=kind, amount=amount, starts_at=starts_at, ends_at=ends_at, created_at=starts_at
    )


@pytest.mark.parametrize(
    ("used", "extra", "expected"),
    [
        (0, [], 130),
        (70, [], 130),
        (80, [], 120),
        (99, [], 101),
        (100, [], 100),
        (500, [], 100),
        # The limit that yesterday had at its end counts: with what was added to it, not with what came later.
        (110, [row(LimitKind.INCREASE, 20, TODAY - DAY, TODAY)], 110),
        (110, [row(LimitKind.INCREASE, 20, TODAY - DAY, TODAY - timedelta(hours=1))], 100),
        (90, [row(LimitKind.TRANSFER, -15, TODAY - DAY, TODAY)], 100),
        (95, [row(LimitKind.BASE, 100, TODAY - 9 * DAY), row(LimitKind.BASE, 200, TODAY)], 205),
    ],
)
def test_today_gets_what_yesterday_left(used: int, extra: list[BudgetLimit], expected: int) -> None:
    it = budget()
    rows = rolled_over(it, extra, window_pairs(it, NOW, NOW), [Used(requests=used)])
    assert limit_at(it, [*extra, *rows], NOW) == expected
    assert limit_at(it, [*extra, *rows], TODAY + DAY) == limit_at(it, extra, TODAY + DAY)


def test_what_was_rolled_over_is_not_handed_on() -> None:
    """Nothing was used the day before yesterday; yesterday used more than its own limit, out of what it had got."""
    it = budget()
    (yesterday,) = rolled_over(it, [], window_pairs(it, NOW, NOW - DAY), [Used(requests=110), Used()])
    assert (yesterday.starts_at, yesterday.amount) == (TODAY - DAY, 30)


def test_only_windows_that_were_counted_in_full() -> None:
    assert window_pairs(budget(counts_from=TODAY), NOW, NOW) == []
    assert len(window_pairs(budget(counts_from=TODAY - DAY), NOW, NOW)) == 1
    pairs = window_pairs(budget(), NOW, NOW - 3 * DAY)
    assert [window.start for _, window in pairs] == [TODAY, TODAY - DAY, TODAY - 2 * DAY, TODAY - 3 * DAY]
    assert all(previous.end == window.start for previous, window in pairs)


@pytest.mark.parametrize("kind", [{"period": "total"}, {"period": "rolling", "rolling_days": 7}])
def test_windows_without_an_end_leave_nothing(kind: dict[str, object]) -> None:
    assert window_pairs(budget(**kind), NOW, NOW) == []


def test_from_the_ledger(tenant: Tenant, prices: None) -> None:
    """It follows the ledger: what arrives late for yesterday is missing from today."""
    made = make_budget(tenant, period="day", limit=10 * COST, now=NOW - DAY)
    with organization_scope(tenant.id):
        Budget.objects.update(rollover_max=9 * COST + 1)
        made = Budget.objects.get()
    use(tenant, event(time=(NOW - DAY).isoformat()), now=NOW)

    def limit() -> int:
        with organization_scope(tenant.id):
            assert limits_now([made], NOW)[made.id] == limit_at(made, limits_of([made], NOW)[made.id], NOW)
            assert not BudgetLimit.objects.filter(kind=LimitKind.ROLLOVER).exists()
            return limits_now([made], NOW)[made.id]

    assert limit() == 19 * COST
    use(tenant, event(time=(NOW - DAY).isoformat()), now=NOW)
    assert limit() == 18 * COST


def test_thresholds_are_of_all_that_may_be_used(tenant: Tenant, prices: None) -> None:
    """Yesterday left all it had; today's first call uses today's limit up, and half of what there is."""
    made = make_budget(tenant, period="day", limit=COST, thresholds=(100,), now=NOW - DAY)
    with organization_scope(tenant.id):
        Budget.objects.filter(id=made.id).update(rollover_max=COST)

    def alerts() -> int:
        with organization_scope(tenant.id):
            return Alert.objects.count()

    use(tenant, event(time=NOW.isoformat()), now=NOW)
    assert alerts() == 0
    use(tenant, event(time=NOW.isoformat()), now=NOW)
    assert alerts() == 1
