"""What events cost today: the charge they came in with and everything booked for them since."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, Sum

from usage.models import Adjustment, UsageEvent

EventKey = tuple[datetime, str]  # time and id

# Bookings that give an event a price. Corrected counts note theirs only where one is known.
_PRICES = Q(kind="reprice") | Q(kind="usage") & (Q(price_id__isnull=False) | Q(rule_id__isnull=False))


@dataclass(frozen=True, slots=True)
class Present:
    """`cost` and `adjusted` in nano-USD; a cost of None: still no price is known."""

    cost: int | None
    adjusted: int = 0
    adjustments: int = 0


def present_costs(organization_id: int, events: Collection[UsageEvent]) -> Mapping[EventKey, Present]:
    """By time and id, for every one of the events; one query, whatever their number."""
    if not events:
        return {}
    booked = {(time, event_id): sums for time, event_id, *sums in _booked(organization_id, events)}
    return {key_of(event): _present(event, booked.get(key_of(event))) for event in events}


def key_of(event: UsageEvent) -> EventKey:
    return event.time, event.event_id


def _booked(organization_id: int, events: Collection[UsageEvent]) -> list[tuple[Any, ...]]:
    """Sums of what was booked after the charge, and how many prices it got less those taken back.

    The booking of a late event is its charge, in another month.
    """
    times = [event.time for event in events]
    rows = (
        Adjustment.objects.filter(
            organization_id=organization_id,
            event_time__gte=min(times),
            event_time__lte=max(times),
            event_id__in=[event.event_id for event in events],
        )
        .exclude(kind="late")
        .values("event_time", "event_id")
        .annotate(
            added=Sum("cost"),
            priced=Count("id", filter=_PRICES) - Count("id", filter=Q(kind="undo")),
            number=Count("id"),
        )
        .values_list("event_time", "event_id", "added", "priced", "number")
    )
    return [(time, event_id, int(added), priced, number) for time, event_id, added, priced, number in rows]


def _present(event: UsageEvent, booked: list[int] | None) -> Present:
    if booked is None:
        return Present(event.cost)
    added, priced, number = booked
    if event.cost is None and priced <= 0:
        return Present(None, added, number)
    return Present((event.cost or 0) + added, added, number)
