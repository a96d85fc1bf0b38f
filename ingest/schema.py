"""The usage event as it comes over the wire, checked strictly: wrong types, ranges and unknown names are refused.

The fast path converts a whole batch at once; only when that fails is every event looked at field by field, so that the
answer points at every fault and not just at the first.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from msgspec import UNSET, Meta, UnsetType

from common.display import seconds
from common.money import parse_usd
from common.problems import Fault, excerpt
from pricing.usage_buckets import Buckets, UsageError, from_inclusive
from usage.records import Reported

MAX_COUNT = 10**15
MAX_TAGS = 20
PICO_DIGITS = 12
_NANO_TO_PICO = 1_000

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
# What identifies something to a program: visible ASCII, never trimmed or folded.
Identifier = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+\Z")]
# What a person may have named: anything but control characters (Postgres cannot store NUL).
Label = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
TagName = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,40}\Z")]


class WireUsage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Token counts in OpenTelemetry's convention: input includes cached and audio, output reasoning and audio."""

    input_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_write_input_tokens: Count = 0
    cache_write_1h_input_tokens: Count = 0
    output_tokens: Count = 0
    reasoning_output_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    images: Count = 0
    requests: Count = 1
    # Calls of tools that the provider bills by the call (web search, code interpreter), not function calls.
    tool_calls: Count = 0


