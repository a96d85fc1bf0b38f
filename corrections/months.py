"""Closing months: which comes next, what its figures are, and the sign-off. Inside the organization's scope."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import Count, Min, Sum

from common.ids import new_id
from common.periods import Period, PeriodKind, period_at
from common.problems import Problem
from corrections.models import RepriceRun, RunState
from corrections.services import Actor
from tenants.models import Organization
from tenants.services import actor_name, audit_record
from usage.closing import NEVER, closed_before
from usage.locks import lock_organization
from usage.models import Adjustment, ClosedMonth, Rollup
from usage.verify import month_sums

NOTE_LIMIT = 500
_DAY = timedelta(days=1)
# While one of these is under way, its differences are booked in part.
_BOOKING = (RunState.APPLYING, RunState.UNDOING)


@dataclass(frozen=True, slots=True)
class Month:
    """A month's figures, in nano-USD; `corrections` are adjustments of earlier months that landed in it."""

    period: Period
    events: int
    requests: int
    unpriced_requests: int
    list_cost: int
    cost: int
    corrections: int
    corrections_cost: int
    closed: ClosedMonth | None


def months(organization: Organization, now: datetime) -> list[Month]:
    """Every month from the first with usage to the running one, newest first."""
    signed = {month.starts_at: month for month in ClosedMonth.objects.filter(organization=organization)}
    found = [
        _month(organization.id, Period(month.starts_at, month.ends_at), month)
        for month in sorted(signed.values(), key=lambda month: month.starts_at)
    ]
    at = _first_open(organization)
    while at is not None and at <= now:
        period = _month_from(organization, at)
        found.append(_month(organization.id, period, None))
        at = period.end
    return found[::-1]


def next_to_close(organization: Organization, now: datetime) -> Period | None:
    """The oldest month that is not closed, once it has ended; None when there is none."""
    at = _first_open(organization)
    if at is None:
        return None
    period = _month_from(organization, at)
    return period if period.end <= now else None


def month_close(
    *, organization: Organization, start: datetime, note: str, accept_unpriced: bool, actor: Actor, now: datetime
) -> ClosedMonth:
    """Signs off the month that begins at `start`; from then on it never changes.

    ValidationError for a note that is too long. Problem 409 for a month that is not the next to close, while a
    repricing is booking, or when usage without a price is not accepted.
    """
    if len(note) > NOTE_LIMIT or not note.replace("\r", "").replace("\n", "").isprintable():
        raise ValidationError({"note": f"must be up to {NOTE_LIMIT} printable characters"})
    lock_organization(organization.id)
    period = next_to_close(organization, now)
    if period is None or period.start != start:
        raise Problem("conflict", _out_of_order(organization, period))
    if RepriceRun.objects.filter(organization=organization, state__in=_BOOKING).exists():
        raise Problem("conflict", "A repricing is being booked. Close the month when it is done.")
    events, requests, unpriced, list_cost, cost = month_sums(organization.id, period.start, period.end)
    if unpriced and not accept_unpriced:
        raise Problem("conflict", f"{unpriced:,} requests of the month have no price. Price them, or accept that.")
    month = ClosedMonth.objects.create(
        id=new_id(),
        organization=organization,
        starts_at=period.start,
        ends_at=period.end,
        timezone=organization.timezone,
        events=events,
        requests=requests,
        unpriced_requests=unpriced,
        list_cost=list_cost,
        cost=cost,
        closed_at=now,
        closed_by=actor_name(actor),
        note=note.strip(),
    )
    audit_record(
        organization_id=organization.id, actor=actor, action="month.closed", target=month, now=now,
        start=period.start.isoformat(), end=period.end.isoformat(), cost=str(cost), unpriced=str(unpriced),
    )  # fmt: skip
    return month


def refusal_set(*, organization: Organization, refuses: bool, actor: Actor, now: datetime) -> None:
    """Whether usage of closed months is refused when it arrives, or counts in the open month."""
    Organization.objects.filter(id=organization.id).update(refuses_closed=refuses)
    organization.refuses_closed = refuses
    audit_record(
        organization_id=organization.id, actor=actor, action="month.policy", target=organization, now=now,
        usage_of_closed_months="refused" if refuses else "counts in the open month",
    )  # fmt: skip


def _first_open(organization: Organization) -> datetime | None:
    """The instant up to which all is closed, or that of the first usage; None without usage."""
    until = closed_before(organization.id)
    if until != NEVER:
        return until
    first = Rollup.objects.filter(organization_id=organization.id, dimension="total").aggregate(at=Min("bucket"))["at"]
    zone = ZoneInfo(organization.timezone)
    return period_at(PeriodKind.MONTH, first, zone).start if first is not None else None


def _month_from(organization: Organization, start: datetime) -> Period:
    """The month that begins at `start`. Where the zone has changed since, it is that much longer or shorter."""
    end = period_at(PeriodKind.MONTH, start + _DAY, ZoneInfo(organization.timezone)).end
    return Period(start, end)


def _month(organization_id: int, period: Period, closed: ClosedMonth | None) -> Month:
    landed = Adjustment.objects.filter(
        organization_id=organization_id,
        booked_at__gte=period.start,
        booked_at__lt=period.end,
        event_time__lt=period.start,
    ).aggregate(count=Count("id"), cost=Sum("cost"))
    events, requests, unpriced, list_cost, cost = month_sums(organization_id, period.start, period.end)
    return Month(
        period, events, requests, unpriced, list_cost, cost, landed["count"], int(landed["cost"] or 0), closed
    )  # fmt: skip


def _out_of_order(organization: Organization, following: Period | None) -> str:
    if following is None:
        return "No month is ready to be closed: months are closed after they have ended."
    return f"Months are closed in order. The next one is {name_of(following, organization)}."


def name_of(period: Period, organization: Organization) -> str:
    """ "2026-10"."""
    middle = period.start + (period.end - period.start) / 2
    return f"{middle.astimezone(ZoneInfo(organization.timezone)):%Y-%m}"
