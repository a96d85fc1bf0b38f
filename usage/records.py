"""A usage event on its way from the wire to the table. Pure.

The adapters of `ingest.formats` make it with disjoint token buckets; the inbox keeps it as MessagePack; the pipeline
adds who and how much; `usage.store` writes it. One struct instead of an ORM object, because it exists per event.
"""

from datetime import datetime

import msgspec

from pricing.usage_buckets import Buckets


class Reported(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a caller told us of one model call, after checks. Two reports are the same when these fields are.

    Positional on purpose: the inbox and the digest of an event are its MessagePack. New fields go at the end.
    """

    id: str
    time: datetime
    provider: str
    model: str
    buckets: Buckets
    operation: str
    service_tier: str
    status: str
    cache: str
    latency_ms: int | None
    # What the provider said it cost, in pico-USD (10^-12).
    reported_cost: int | None
    usage_source: str
    customer: str
    feature: str
    agent: str
    end_user: str
    trace_id: str
    span_id: str
    parent_span_id: str
    session: str
    authorization: str
    tags: dict[str, str]


class Charged(msgspec.Struct, gc=False):
    """A reported event with the owner and the price the pipeline found for it. Costs in nano-USD, None: unpriced."""

    event: Reported
    received_at: datetime
    team_id: int
    virtual_key_id: int
    provider: str = ""
    model: str = ""
    list_cost: int | None = None
    cost: int | None = None
    # The list price and, where the organization has terms of its own, the rule of its price book.
    price_id: int | None = None
    unpriced_reason: str = ""
    rule_id: int | None = None
    # Its month was closed when it arrived: it is kept as an event and counts as an adjustment.
    late: bool = False
    source: str = "native"


encoder = msgspec.msgpack.Encoder()
decoder = msgspec.msgpack.Decoder(list[Reported])
