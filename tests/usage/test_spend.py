"""Every answer about spend against sums made in Python from the events and adjustments themselves."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.posting import post_corrections, post_entries
from common.periods import local_midnight
from tenants.access import organization_scope
from tests.analytics.support import settle
from tests.factories import Tenant, make_tenant
from tests.usage.traffic import FIRST, LAST, events
from usage.adjustments import Correction, Entry, Why
from usage.dimensions import COLUMNS
from usage.models import Adjustment, UsageEvent
from usage.questions import Dimension, Interval
from usage.rollup import HOUR, QUARTER, bucket_size
from usage.selectors import SpendQuery, spend, spend_by_each
from usage.verify import differences

pytestmark = pytest.mark.usefixtures("price_list")

TAGS = ("tag.env", "tag.region")
ALONE = (*Dimension, *TAGS)
CROSSED = (
    ("team", "model"),
    ("customer", "agent"),
    ("tag.env", "tag.region"),
    ("user", "feature", "status", "cache", "operation", "service_tier", "provider", "virtual_key"),
)
VALUES = {"model": ["gpt-4.1-nano"], "customer": ["acme", ""], "tag.env": ["a"], "session": ["s1"], "status": ["error"]}
OTHER_ZONE = ZoneInfo("America/New_York")
Sums = dict[tuple[Any, ...], tuple[int, ...]]


def postings(tenant: Tenant) -> list[tuple[datetime, Any, tuple[int, ...]]]:
    """When it counts, what carries the dimensions, and the measures, of every event and adjustment."""
    found: list[tuple[datetime, Any, tuple[int, ...]]] = [
        (each.time, each, measured(each)) for each in UsageEvent.objects.filter(organization_id=tenant.id, late=False)
    ]
    for each in Adjustment.objects.filter(organization_id=tenant.id):
        sums = (each.events, each.requests, each.errors, each.unpriced_requests, int(each.list_cost), int(each.cost))
        found.append((each.booked_at, each, (*sums, each.input_tokens, 0, 0, each.output_tokens, 0)))
    return found


def measured(event: UsageEvent) -> tuple[int, ...]:
    return (
        1,
        event.requests,
        event.requests if event.status == "error" else 0,
        event.requests if event.cost is None else 0,
        event.list_cost or 0,
        event.cost or 0,
        event.input_tokens,
        event.cache_read,
        event.cache_write_5m + event.cache_write_1h,
        event.output_tokens,
        event.reasoning_output,
    )


def value_of(carrier: Any, dimension: str) -> str:
    if dimension.startswith("tag."):
        return str((carrier.tags or {}).get(dimension[4:], ""))
    return str(getattr(carrier, COLUMNS[dimension]))


def starts(at: datetime, interval: Interval | None, zone: ZoneInfo) -> datetime | None:
    if interval is None:
        return None
    if interval is Interval.HOUR:
        return at.replace(minute=0, second=0, microsecond=0)
    day: date = at.astimezone(zone).date()
    if interval is Interval.WEEK:
        day -= timedelta(days=day.weekday())
    return local_midnight(day.replace(day=1) if interval is Interval.MONTH else day, zone)


def expected(query: SpendQuery, rows: Iterable[tuple[datetime, Any, tuple[int, ...]]]) -> Sums:
    sums: Sums = defaultdict(lambda: (0,) * 11)
    for at, carrier, measures in rows:
        inside = query.start <= at < query.end
        if inside and all(value_of(carrier, name) in values for name, values in query.filters.items()):
            key = (starts(at, query.interval, query.zone), *(value_of(carrier, name) for name in query.group_by))
            sums[key] = tuple(a + b for a, b in zip(sums[key], measures, strict=True))
    return {key: values for key, values in sums.items() if any(values)}


def answered(query: SpendQuery) -> Sums:
    rows = {(row.start, *row.group.values()): astuple(row.spend) for row in spend(query)}
    return {key: values for key, values in rows.items() if any(values)}


def adjust(tenant: Tenant, sent: list[dict[str, Any]]) -> None:
    """A difference to the first event and a fee, like a repricing and a commitment make them."""
    why = Why("reprice", "a new price", "tests")
    with organization_scope(tenant.id):
        correction = Correction(datetime.fromisoformat(sent[0]["time"]), sent[0]["id"], {"cost": -7, "list_cost": 5})
        post_corrections(organization=tenant.organization, corrections=[correction], why=why, now=LAST)
        fee = Entry(FIRST + timedelta(days=9), {"cost": 1234}, tenant.team.id, "openai", "gpt-4.1-nano")
        post_entries(organization=tenant.organization, entries=[fee], why=Why("fee", "a fee", "tests"), now=LAST)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[datetime, datetime]:
    first, second = sorted(draw(st.lists(st.integers(0, 33 * 96), min_size=2, max_size=2, unique=True)))
    return FIRST + first * QUARTER, FIRST + second * QUARTER


def whole_days(tenant: Tenant, chosen: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    zone = ZoneInfo(tenant.organization.timezone)
    first, last = (moment.astimezone(zone).date() for moment in chosen)
    return local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)


def chosen_grain(tenant: Tenant, chosen: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    """The range, cut to the buckets of the organization's sums."""
    grain = bucket_size(ZoneInfo(tenant.organization.timezone), FIRST)
    start = chosen[0] - (chosen[0] - FIRST) % grain
    return start, max(chosen[1] - (chosen[1] - FIRST) % grain, start + HOUR)


