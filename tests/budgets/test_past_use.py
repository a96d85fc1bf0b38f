"""What a limit is chosen by."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from budgets.models import Budget
from budgets.past_use import PastUse, amounts_of, past_use, slots_before, summed_up
from budgets.windows import Window
from tenants.access import organization_scope
from tests.budgets.support import use
from tests.factories import Tenant
from tests.ingest.payloads import event

COST = 227_500
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("amounts", "limit", "expected"),
    [
        ([], 5, None),
        ([3], None, PastUse(1, 3, 3, 3, None)),
        ([4, 1, 3, 2], 3, PastUse(4, 4, 2, 4, 1)),
        (range(1, 11), 10, PastUse(10, 10, 5, 9, 0)),
        (range(1, 12), 0, PastUse(11, 11, 6, 10, 11)),
    ],
)
def test_summed_up(amounts: Any, limit: int | None, expected: PastUse | None) -> None:
    assert summed_up(amounts, limit) == expected


def test_slots_before_now() -> None:
    months = slots_before(Window("month", ZoneInfo("Europe/Berlin")), NOW, 3)
    assert [slot.start.astimezone(ZoneInfo("Europe/Berlin")).month for slot in months] == [8, 9, 10]
    assert months[-1].end == datetime(2026, 10, 31, 23, tzinfo=UTC)


def test_rolling_windows_are_sums_of_days_that_are_all_there() -> None:
    window = Window("rolling", UTC_ZONE, days=3)
    slots = slots_before(window, NOW, 4)
    used = {slot.start: amount for slot, amount in zip(slots, [1, 2, 4, 8], strict=True)}
    assert amounts_of(window, slots, used) == [7, 14]
    assert amounts_of(Window("day", UTC_ZONE), slots, used) == [1, 2, 4, 8]


def test_of_a_scope(tenant: Tenant, stranger: Tenant, prices: None) -> None:
    days_ago = [(NOW - timedelta(days=days)).isoformat() for days in (1, 1, 3, 4, 0)]
    use(tenant, *(event(time=time, customer="acme") for time in days_ago), now=NOW)
    use(stranger, event(time=days_ago[0], customer="acme"), now=NOW)

    def found(period: str, **scope: Any) -> PastUse | None:
        budget = Budget(
            organization=tenant.organization, limit=1, period=period, timezone="UTC",
            **{"scope_type": "organization"} | scope,
        )  # fmt: skip
        with organization_scope(tenant.id):
            return past_use(budget, now=NOW, limit=COST)

    daily = PastUse(4, 2 * COST, COST, 2 * COST, 1)  # from the first day of use: 1, 1, 0, 2
    assert found("day") == found("day", scope_type="customer", value="acme") == daily
    assert found("day", scope_type="customer", value="acme", team=tenant.team) == daily
    assert found("hour", scope_type="customer", value="acme", team=tenant.team) is None
    assert found("total") is None
    assert found("day", scope_type="customer", value="nobody") is None
