"""What becomes of an authorization: its usage comes in, or its caller renews or releases it.

For a gateway in the same process: `commit` as soon as the call's usage is known, so that the budgets have the rest back
before the usage has been settled.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from django.db import transaction

from budgets.ledger import Entry
from budgets.reservations import charges
from budgets.reservations.authorize import LEASE_MS, ended
from budgets.reservations.call import Granted, Terms, instant
from budgets.reservations.charges import Usage, note_overruns
from budgets.reservations.counts import Outcome, counts
from budgets.reservations.engine import Ending
from budgets.reservations.estimate import Amounts
from budgets.reservations.reference import Reference
from budgets.reservations.settled import bring_in, engine
from common.problems import Problem
from tenants.access import organization_scope
from usage.records import Charged

log = logging.getLogger(__name__)


def authorizations_end(*, organization_id: int, usage: Iterable[Charged], now: datetime) -> list[Entry]:
    """In the transaction that settles this usage: the authorizations it names are over. Once that has committed, their
    holds end in the same step that lets the usage count. The slots of the ledger whose provisional charges this takes
    back."""
    named = [
        Usage(
            reference, item.virtual_key_id, item.cost,
            item.event.buckets.input_tokens + item.event.buckets.output_tokens, item.event.buckets.requests,
        )
        for item in usage
        if item.event.authorization and (reference := Reference.parse(item.event.authorization))
    ]  # fmt: skip
    taken_back = charges.commit(organization_id, named, now) if named else []
    transaction.on_commit(partial(_after, organization_id, named, now), robust=True)
    return taken_back


def _after(organization_id: int, named: Sequence[Usage], now: datetime) -> None:
    ended_holds = bring_in(organization_id, now, [Ending(usage.reference, usage.virtual_key_id) for usage in named])
    if any(end.held for end in ended_holds):
        with organization_scope(organization_id):
            counts.note(organization_id, Outcome.OVERRUN, note_overruns(organization_id, named, ended_holds))


def show(*, organization_id: int, reference: Reference, virtual_key_id: int) -> Granted:
    """The authorization as it was answered, and its state now. Problem 404 when nobody knows it, or another key's."""
    hold = engine().hold(organization_id, reference, owner=virtual_key_id)
    if hold is None:
        raise Problem("not-found")
    return Granted(str(reference), Terms.loads(hold.answer), hold.lefts, instant(hold.expires_ms), hold.state, True)


def renew(*, organization_id: int, reference: Reference, virtual_key_id: int, lease_ms: int = LEASE_MS) -> Granted:
    """Begins the lease anew. Problem 404 as for `show`, 409 once it has ended."""
    state, _ = engine().renew(organization_id, reference, owner=virtual_key_id, lease_ms=lease_ms)
    _must_be_held(reference, state)
    return show(organization_id=organization_id, reference=reference, virtual_key_id=virtual_key_id)


def commit(
    *, organization_id: int, reference: Reference, virtual_key_id: int, actual: Amounts, lease_ms: int = LEASE_MS
) -> None:
    """Lets the hold count with what the call came to, until its usage event is settled. Of a cost that is not known the
    hold stays what it is. Problem as for `renew`."""
    amounts = () if actual.cost is None else (actual.cost, actual.tokens, actual.requests)
    state, _ = engine().renew(organization_id, reference, owner=virtual_key_id, lease_ms=lease_ms, actual=amounts)
    _must_be_held(reference, state)


def release(*, organization_id: int, reference: Reference, virtual_key_id: int) -> None:
    """The call was not made: nothing is charged. Again is no fault. Problem 404 as for `show`, 409 once its lease has
    ended or its usage came in."""
    state = engine().release(organization_id, reference, owner=virtual_key_id)
    if state != "released":
        _must_be_held(reference, state)


def _must_be_held(reference: Reference, state: str) -> None:
    if not state:
        raise Problem("not-found")
    if state != "held":
        raise ended(str(reference), state)
