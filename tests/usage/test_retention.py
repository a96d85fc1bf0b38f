"""Events past their retention go by whole months; sums stay, and what can still be proved is proved and repaired."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from msgspec.structs import replace

from budgets.services import budget_create
from budgets.terms import Measure
from budgets.verify import differences as ledger_differences
from ingest import inbox, pipeline
from ingest.models import Claim
from ingest.schema import parse_events
from ingest.tasks import forget_claims
from tenants.access import organization_scope
from tests.factories import Tenant
from tests.ingest.payloads import event
from usage.models import Rollup, UsageEvent
from usage.retention import (
    EVER,
    drop_old_events,
    existing_months,
    first_kept,
    first_of_month,
    months_ahead,
    months_to_drop,
)
from usage.store import make_partitions
from usage.verify import differences, rebuild

MONTHS = [date(2026, month, 1) for month in (7, 8, 9, 10, 11, 12)]


@pytest.mark.parametrize(
    ("now", "keep", "dropped"),
    [
        (datetime(2026, 11, 24, tzinfo=UTC), 0, 0),
        (datetime(2026, 11, 24, tzinfo=UTC), 2, 2),  # July and August; September and October are kept
        (datetime(2026, 11, 1, tzinfo=UTC), 2, 2),
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), 2, 1),
        (datetime(2026, 11, 24, tzinfo=UTC), 12, 0),
        (datetime(2027, 1, 1, tzinfo=UTC), 2, 4),
    ],
)
def test_whole_months_before_the_ones_that_are_kept(now: datetime, keep: int, dropped: int) -> None:
    assert months_to_drop(MONTHS, now=now, keep=keep) == MONTHS[:dropped]


@pytest.mark.parametrize(
    ("day", "months", "first"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 1)),
        (date(2026, 12, 31), 1, date(2027, 1, 1)),
        (date(2026, 3, 1), -3, date(2025, 12, 1)),
        (date(2026, 3, 15), 0, date(2026, 3, 1)),
    ],
)
def test_the_first_of_months(day: date, months: int, first: date) -> None:
    assert first_of_month(day, months) == first


def settled(tenant: Tenant, *times: datetime, trace: str = "") -> None:
    """Events of these times, as if they had come in then."""
    wires = [event(trace_id=trace) if trace else event() for _ in times]
    _, reported = parse_events(wires, pointers=[""] * len(times), now=datetime.now(UTC))
    dated = [replace(each, time=at) for each, at in zip(reported, times, strict=True)]
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={tenant.key.id: dated}, now=times[0])
    pipeline.settle_waiting(datetime.now(UTC))


def events_and_rollup(tenant: Tenant) -> tuple[int, int]:
    rollup = Rollup.objects.filter(dimension="total").values_list("events", flat=True)
    return UsageEvent.objects.count(), sum(rollup)


@pytest.fixture
def old(tenant: Tenant, now: datetime) -> datetime:
    return datetime(now.year - 1, 3, 15, 12, tzinfo=UTC)


def test_old_events_go_and_their_sums_stay(tenant: Tenant, prices: None, now: datetime, old: datetime) -> None:
    settled(tenant, old, old, now)
    assert drop_old_events(now=now, keep=3) == [old.date().replace(day=1)]
    with organization_scope(tenant.id):
        assert events_and_rollup(tenant) == (1, 3)
        assert differences(tenant.id) == []
    assert first_kept() == datetime(old.year, 4, 1, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT month, events FROM usage_dropped_month")
        assert cursor.fetchall() == [(old.date().replace(day=1), 2)]


def test_nothing_goes_without_being_asked(tenant: Tenant, prices: None, now: datetime, old: datetime) -> None:
    settled(tenant, old, now)
    assert drop_old_events(now=now, keep=0) == []
    assert first_kept() == EVER
    with organization_scope(tenant.id):
        assert events_and_rollup(tenant) == (2, 2)


@pytest.mark.parametrize(("months_back", "keep"), [(0, 2), (1, 2), (2, 2), (5, 1), (5, 0), (-1, 2)])
def test_no_month_that_events_may_still_come_in_for(db: None, now: datetime, months_back: int, keep: int) -> None:
    month = first_of_month(now.date(), -months_back)
    make_partitions([datetime(month.year, month.month, 1, tzinfo=UTC)])
    with pytest.raises(IntegrityError, match="are kept"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT usage_drop_month(%s, %s)", [month, keep])
    assert month in existing_months()


def test_a_repair_keeps_what_it_cannot_make_anew(tenant: Tenant, prices: None, now: datetime, old: datetime) -> None:
    next_month = datetime(old.year, 4, 2, tzinfo=UTC)
    settled(tenant, old, next_month, next_month, now, trace="across")
    drop_old_events(now=datetime(old.year, 6, 15, tzinfo=UTC), keep=2)
    with organization_scope(tenant.id):
        before = events_and_rollup(tenant), trace_events()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE usage_rollup SET events = events + 7 WHERE bucket >= %s", [next_month])
        assert differences(tenant.id) != []
        rebuild(tenant.id)
        assert differences(tenant.id) == []
        assert (events_and_rollup(tenant), trace_events()) == before
    assert before == ((3, 4), [4])


def trace_events() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT events FROM usage_trace")
        return [events for (events,) in cursor.fetchall()]


def test_a_ledger_of_dropped_events_stays(tenant: Tenant, prices: None, now: datetime, old: datetime) -> None:
    measure = Measure("organization", None, None, "month", "UTC")
    with organization_scope(tenant.id):
        budget_create(
            organization=tenant.organization, name="all", measure=measure, limit=10**9, thresholds=[100],
            actor=tenant.owner, now=old,
        )  # fmt: skip
    settled(tenant, old, now)
    drop_old_events(now=now, keep=2)
    with organization_scope(tenant.id):
        assert ledger_differences(tenant.id) == []


def test_months_ahead_counts_without_a_gap(db: None) -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    make_partitions(datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 5))
    gap = date(2026, 4, 1) not in existing_months()
    assert months_ahead(at) == 2 if gap else months_ahead(at) > 2


def test_claims_are_forgotten_in_chunks(tenant: Tenant, stranger: Tenant, now: datetime, settings: Any) -> None:
    settled(tenant, *[now - timedelta(days=41)] * 5)
    settled(stranger, now)
    assert forget_claims(now - timedelta(days=40), chunk=2) == 5
    for each, left in ((tenant, 0), (stranger, 1)):
        with organization_scope(each.id):
            assert Claim.objects.count() == left
