"""The one way usage comes in, whatever its format: whose it is, is it well-formed, is it durable?

A format (`ingest.formats`) turns a body into events in our own shape, unchecked, each with a pointer to where it stood;
an endpoint hands them to `take_in` and says nothing but the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from common.ids import parse_id
from common.problems import Fault, Problem
from ingest import inbox, schema, wake
from ingest.closed import refuse_closed
from ingest.formats.base import Decoded
from ingest.limits import admit
from ingest.turned_away import DUPLICATE, turned_away
from pricing.charge import charge
from pricing.resolve import book_of
from tenants.access import organization_scope
from tenants.authentication import Caller
from tenants.models import VirtualKey
from usage.records import Reported

# A provider's figure that differs from ours by more than this is worth a word in the answer.
COST_TOLERANCE = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class TakenIn:
    """All of it is committed once the caller's transaction is."""

    accepted: int
    duplicates: int
    warnings: list[dict[str, str]] = field(default_factory=list)
    # Where the caller stands with its quotas; for the answer.
    headers: dict[str, str] = field(default_factory=dict)


def take_in(*, caller: Caller, decoded: Decoded, source: str, now: datetime) -> TakenIn:
    """Stores a batch, all or nothing; durable when it returns, or with the transaction it is called in.

    `source` names the format or tool the usage came by, such as "native" or "otlp". Problem 422 with every fault,
    Problem 409 `event-conflict` for an id that is known with other content, Problem 429 when the caller's quota is used
    up, Problem 503 when the inbox is full.
    """
    admission = admit(caller, len(decoded.events), now)
    try:
        taken = _stored(caller, decoded, source, now)
    except Problem as problem:
        problem.headers |= admission.headers
        raise
    return replace(taken, headers=admission.headers)


def _stored(caller: Caller, decoded: Decoded, source: str, now: datetime) -> TakenIn:
    try:
        wires, events = schema.parse_events(decoded.events, pointers=decoded.pointers, now=now, clean=decoded.clean)
    except schema.InvalidEventsError as error:
        raise _refused(error) from error
    refuse_closed(caller.organization_id, events, decoded.pointers)
    by_key = _by_key(caller, wires, events, decoded.pointers)
    accepted = inbox.accept(organization_id=caller.organization_id, events=by_key, source=source, now=now)
    if accepted.accepted:
        wake.after_commit()
    if accepted.duplicates:
        turned_away.note(
            organization_id=caller.organization_id, source=source, credential_id=caller.credential_id,
            reason=DUPLICATE, now=now, events=accepted.duplicates,
        )  # fmt: skip
    return TakenIn(
        accepted.accepted, accepted.duplicates, _cost_warnings(caller.organization_id, events, decoded.pointers)
    )


def _by_key(
    caller: Caller, wires: Sequence[schema.WireEvent], events: list[Reported], pointers: Sequence[str]
) -> dict[int, list[Reported]]:
    """Whose usage it is: the calling key's own, or with an access token the key that each event names."""
    own = caller.virtual_key_id
    if own is None:
        return _by_named_key(caller.organization_id, wires, events, pointers)
    faults = [
        [Fault(f"{pointer}/virtual_key", "not_allowed", "a virtual key reports for itself only")]
        for wire, pointer in zip(wires, pointers, strict=True)
        if isinstance(wire.virtual_key, str)
    ]
    if faults:
        raise _refused(schema.InvalidEventsError(faults, len(events)))
    return {own: events}


def _by_named_key(
    organization_id: int, wires: Sequence[schema.WireEvent], events: list[Reported], pointers: Sequence[str]
) -> dict[int, list[Reported]]:
    named = {wire.virtual_key: parse_id(wire.virtual_key) for wire in wires if isinstance(wire.virtual_key, str)}
    with organization_scope(organization_id):
        keys = VirtualKey.objects.filter(organization_id=organization_id, id__in=[key for key in named.values() if key])
        known = set(keys.values_list("id", flat=True))
    by_key: dict[int, list[Reported]] = {}
    faults = []
    for wire, event, pointer in zip(wires, events, pointers, strict=True):
        key_id = named[wire.virtual_key] if isinstance(wire.virtual_key, str) else None
        if not isinstance(wire.virtual_key, str):
            faults.append([Fault(f"{pointer}/virtual_key", "required", "an access token names the key it reports for")])
        elif key_id not in known or key_id is None:
            faults.append([Fault(f"{pointer}/virtual_key", "unknown_reference", "is not a key of this organization")])
        else:
            by_key.setdefault(key_id, []).append(event)
    if faults:
        raise _refused(schema.InvalidEventsError(faults, len(events)))
    return by_key


def _refused(error: schema.InvalidEventsError) -> Problem:
    return Problem("validation-error", error.summary, errors=error.faults)


def _cost_warnings(organization_id: int, events: Sequence[Reported], pointers: Sequence[str]) -> list[dict[str, str]]:
    """Where the provider's figure and ours differ by over a hundredth. Both are stored; neither replaces the other.

    Providers report what their list says, so that is what theirs is held against, until the organization has a price
    of its own for the model: then whoever reports a cost is expected to know it.
    """
    priced = [
        (event, pointer) for event, pointer in zip(events, pointers, strict=True) if event.reported_cost is not None
    ]
    if not priced:
        return []
    with organization_scope(organization_id):
        book = book_of(organization_id)
    warnings = []
    for event, pointer in priced:
        found = book.resolve(event.provider, event.model, event.service_tier, event.time)
        ours = charge(found, event.buckets, event.cache).cost if event.cache == "miss" else None
        theirs = Decimal(event.reported_cost or 0) / 1000
        if ours is not None and abs(theirs - ours) > COST_TOLERANCE * max(Decimal(ours), theirs):
            price = "list price" if found.rule_id is None else "price your organization pays"
            detail = f"differs from the {price} by over 1 %"
            warnings.append({"pointer": f"{pointer}/cost", "code": "cost_differs", "detail": detail})
    return warnings