class WireEvent(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    id: Identifier
    time: Annotated[datetime, Meta(tz=True)]
    provider: Name
    model: Name
    usage: WireUsage
    operation: Literal[
        "chat", "completion", "embeddings", "image", "audio", "rerank", "moderation", "batch", "other"
    ] = "chat"
    service_tier: Literal["standard", "batch", "flex", "priority"] = "standard"
    status: Literal["ok", "error", "cancelled"] = "ok"
    latency_ms: Annotated[int, Meta(ge=0, le=10**10)] | None = None
    cache: Literal["miss", "hit", "semantic"] = "miss"
    # A plain decimal string in USD, or an integer of nano-USD.
    cost: Annotated[str, Meta(max_length=30)] | Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None = None
    usage_source: Literal["provider", "estimated", "partial"] = "provider"
    customer: Label = ""
    feature: Label = ""
    agent: Label = ""
    user: Label = ""
    trace_id: Label = ""
    span_id: Label = ""
    parent_span_id: Label = ""
    session: Label = ""
    authorization: Label = ""
    tags: dict[TagName, Label] = {}
    # Only an access token names the key it reports for; a virtual key reports for itself.
    virtual_key: Identifier | UnsetType = UNSET


def _without_patterns(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same struct, except that its texts are not held to their patterns."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        loose = (field.name, _LOOSE.get(field.type, field.type))
        if field.default is not msgspec.NODEFAULT:
            fields.append((*loose, field.default))
        elif field.default_factory is not msgspec.NODEFAULT:
            fields.append((*loose, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append(loose)
    return msgspec.defstruct(f"Loose{struct.__name__}", fields, forbid_unknown_fields=True, kw_only=True, gc=False)


_LooseText = Annotated[str, Meta(max_length=200)]
_LooseName = Annotated[str, Meta(min_length=1, max_length=200)]
_LOOSE: dict[Any, Any] = {
    Identifier: _LooseName,
    Name: _LooseName,
    Label: _LooseText,
    dict[TagName, Label]: dict[str, _LooseText],
    Identifier | UnsetType: _LooseName | UnsetType,
}
LooseEvent = _without_patterns(WireEvent)
_TAG_NAME = re.compile(r"[a-z0-9_]{1,40}")


class InvalidEventsError(Exception):
    """Faults of a batch of so many events, grouped by event; at least one group is not empty."""

    def __init__(self, faults: Sequence[Sequence[Fault]], events: int) -> None:
        self.faults = tuple(fault for group in faults for fault in group)
        self.summary = f"{sum(map(bool, faults))} of {events} events are not valid; nothing was stored"
        super().__init__(self.summary)


def parse_events(
    raw: list[Any], *, pointers: Sequence[str], now: datetime, clean: bool = False, max_age: timedelta | None = None
) -> tuple[list[WireEvent], list[Reported]]:
    """The events as sent and as kept. `pointers[i]` leads to event i in the body. Raises InvalidEventsError.

    `clean`: no text among them can hold a control character, which spares looking at each one. `max_age` is how old an
    event may be, where that is not the API's window.
    """
    try:
        wires = _converted(raw, clean)
    except msgspec.ValidationError as error:
        found = [_faults(item, pointer) for item, pointer in zip(raw, pointers, strict=True)]
        raise InvalidEventsError(found if any(found) else [[_fault("", str(error))]], len(raw)) from error
    window = (
        now - (max_age or timedelta(days=settings.EVENT_MAX_AGE_DAYS)),
        now + timedelta(seconds=settings.EVENT_MAX_AHEAD_SECONDS),
    )
    reported, faults = [], []
    for wire, pointer in zip(wires, pointers, strict=True):
        try:
            reported.append(_reported(wire, window))
        except _FieldError as error:
            faults.append([Fault(f"{pointer}/{error.field}", error.code, error.detail)])
    if faults:
        raise InvalidEventsError(faults, len(raw))
    return wires, reported


def _converted(raw: list[Any], clean: bool) -> list[WireEvent]:
    """ValidationError when anything is not as WireEvent says.

    A pattern costs as much as everything else about a field. Of clean texts only ids and tag names have more to prove,
    and they can be looked at together.
    """
    if clean:
        loose: list[WireEvent] = msgspec.convert(raw, list[LooseEvent], strict=True)  # type: ignore[valid-type]
        ids = " ".join([event.id for event in loose])
        keys = [event.virtual_key for event in loose if event.virtual_key is not UNSET]
        names = {name for event in loose if event.tags for name in event.tags}
        if ids.isascii() and ids.count(" ") == len(loose) - 1 and not keys and all(map(_TAG_NAME.fullmatch, names)):
            return loose
    return msgspec.convert(raw, list[WireEvent], strict=True)


class _FieldError(Exception):
    def __init__(self, field: str, code: str, detail: str) -> None:
        super().__init__(field)
        self.field, self.code, self.detail = field, code, detail


def _window_in_words() -> str:
    days, ahead = settings.EVENT_MAX_AGE_DAYS, seconds(settings.EVENT_MAX_AHEAD_SECONDS)
    return f"must lie from {days} days ago to {ahead} ahead"


def _reported(wire: WireEvent, window: tuple[datetime, datetime]) -> Reported:
    time = wire.time
    if not window[0] <= time <= window[1]:
        raise _FieldError("time", "timestamp_out_of_window", _window_in_words())
    if len(wire.tags) > MAX_TAGS:
        raise _FieldError("tags", "too_many", f"at most {MAX_TAGS} tags")
    usage = wire.usage
    # The conversion of `from_inclusive`, written out because it is made for every event; that one finds the fault.
    uncached = (
        usage.input_tokens
        - usage.cache_read_input_tokens
        - usage.cache_write_input_tokens
        - usage.cache_write_1h_input_tokens
        - usage.input_audio_tokens
    )
    visible = usage.output_tokens - usage.reasoning_output_tokens - usage.output_audio_tokens
    if uncached < 0 or visible < 0:
        raise _inconsistent(usage)
    buckets = Buckets(
        uncached,
        usage.cache_read_input_tokens,
        usage.cache_write_input_tokens,
        usage.cache_write_1h_input_tokens,
        visible,
        usage.reasoning_output_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
        usage.images,
        usage.requests,
        usage.tool_calls,
    )
    return Reported(
        wire.id,
        time if time.tzinfo is UTC else time.astimezone(UTC),
        wire.provider,
        wire.model,
        buckets,
        wire.operation,
        wire.service_tier,
        wire.status,
        wire.cache,
        wire.latency_ms,
        None if wire.cost is None else _pico(wire.cost),
        wire.usage_source,
        wire.customer,
        wire.feature,
        wire.agent,
        wire.user,
        wire.trace_id,
        wire.span_id,
        wire.parent_span_id,
        wire.session,
        wire.authorization,
        wire.tags,
    )


def _inconsistent(usage: WireUsage) -> _FieldError:
    try:
        from_inclusive(**msgspec.structs.asdict(usage))
    except UsageError as error:
        return _FieldError(f"usage/{error.field}", "inconsistent", error.detail)
    raise AssertionError("counts that add up were called inconsistent")


def _pico(cost: str | int) -> int:
    """The provider's figure in pico-USD, exactly."""
    if isinstance(cost, int):
        return cost * _NANO_TO_PICO
    amount = parse_usd(cost)
    if amount is None:
        raise _FieldError("cost", "invalid", "must be a plain decimal string in USD with at most 12 decimals")
    pico = int(amount.scaleb(PICO_DIGITS))
    if pico > MAX_COUNT * _NANO_TO_PICO:
        raise _FieldError("cost", "out_of_range", "must be at most 1000000")
    return pico


_TYPES: dict[type, dict[str, Any]] = {
    struct: {field.encode_name: field for field in msgspec.structs.fields(struct)} for struct in (WireEvent, WireUsage)
}


def _faults(raw: Any, pointer: str, struct: type = WireEvent) -> list[Fault]:
    """Every fault of one object, found by converting field by field."""
    if not isinstance(raw, dict):
        return [Fault(pointer, "type", "must be an object")]
    fields = _TYPES[struct]
    faults = [
        Fault(f"{pointer}/{_escaped(name)}", "unknown_field", "is not a known field")
        for name in raw
        if name not in fields
    ]
    for name, field in fields.items():
        if name not in raw:
            if field.required:
                faults.append(Fault(f"{pointer}/{name}", "required", "is required"))
        elif field.type in _TYPES:
            faults += _faults(raw[name], f"{pointer}/{name}", field.type)
        else:
            try:
                msgspec.convert(raw[name], field.type, strict=True)
            except msgspec.ValidationError as error:
                faults.append(_fault(f"{pointer}/{name}", str(error)))
    return faults


# What msgspec says → our stable code.
_CODES = (
    (re.compile(r"timezone"), "timezone_required", "must name its offset from UTC, such as Z"),
    (re.compile(r"RFC3339"), "invalid", "must be an RFC 3339 time"),
    (re.compile(r"out of range|`int` (<=|>=)"), "out_of_range", f"must be from 0 to {MAX_COUNT}"),
    (re.compile(r"length <="), "too_long", "is too long"),
    (re.compile(r"length >="), "required", "must not be empty"),
    (re.compile(r"matching regex"), "invalid", "holds characters that are not allowed"),
    (re.compile(r"enum value"), "invalid", "is not one of the known values"),
    (re.compile(r"got `"), "type", "has the wrong type"),
)


def _fault(pointer: str, message: str) -> Fault:
    for pattern, code, detail in _CODES:
        if pattern.search(message):
            return Fault(pointer, code, detail)
    return Fault(pointer, "invalid", "is not valid")


def _escaped(name: str) -> str:
    """A name as a JSON pointer's step, cut and escaped like everything we echo."""
    return excerpt(name).replace("~", "~0").replace("/", "~1")
