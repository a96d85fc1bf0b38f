"""Flat fees become spend: one entry for every hour that has passed, once, whoever books and however often.

How far a commitment is booked stands in its row and moves in the transaction that books. Hours of a month that was
closed meanwhile land together in the open one.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice, takewhile

from django.db import connection

from budgets.posting import post_entries
from pricing.fees import Part
from pricing.models import Commitment
from tenants.access import organization_scope
from tenants.models import Organization
from usage.adjustments import Entry, Why
from usage.closing import closed_before
from usage.locks import lock_organization

# Per commitment and transaction: a fee that began long ago is caught up in steps.
ROUND_HOURS = 1_000
# What a fee is called among models when it is for none in particular.
NO_MODEL = "(flat fee)"


def book_due(now: datetime) -> None:
    """Books what is due in every organization."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM pricing_organizations_with_fees(%s)", [now])
        organizations = [organization_id for (organization_id,) in cursor.fetchall()]
    for organization_id in organizations:
        while book_round(organization_id, now):
            pass


def book_round(organization_id: int, now: datetime) -> int:
    """Books the next hours of each commitment, in one transaction; their number, 0 when nothing was due."""
    with organization_scope(organization_id):
        lock_organization(organization_id)
        organization = Organization.objects.get(id=organization_id)
        due = Commitment.objects.filter(organization=organization, complete=False, booked_until__lt=now)
        return sum(_book(organization, commitment, now) for commitment in due.order_by("id"))


def _book(organization: Organization, commitment: Commitment, now: datetime) -> int:
    stop = commitment.stopped_at
    passed = commitment.fee.parts(commitment.booked_until, now)
    parts = list(islice(takewhile(lambda part: stop is None or part.start < stop, passed), ROUND_HOURS))
    why = Why("fee", f"{commitment.get_kind_display()}: {commitment.name}"[:200], "costhub", commitment.id)
    post_entries(organization=organization, entries=_entries(commitment, parts), why=why, now=now)
    booked_until = parts[-1].end if parts else commitment.booked_until
    Commitment.objects.filter(organization=organization, id=commitment.id).update(
        booked_until=booked_until, complete=_is_complete(commitment, booked_until)
    )
    return len(parts)


def _entries(commitment: Commitment, parts: Sequence[Part]) -> list[Entry]:
    """One per hour. Those of closed months are one together: they are all booked at the same moment, now."""
    until = closed_before(commitment.organization_id)
    late = [part for part in parts if part.start < until]
    together = [late[0]._replace(amount=sum(part.amount for part in late))] if late else []
    return [_entry(commitment, part) for part in (*together, *parts[len(late) :])]


def _entry(commitment: Commitment, part: Part) -> Entry:
    # A fee has no list price: what the usage under it would cost at list stands with the usage.
    return Entry(
        at=part.start,
        deltas={"cost": part.amount},
        team_id=commitment.team_id,
        provider=commitment.provider,
        model=commitment.model or NO_MODEL,
    )


def _is_complete(commitment: Commitment, booked_until: datetime) -> bool:
    ends = (commitment.fee.end, commitment.stopped_at)
    return any(end is not None and booked_until >= end for end in ends)
