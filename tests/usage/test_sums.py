"""Rollup = events + adjustments, whatever the order, the batches, the retries and the duplicates."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.posting import post_corrections, post_entries
from ingest import inbox, pipeline
from ingest.schema import parse_events
from tenants.access import organization_scope
from tests.analytics.support import at, settle
from tests.factories import Tenant
from tests.usage.traffic import LAST, events
from usage.adjustments import Correction, Entry, Why
from usage.dimensions import COLUMNS
from usage.models import Adjustment, ClosedMonth, Detail, Rollup, RollupDay, Trace, UsageEvent
from usage.tables import MEASURES
from usage.verify import differences, month_sums

pytestmark = pytest.mark.usefixtures("price_list")

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
# What two organizations that reported the same have in common: everything but ids of their own.
TOLD_APART = sorted({"total", "tag.env", "tag.region", *COLUMNS} - {"team", "virtual_key"})


def deliver(tenant: Tenant, batches: Iterable[list[dict[str, Any]]], settled: Iterable[bool]) -> None:
    """Accepts the batches, settling in between where told so, and settles the rest."""
    for batch, now_settled in zip(batches, settled, strict=True):
        _, reported = parse_events(batch, pointers=[""] * len(batch), now=LAST)
        with organization_scope(tenant.id):
            inbox.accept(organization_id=tenant.id, events={tenant.key.id: reported}, now=LAST)
        if now_settled:
            pipeline.settle_waiting(LAST)
    while pipeline.settle_waiting(LAST):
        pass


def sums(tenant: Tenant) -> list[list[tuple[Any, ...]]]:
    """Every sum of the organization, without what is only its own."""
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []
        own = {"organization_id": tenant.id}
        named = own | {"dimension__in": TOLD_APART}
        return [
            sorted(Rollup.objects.filter(**named).values_list("dimension", "bucket", "value", *MEASURES)),
            sorted(RollupDay.objects.filter(**named).values_list("dimension", "day", "value", *MEASURES)),
            sorted(Detail.objects.filter(**own).values_list("day", "customer", "agent", "status", *MEASURES)),
            sorted(Trace.objects.filter(**own).values_list("trace_id", "first_at", "last_at", "session", *MEASURES)),
        ]


def test_order_batches_retries_and_duplicates_change_nothing(tenant: Tenant, stranger: Tenant) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(events(), min_size=1, max_size=20), st.integers(0, 2**32), st.integers(1, 7))
    def compare(sent: list[dict[str, Any]], seed: int, size: int) -> None:
        rng = Random(seed)
        repeated = sent + rng.choices(sent, k=len(sent))
        rng.shuffle(repeated)
        batches = [repeated[start : start + size] for start in range(0, len(repeated), size)]
        retried = [*batches, *rng.sample(batches, k=(len(batches) + 1) // 2)]
        with transaction.atomic():
            deliver(tenant, [sent], [True])
            deliver(stranger, retried, [rng.random() < 0.5 for _ in retried])
            assert sums(tenant) == sums(stranger)
            transaction.set_rollback(True)

    compare()


def why(kind: str = "correction", run_id: int | None = None) -> Why:
    return Why(kind, "because", "tests", run_id)


def corrected(event: dict[str, Any], cost: int) -> Correction:
    return Correction(datetime.fromisoformat(event["time"]), event["id"], {"cost": cost})


def cost(tenant: Tenant, dimension: str, value: str) -> int:
    found = RollupDay.objects.filter(organization_id=tenant.id, dimension=dimension, value=value)
    return int(sum(row.cost for row in found))


def test_a_correction_reaches_every_sum_of_its_event(tenant: Tenant) -> None:
    sent = at(NOON, customer="acme", agent="coder", session="s1", trace_id="t1", tags={"env": "prod"})
    settle(tenant, [sent, at(NOON)])
    with organization_scope(tenant.id):
        assert post_corrections(
            organization=tenant.organization, corrections=[corrected(sent, 1000)], why=why(), now=NOON
        ) == 1000  # fmt: skip
        for dimension, value in (("customer", "acme"), ("agent", "coder"), ("session", "s1"), ("tag.env", "prod")):
            assert cost(tenant, dimension, value) == 227_500 + 1000
        assert int(Trace.objects.get(organization_id=tenant.id).cost) == 227_500 + 1000
        assert cost(tenant, "total", "") == 2 * 227_500 + 1000
        assert differences(tenant.id) == []


def test_a_correction_of_an_event_that_is_not_there_books_nothing(tenant: Tenant, stranger: Tenant) -> None:
    sent, theirs = at(NOON), at(NOON)
    settle(tenant, [sent])
    settle(stranger, [theirs])
    with organization_scope(tenant.id):
        with pytest.raises(LookupError), transaction.atomic():
            post_corrections(
                organization=tenant.organization, corrections=[corrected(sent, 1), corrected(theirs, 1)], why=why(),
                now=NOON,
            )  # fmt: skip
        assert not Adjustment.objects.exists()
        assert cost(tenant, "total", "") == 227_500


def test_a_run_books_an_entry_once(tenant: Tenant) -> None:
    fee = Entry(NOON, {"cost": 500}, tenant.team.id, "openai", "", others={"customer": "acme"})
    with organization_scope(tenant.id):
        booked = [
            post_entries(organization=tenant.organization, entries=[fee], why=why("fee", run_id=7), now=NOON)
            for _ in range(2)
        ]
        assert booked == [500, 0]
        assert cost(tenant, "customer", "acme") == 500
        assert differences(tenant.id) == []


@pytest.fixture
def closed(tenant: Tenant) -> Tenant:
    """October is signed off with one event."""
    settle(tenant, [at(datetime(2026, 10, 20, 12, tzinfo=UTC), id="in-time", customer="acme")])
    start, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    with organization_scope(tenant.id):
        names = ("events", "requests", "unpriced_requests", "list_cost", "cost")
        signed = dict(zip(names, month_sums(tenant.id, start, end), strict=True))
        ClosedMonth.objects.create(
            organization=tenant.organization, starts_at=start, ends_at=end, timezone="UTC", closed_by="dana", **signed
        )
    return tenant


def test_an_event_of_a_closed_month_counts_in_the_open_one(closed: Tenant) -> None:
    late = at(datetime(2026, 10, 31, 12, tzinfo=UTC), id="late", customer="acme", trace_id="t9")
    settle(closed, [late, at(NOON, id="newest")])
    with organization_scope(closed.id):
        assert UsageEvent.objects.get(event_id="late").late
        booked = Adjustment.objects.get(kind="late")
        assert (booked.event_id, int(booked.cost), booked.events) == ("late", 227_500, 1)
        assert booked.booked_at == NOON + timedelta(minutes=1)
        days = RollupDay.objects.filter(organization_id=closed.id, dimension="customer", value="acme")
        assert {row.day.isoformat(): row.events for row in days} == {"2026-10-20": 1, "2026-11-10": 1}
        assert differences(closed.id) == [], "the closed month still says what was signed"


def test_a_correction_to_a_closed_month_is_booked_now(closed: Tenant) -> None:
    found = Correction(datetime(2026, 10, 20, 12, tzinfo=UTC), "in-time", {"cost": 11})
    with organization_scope(closed.id):
        post_corrections(organization=closed.organization, corrections=[found], why=why(), now=NOON)
        assert Adjustment.objects.get().booked_at == NOON
        assert differences(closed.id) == []


def test_a_closed_month_that_was_touched_is_told(closed: Tenant) -> None:
    with organization_scope(closed.id):
        ClosedMonth.objects.update(cost=1)
        (found,) = differences(closed.id)
    assert "was signed as" in found
