"""Closed months: what was signed off never changes; what is about it lands in the open month."""

from datetime import UTC, datetime

from django.db.models import Max

from tenants.models import Organization
from usage.models import ClosedMonth

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def closed_before(organization_id: int) -> datetime:
    """The instant before which everything is closed. Months are closed in order, so there is one."""
    found = ClosedMonth.objects.filter(organization_id=organization_id).aggregate(until=Max("ends_at"))["until"]
    return found or NEVER


def refused_before(organization_id: int) -> datetime:
    """The instant before which arriving usage is refused: that of `closed_before`, if the organization wants it so."""
    if not Organization.objects.filter(id=organization_id, refuses_closed=True).exists():
        return NEVER
    return closed_before(organization_id)
