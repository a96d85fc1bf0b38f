"""Bills in versions, and differences that are booked once and can be booked back."""

from datetime import date, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from reconciliation.compare import Line
from reconciliation.exports.base import COSTS, ExportError, Item
from reconciliation.exports.reading import items_of
from reconciliation.models import AcceptedDifference, BilledDay, BilledLine
from reconciliation.selectors import comparison
from reconciliation.services import Uploaded, billed_usage_store, difference_undo, differences_accept
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.factories import Tenant
from tests.reconciliation.exports import ANTHROPIC_COSTS, ANTHROPIC_USAGE, bucket, cost, page, usage
from tests.reconciliation.support import COST, COST_USD, MODEL, bill, use, yesterday
from usage.models import Adjustment, ClosedMonth
from usage.selectors import SpendQuery, total

DAY = timedelta(days=1)


def lines(tenant: Tenant, day: date, provider: str = "openai") -> list[Line]:
    with organization_scope(tenant.id):
        return comparison(organization_id=tenant.id, provider=provider, first=day, end=day + DAY).lines


def accept(tenant: Tenant, day: date, amount: int, now: datetime, model: str = MODEL) -> int:
    with organization_scope(tenant.id):
        return differences_accept(
            organization=tenant.organization, provider="openai", model=model, expected={day: amount}, team=tenant.team,
            note="invoice 7", actor=tenant.owner, now=now,
        )  # fmt: skip


def spent(tenant: Tenant, now: datetime) -> int:
    with organization_scope(tenant.id):
        return total(SpendQuery(tenant.id, now - 40 * DAY, now + DAY)).cost


def test_the_same_again_changes_nothing_and_other_content_is_a_new_version(tenant: Tenant, now: datetime) -> None:
    day = yesterday(now)
    assert bill(tenant, day, "5.00", now) == Uploaded(new=1)
    assert bill(tenant, day, "5.000", now) == Uploaded(unchanged=1)
    assert bill(tenant, day, "6", now) == Uploaded(changed=1)
    with organization_scope(tenant.id):
        versions = list(BilledDay.objects.order_by("id").values_list("superseded_at", flat=True))
        assert versions == [now, None]
        assert set(BilledLine.objects.values_list("amount", flat=True)) == {5 * 10**9, 6 * 10**9}
        assert AuditEntry.objects.filter(action="billed_usage.uploaded").count() == 3
    assert [line.billed.amount for line in lines(tenant, day)] == [6 * 10**9]


