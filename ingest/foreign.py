"""Taking in what other tools send: the same way in, with faults told in the words of their own payload."""

from dataclasses import replace
from datetime import datetime

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from common.problems import Fault, Problem
from ingest import schema
from ingest.formats.base import Decoded
from ingest.intake import TakenIn, take_in
from tenants.authentication import Caller

VIRTUAL_KEY_HEADER = "X-CostHub-Virtual-Key"
VIRTUAL_KEY_PARAMETER = OpenApiParameter(
    VIRTUAL_KEY_HEADER,
    str,
    OpenApiParameter.HEADER,
    description="With an access token: the id of the key the usage is reported for.",
)


def for_named_key(request: Request, decoded: Decoded) -> Decoded:
    """The events with the key that the header names, where an event does not name its own."""
    key = request.headers.get(VIRTUAL_KEY_HEADER)
    if key is None:
        return decoded
    return replace(decoded, events=[{"virtual_key": key} | event for event in decoded.events])


def take_in_foreign(caller: Caller, decoded: Decoded, *, source: str, now: datetime) -> TakenIn:
    """Like `take_in`, all or nothing, with pointers into the body as it was sent. Nothing to take in is no fault."""
    if not decoded.events:
        return TakenIn(0, 0)
    try:
        taken = take_in(caller=caller, decoded=decoded, source=source, now=now)
    except Problem as problem:
        problem.errors = tuple(replace(fault, pointer=decoded.place(fault.pointer)) for fault in problem.errors)
        raise
    warnings = [warning | {"pointer": decoded.place(warning["pointer"])} for warning in taken.warnings]
    return replace(taken, warnings=warnings)


def take_in_valid(caller: Caller, decoded: Decoded, *, source: str, now: datetime) -> tuple[TakenIn, list[Fault]]:
    """Takes in what is valid, all or nothing, and says what is not: one fault for each event that is left out.

    For protocols that can answer so. What is wrong with the request as a whole, or with an id, is a Problem still.
    """
    try:
        return take_in_foreign(caller, decoded, source=source, now=now), []
    except Problem as problem:
        if problem.slug != "validation-error":
            raise
        sound, faults = _sifted(decoded, now)
        if not faults:
            raise
    return take_in_foreign(caller, sound, source=source, now=now), faults


def _sifted(decoded: Decoded, now: datetime) -> tuple[Decoded, list[Fault]]:
    events, pointers, faults = [], [], []
    for event, pointer in zip(decoded.events, decoded.pointers, strict=True):
        try:
            schema.parse_events([event], pointers=[pointer], now=now)
        except schema.InvalidEventsError as error:
            first = error.faults[0]
            faults.append(replace(first, pointer=decoded.place(first.pointer)))
        else:
            events.append(event)
            pointers.append(pointer)
    return replace(decoded, events=events, pointers=pointers), faults
