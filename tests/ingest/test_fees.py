"""Flat fees as spend: every hour once, in sums and budgets, whatever happens in between."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from budgets.models import LedgerEntry
from common.problems import Problem
from ingest.fees import book_due, book_round
from pricing.models import Commitment
from pricing.services import FeeDraft, commitment_add, commitment_stop
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.budgets.support import make_budget
from tests.factories import Tenant
from usage.models import Adjustment, ClosedMonth, Cube
from usage.verify import differences

DOLLAR = 10**9
NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
TODAY = date(2026, 11, 24)
FEE: dict[str, Any] = {
    "name": "PTU reservation",
    "kind": "provisioned",
    "provider": "Azure OpenAI",
    "model": "",
    "amount": 720 * DOLLAR,  # a dollar an hour in November
    "period": "month",
    "first_day": TODAY,
    "last_day": None,
}


def add(tenant: Tenant, now: datetime = NOW, **changes: Any) -> Commitment:
    with organization_scope(tenant.id):
        draft = FeeDraft(**{"team": tenant.team} | FEE | changes)
        return commitment_add(organization=tenant.organization, draft=draft, actor=tenant.owner, now=now)


def stop(tenant: Tenant, commitment: Commitment, now: datetime, at: datetime | None = None) -> None:
    with organization_scope(tenant.id):
        commitment_stop(organization=tenant.organization, commitment=commitment, at=at, actor=tenant.owner, now=now)


def booked(tenant: Tenant) -> list[Adjustment]:
    with organization_scope(tenant.id):
        return list(Adjustment.objects.order_by("booked_at"))


def test_every_hour_that_has_passed_is_booked_once(tenant: Tenant) -> None:
    commitment = add(tenant)
    for minutes in (0, 0, 20, 40):  # 12:30, 12:30 again, 12:50, 13:10
        book_due(NOW + timedelta(minutes=minutes))
    rows = booked(tenant)
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    assert [row.booked_at for row in rows] == [midnight + timedelta(hours=hour) for hour in range(13)]
    assert {(row.kind, row.run_id, row.team_id) for row in rows} == {("fee", commitment.id, tenant.team.id)}
    assert {(row.provider, row.model, int(row.cost), int(row.list_cost)) for row in rows} == {
        ("azure", "(flat fee)", DOLLAR, 0),
    }


def test_fees_are_in_the_sums_and_the_budgets(tenant: Tenant) -> None:
    budget = make_budget(tenant, limit=1_000 * DOLLAR)
    add(tenant)
    book_due(NOW)
    with organization_scope(tenant.id):
        assert sum(int(cell.cost) for cell in Cube.objects.all()) == 12 * DOLLAR
        assert LedgerEntry.objects.get(budget=budget, spent__gt=0).spent == 12 * DOLLAR
        assert list(differences(tenant.id)) == []


def test_a_fee_of_the_past_is_caught_up_in_steps(tenant: Tenant) -> None:
    add(tenant, first_day=date(2026, 9, 1), last_day=date(2026, 10, 31), amount=7 * DOLLAR + 1)
    steps = 0
    while book_round(tenant.id, NOW):
        steps += 1
    assert steps == 2
    rows = booked(tenant)
    assert (len(rows), sum(row.cost for row in rows)) == (61 * 24, 2 * (7 * DOLLAR + 1))
    with organization_scope(tenant.id):
        assert Commitment.objects.get().complete


def test_a_stopped_fee_costs_nothing_from_then_on(tenant: Tenant) -> None:
    commitment = add(tenant)
    book_due(NOW)
    stop(tenant, commitment, NOW)  # 12:30: the hour that has begun is paid for
    book_due(NOW + timedelta(hours=5))
    assert sum(row.cost for row in booked(tenant)) == 13 * DOLLAR
    with pytest.raises(Problem) as over:
        stop(tenant, commitment, NOW + timedelta(hours=1))
    assert over.value.slug == "conflict"
    with pytest.raises(ValidationError, match="past"):
        stop(tenant, add(tenant), NOW, NOW - timedelta(hours=1))
    with organization_scope(tenant.id):
        actions = list(AuditEntry.objects.filter(action__startswith="commitment").values_list("action", flat=True))
    assert sorted(actions) == ["commitment.added", "commitment.added", "commitment.stopped"]


def test_hours_of_a_closed_month_land_in_the_open_one(tenant: Tenant) -> None:
    add(tenant, first_day=date(2026, 10, 31), last_day=date(2026, 11, 1), amount=48 * DOLLAR, period="whole")
    start, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    with organization_scope(tenant.id):
        ClosedMonth.objects.create(
            organization=tenant.organization, starts_at=start, ends_at=end, timezone="UTC", events=0, requests=0,
            unpriced_requests=0, list_cost=0, cost=0, closed_by="finance", closed_at=NOW,
        )  # fmt: skip
    book_due(NOW)
    rows = booked(tenant)
    assert sum(row.cost for row in rows) == 48 * DOLLAR
    assert [(row.booked_at, int(row.cost)) for row in rows if row.booked_at >= end + timedelta(days=1)] == [
        (NOW, 24 * DOLLAR)
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 10**18 + 1}, "amount"),
        ({"kind": "gift"}, "kind"),
        ({"period": "week"}, "period"),
        ({"period": "whole"}, "last_day"),
        ({"last_day": date(2026, 11, 23)}, "last_day"),
        ({"provider": " "}, "provider"),
        ({"model": "a\x00"}, "model"),
        ({"name": ""}, "name"),
        ({"first_day": date(1999, 1, 1)}, "first_day"),
        ({"last_day": date(2100, 1, 1)}, "last_day"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(tenant: Tenant, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        add(tenant, **changes)
    assert set(refused.value.message_dict) == {field}
    with organization_scope(tenant.id):
        assert not Commitment.objects.exists()


def test_fees_stay_in_their_organization(tenant: Tenant, stranger: Tenant) -> None:
    add(tenant)
    book_due(NOW)
    assert booked(stranger) == []
    with organization_scope(stranger.id):
        assert not Commitment.objects.exists()