def test_lines_of_a_model_are_added_up_exactly_and_rounded_once(tenant: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    document = page(
        bucket(
            day, cost("0.0000000004"), cost("0.0000000004"), cost("0.1", f"{MODEL}, output"), cost("2", "Image models")
        )
    )
    with organization_scope(tenant.id):
        billed_usage_store(organization=tenant.organization, items=items_of(document), actor=None, now=now)
    assert {line.model: line.billed.amount for line in lines(tenant, day)} == {
        MODEL: 100_000_001,
        "Image models": 2 * 10**9,
    }


def test_costs_and_usage_of_a_day_stand_side_by_side(tenant: Tenant, prices: None, now: datetime) -> None:
    day = date(2025, 8, 1)
    with organization_scope(tenant.id):
        for document in (ANTHROPIC_COSTS, ANTHROPIC_USAGE):
            billed_usage_store(organization=tenant.organization, items=items_of(document), actor=None, now=now)
    (line,) = lines(tenant, day, "anthropic")
    assert (line.billed.amount, line.billed.tokens) == (1_234_500_000, 3700)
    assert line.parts == {"unrouted": 1_234_500_000}


def test_a_day_billed_in_one_sum_is_compared_in_one_sum(tenant: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    use(tenant, day, 2, now)
    use(tenant, day, 1, now, model="gpt-4.1-mini")
    bill(tenant, day, "1", now, line_item=None)
    (line,) = lines(tenant, day)
    assert (line.model, line.ours.requests, line.billed.amount) == ("", 3, 10**9)


def test_unknown_models_find_their_usage_and_are_unpriced(tenant: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    use(tenant, day, 2, now, model="gpt-99-secret")
    bill(tenant, day, "1", now, line_item="gpt-99-secret, input")
    (line,) = lines(tenant, day)
    assert line.parts == {"unpriced": 10**9}


def test_tokens_tell_a_duplicate_from_a_price(tenant: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    use(tenant, day, 4, now)
    document = page(bucket(day, cost("0.000455"), usage(3000, 500)))
    with organization_scope(tenant.id):
        billed_usage_store(organization=tenant.organization, items=items_of(document), actor=None, now=now)
    (line,) = lines(tenant, day)
    assert line.parts == {"duplicate": -2 * COST}


def test_days_are_days_of_utc_wherever_the_organization_is(tenant: Tenant, prices: None, now: datetime) -> None:
    tenant.organization.timezone = "Asia/Tokyo"
    with organization_scope(tenant.id):
        tenant.organization.save(update_fields=["timezone"])
    day = yesterday(now)
    use(tenant, day, 1, now, hour=23)
    bill(tenant, day, COST_USD, now)
    (line,) = lines(tenant, day)
    assert line.difference == 0


def test_an_accepted_difference_is_booked_once_and_can_be_undone(tenant: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    use(tenant, day, 2, now)
    bill(tenant, day, "1", now)
    difference = 10**9 - 2 * COST
    assert accept(tenant, day, difference, now) == difference
    assert spent(tenant, now) == 10**9
    (line,) = lines(tenant, day)
    assert (line.ours.cost, line.accepted, line.difference, line.parts) == (2 * COST, difference, 0, {})
    with pytest.raises(ValidationError, match="has changed"):
        accept(tenant, day, difference, now)
    with organization_scope(tenant.id):
        (entry,) = AcceptedDifference.objects.all()
        adjustment = Adjustment.objects.get(organization_id=tenant.id)
        assert (adjustment.kind, int(adjustment.cost), adjustment.team_id) == (
            "reconciliation",
            difference,
            tenant.team.id,
        )
        assert "invoice 7" in adjustment.reason
        difference_undo(entry=entry, actor=tenant.owner, now=now)
        with pytest.raises(ValidationError, match="undone already"):
            difference_undo(entry=entry, actor=tenant.owner, now=now)
    assert spent(tenant, now) == 2 * COST
    (line,) = lines(tenant, day)
    assert (line.ours.cost, line.accepted, line.difference) == (2 * COST, 0, difference)


def test_a_difference_of_a_closed_month_is_booked_in_the_open_one(tenant: Tenant, prices: None, now: datetime) -> None:
    day = (now - 33 * DAY).date()
    use(tenant, day, 1, now)
    bill(tenant, day, "1", now)
    starts_at = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - DAY
    ends_at = starts_at + DAY
    with organization_scope(tenant.id):
        ClosedMonth.objects.create(
            organization=tenant.organization, starts_at=starts_at.replace(day=1), ends_at=ends_at, timezone="UTC",
            closed_at=now, events=0, requests=0, unpriced_requests=0, list_cost=0, cost=0,
        )  # fmt: skip
    accept(tenant, day, 10**9 - COST, now)
    with organization_scope(tenant.id):
        assert Adjustment.objects.get(organization_id=tenant.id).booked_at == now
    (line,) = lines(tenant, day)
    assert (line.ours.cost, line.difference) == (COST, 0)


def test_what_was_not_seen_is_not_accepted(tenant: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    bill(tenant, day, "1", now)
    for seen, model in ((10**9 - 1, MODEL), (0, MODEL), (10**9, "another")):
        with pytest.raises(ValidationError):
            accept(tenant, day, seen, now, model)
    with pytest.raises(ValidationError):
        accept(tenant, day - 400 * DAY, 10**9, now)
    with organization_scope(tenant.id):
        assert not AcceptedDifference.objects.exists()
        assert not Adjustment.objects.filter(organization_id=tenant.id).exists()


@pytest.mark.parametrize("day", [date(1, 1, 1), date(2014, 12, 31), date(9999, 12, 31)])
def test_days_that_cannot_be_billed(tenant: Tenant, now: datetime, day: date) -> None:
    with organization_scope(tenant.id), pytest.raises(ExportError):
        billed_usage_store(
            organization=tenant.organization, items=[Item("openai", day, COSTS)], actor=None, now=now
        )  # fmt: skip
    with organization_scope(tenant.id):
        assert not BilledDay.objects.exists()


def test_bills_of_others_are_not_seen(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    bill(stranger, day, "5", now)
    use(stranger, day, 1, now)
    assert lines(tenant, day) == []
