"""Booking what changes figures after the event: the sums, the ledgers and the alerts move in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction

from budgets.applying import Applying
from budgets.crossings import crossings
from budgets.ledger import Entry as LedgerSlot
from budgets.ledger import book, joined
from budgets.notices import budget_crossed
from budgets.reservations.settled import bring_in
from tenants.models import Organization
from usage.adjustments import Correction, Entry, Why, corrections_book, entries_book
from usage.locks import lock_organization
from usage.store import Cut, Owner, Spent


def post_corrections(*, organization: Organization, corrections: Sequence[Correction], why: Why, now: datetime) -> int:
    """Books differences to stored events; their cost in nano-USD. Takes the settling lock until the end of the
    transaction. LookupError when an event is not there or this run has corrected it before; nothing is booked then."""
    lock_organization(organization.id)
    budgets = Applying.of_organization(organization.id)
    owners = corrections_book(
        organization_id=organization.id, corrections=corrections, why=why, cut=Cut.of(organization.timezone, now),
        now=now, watched=budgets.watched,
    )  # fmt: skip
    return settle_owners(organization=organization, budgets=budgets, owners=owners, now=now)


def post_entries(*, organization: Organization, entries: Sequence[Entry], why: Why, now: datetime) -> int:
    """Books differences without an event, each run's entry once however often it is asked; their cost in nano-USD.

    Takes the settling lock until the end of the transaction.
    """
    lock_organization(organization.id)
    budgets = Applying.of_organization(organization.id)
    owners = entries_book(
        organization_id=organization.id, entries=entries, why=why, cut=Cut.of(organization.timezone, now), now=now,
        watched=budgets.watched,
    )  # fmt: skip
    return settle_owners(organization=organization, budgets=budgets, owners=owners, now=now)


def settle_owners(
    *,
    organization: Organization,
    budgets: Applying,
    owners: Mapping[Owner, Spent],
    now: datetime,
    taken_back: Sequence[LedgerSlot] = (),
) -> int:
    """Settles what owners spent against the budgets (those whose values were watched) and alerts of every threshold
    that was crossed; once that has committed, the counters of reservations learn of it.

    `taken_back`: provisional charges that this transaction has taken back for the same usage, which then crosses only
    what the charges had not."""
    if budgets:
        booked = book(organization_id=organization.id, budgets=budgets, owners=owners, now=now)
        tell_crossed(organization=organization, budgets=budgets, slots=joined([*taken_back, *booked]), now=now)
    transaction.on_commit(partial(bring_in, organization.id, now), robust=True)
    return sum(spent.cost for spent in owners.values())


def tell_crossed(*, organization: Organization, budgets: Applying, slots: Sequence[LedgerSlot], now: datetime) -> None:
    """Alerts of every threshold that what was just added has crossed; budgets out of force say nothing."""
    for crossing in crossings(budgets, [slot for slot in slots if slot.budget_id in budgets.by_id], now):
        budget_crossed(crossing=crossing, organization=organization, now=now)