def questions(tenant: Tenant, chosen: tuple[datetime, datetime], filtered: str) -> Iterable[SpendQuery]:
    home = ZoneInfo(tenant.organization.timezone)
    start, end = chosen_grain(tenant, chosen)
    days = whole_days(tenant, chosen)
    filters = {filtered: VALUES[filtered]}
    for name in ALONE:
        for interval in (None, Interval.DAY, Interval.WEEK, Interval.MONTH):
            yield SpendQuery(tenant.id, *(days if name == "session" else (start, end)), home, interval, (name,))
        if name != "session":
            yield SpendQuery(tenant.id, start, end, ZoneInfo("UTC"), Interval.HOUR, (name,))
            yield SpendQuery(tenant.id, start, end, OTHER_ZONE, Interval.DAY, (name,))
        if "session" not in {name, filtered} or name == filtered:
            yield SpendQuery(tenant.id, *days, home, Interval.DAY, (name,), filters)
    for names in CROSSED:
        yield SpendQuery(tenant.id, *days, home, None, names, {} if filtered == "session" else filters)
        yield SpendQuery(tenant.id, *days, home, Interval.WEEK, names)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "Australia/Adelaide"])
def test_every_answer_is_the_sum_of_what_was_reported(db: None, zone: str) -> None:
    tenant = make_tenant("acme", timezone=zone)

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(events(), min_size=1, max_size=25), ranges(), st.sampled_from(sorted(VALUES)))
    def compare(sent: list[dict[str, Any]], chosen: tuple[datetime, datetime], filtered: str) -> None:
        with transaction.atomic():
            settle(tenant, [*sent, _newest()])
            adjust(tenant, sent)
            with organization_scope(tenant.id):
                assert differences(tenant.id) == []
                rows = postings(tenant)
                for query in questions(tenant, chosen, filtered):
                    assert answered(query) == expected(query, rows), query
                whole = SpendQuery(tenant.id, *chosen_grain(tenant, chosen))
                apart = {name: spend(replace(whole, group_by=(name,))) for name in ("customer", "model")}
                assert spend_by_each(whole, list(apart)) == apart
            transaction.set_rollback(True)

    compare()


def _newest() -> dict[str, Any]:
    """Its time is what `settle` takes for now, so that no earlier event is too old or too new."""
    return {
        "id": "newest", "time": LAST.astimezone(UTC).isoformat(), "provider": "openai", "model": "gpt-4.1-nano",
        "usage": {"input_tokens": 1},
    }  # fmt: skip
