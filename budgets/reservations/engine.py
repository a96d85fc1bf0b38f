"""Counters and holds in Redis: the Python face of the scripts. Knows amounts and names, nothing of budgets or prices.

A counter is what may be used of one budget in one window: its limit less what is settled (the ledger in Postgres is the
truth of that) less what is held for calls in flight. All keys of an organization share a hash tag, so that they lie on
one node of a cluster.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from budgets.reservations.reference import Reference
from budgets.reservations.script import Scripts
from common.impatient_redis import impatient_client

# What an authorization may lose by waiting for Redis.
TIMEOUT_S = 0.5
# How many counters are read before an answer is waited for.
AT_ONCE = 1_000
# More than this of one thing is not told apart: 64 bits must hold limits, holds and what was used together.
LARGEST_SETTLED = 4 * 10**18


class Claim(NamedTuple):
    """What a call needs of one counter; integers in the unit (cost in nano-USD, tokens, requests).

    `amount` is held; `least` must be left (as a rule the amount; 1 for a call of unknown cost); `after` is what the
    hold counts with once its lease has ended. With `refuses` the call is refused when it does not fit, and with `stop`
    also when no more than that is left.
    """

    counter: str
    unit: str
    limit: int
    amount: int
    least: int
    after: int
    refuses: bool
    stop: int | None = None


class Rate(NamedTuple):
    """A bucket that refills within a minute. `price` in nanoseconds of refilling; with `gate` (index of a claim, what
    is left) it counts only once no more than that is left of the counter."""

    name: str
    price: int
    gate: tuple[int, int] | None = None


class Held(NamedTuple):
    """`lefts` are what was left of each counter before, `settled` what was settled of it. `repeated`: the same call had
    been made before; `answer` is what was given along then, and `state` says what became of its hold since."""

    reference: Reference
    expires_ms: int
    lefts: tuple[int, ...]
    settled: tuple[int, ...] = ()
    answer: str = ""
    state: str = "held"
    repeated: bool = False


class Refused(NamedTuple):
    """Nothing was held. Per counter what was left and what is settled; per rate the nanoseconds until it would fit."""

    lefts: tuple[int, ...]
    settled: tuple[int, ...]
    waits: tuple[int, ...]


class Missing(NamedTuple):
    """These claims (indexes) have counters that are not there yet."""

    indexes: tuple[int, ...]


class Conflict(NamedTuple):
    """The same id with other content."""


class Settled(NamedTuple):
    """What the ledger says of a counter, and the version it says it of."""

    counter: str
    amount: int
    version: int


class Ending(NamedTuple):
    """A hold that its usage ends; `owner` is the virtual key it must be of."""

    reference: Reference
    owner: int


class Ended(NamedTuple):
    """What an ended hold had counted with, by unit; empty when there was none."""

    held: dict[str, int]
    state: str


class Opened(NamedTuple):
    """`made`: the counter was not there. `before` and `after` counting its holds anew, what was left of it."""

    made: bool
    before: int
    after: int


class Standing(NamedTuple):
    """What a counter says is settled, of which version of the ledger, and held."""

    settled: int
    held: int
    version: int


class Lapsed(NamedTuple):
    """A hold whose lease ended: per counter (name, unit, what it counts with since), and the record given along."""

    reference: Reference
    owner: int
    charges: tuple[tuple[str, str, int], ...]
    held: dict[str, int]
    record: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it stands."""

    state: str
    expires_ms: int
    answer: str
    lefts: tuple[int, ...]


class Engine:
    """Raises RedisError when Redis does not answer in time; what was asked may then have happened or not."""

    def __init__(self, url: str) -> None:
        self.client = impatient_client(url, timeout_s=TIMEOUT_S)
        self._scripts = Scripts(self.client)

    def reserve(
        self, organization_id: int, *, reference: Reference, owner: int, digest: str, claims: Sequence[Claim],
        rates: Sequence[Rate] = (), lease_ms: int, answer: str = "", record: str = "",
    ) -> Held | Refused | Missing | Conflict:  # fmt: skip
        """Holds every claim, or none of them."""
        prefix = prefix_of(organization_id)
        keys = [f"{prefix}h:{reference.member}", f"{prefix}leases", f"{prefix}lapsed"]
        keys += [f"{prefix}c:{claim.counter}" for claim in claims]
        keys += [f"{prefix}r:{rate.name}" for rate in rates]
        listed = " ".join(f"{claim.counter} {claim.unit} {claim.amount} {claim.after}" for claim in claims)
        arguments: list[str | int] = [
            prefix, reference.member, reference.number, owner, digest, lease_ms, answer, record, listed,
            len(claims), len(rates),
        ]  # fmt: skip
        for claim in claims:
            stop = "" if claim.stop is None else claim.stop
            arguments += (claim.limit, claim.amount, claim.least, int(claim.refuses), stop)
        for rate in rates:
            counter, left = (0, 0) if rate.gate is None else (rate.gate[0] + 1, rate.gate[1])
            arguments += (rate.price, counter, left)
        return _reserved(self._scripts.reserve(keys=keys, args=arguments), reference)

    def settle(
        self, organization_id: int, settled: Iterable[Settled], endings: Iterable[Ending], *, state: str = "committed"
    ) -> list[Ended]:
        """Brings in the ledger's sums and ends holds in one step; per ending what it had held."""
        prefix = prefix_of(organization_id)
        values = list(settled)
        arguments: list[str | int] = [prefix, state, len(values)]
        for counter, amount, version in values:
            arguments += (counter, max(-LARGEST_SETTLED, min(amount, LARGEST_SETTLED)), version)
        for reference, owner in endings:
            arguments += (reference.member, reference.number, owner)
        flat: list[str] = self._scripts.settle(keys=_holds(prefix), args=arguments)
        return [Ended(_by_unit(counters), was) for counters, was in zip(flat[::2], flat[1::2], strict=True)]

    def open(self, organization_id: int, counters: Sequence[tuple[str, int]]) -> list[Opened]:
        """Makes counters (name, when it may be forgotten in ms) that are not there; `settle` must follow with what the
        ledger says, read after this. Counts the holds of all of them anew."""
        prefix = prefix_of(organization_id)
        flat: list[Any] = self._scripts.open(
            keys=[*_holds(prefix), f"{prefix}counters"],
            args=[prefix, *(part for counter in counters for part in counter)],
        )
        return [
            Opened(bool(made), int(before), int(after))
            for made, before, after in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        ]

    def renew(
        self, organization_id: int, reference: Reference, *, owner: int, lease_ms: int, actual: Sequence[int] = ()
    ) -> tuple[str, int]:
        """Begins the lease anew; (state, when it expires in ms). Only what is `held` is renewed. With `actual` (cost,
        tokens, requests) the hold counts with those from now on."""
        prefix = prefix_of(organization_id)
        state, expires = self._scripts.renew(
            keys=[f"{prefix}h:{reference.member}", *_holds(prefix)],
            args=[prefix, reference.member, reference.number, owner, lease_ms, *actual],
        )
        return state, int(expires or 0)

    def release(self, organization_id: int, reference: Reference, *, owner: int) -> str:
        """Ends a hold without a charge. The state it was in; empty when there is no such hold. Only what is `held`
        can be released."""
        prefix = prefix_of(organization_id)
        state: str = self._scripts.release(
            keys=[f"{prefix}h:{reference.member}", *_holds(prefix)],
            args=[prefix, reference.member, reference.number, owner],
        )
        return state

    def lapsed(self, organization_id: int, *, most: int = 500) -> list[Lapsed]:
        """Holds whose lease has ended and that were not ended yet, oldest first."""
        prefix = prefix_of(organization_id)
        rows: list[list[str]] = self._scripts.lapsed(keys=_holds(prefix), args=[prefix, most])
        return [
            Lapsed(Reference(member, int(number)), int(owner), _charges(counters), _by_unit(counters), record)
            for member, number, owner, counters, record in rows
        ]

    def hold(self, organization_id: int, reference: Reference, *, owner: int) -> Hold | None:
        key = f"{prefix_of(organization_id)}h:{reference.member}"
        kept: list[Any] = self.client.hmget(key, ["nonce", "owner", "state", "expires", "answer", "lefts"])
        number, whose, state, expires, answer, lefts = kept
        if number != str(reference.number) or whose != str(owner) or state is None:
            return None
        return Hold(state, int(expires or 0), answer or "", _integers(lefts or ""))

    def counters(self, organization_id: int) -> list[str]:
        """The names of all counters that were made and not forgotten."""
        return sorted(map(str, self.client.smembers(f"{prefix_of(organization_id)}counters")))

    def forget(self, organization_id: int, counters: Sequence[str]) -> None:
        """Those of these counters that are not there are on the list no longer."""
        if counters:
            prefix = prefix_of(organization_id)
            self._scripts.forget(keys=[f"{prefix}counters"], args=[prefix, *counters])

    def doubt(self, organization_id: int, counters: Sequence[str]) -> None:
        """The counters take part no longer until what the ledger says is brought in again."""
        for counter in counters:
            self.client.hset(f"{prefix_of(organization_id)}c:{counter}", "seq", "-1")

    def standing(self, organization_id: int, counters: Sequence[str]) -> list[Standing | None]:
        """Where each counter stands; None where there is none."""
        found: list[list[Any]] = []
        for at in range(0, len(counters), AT_ONCE):
            pipeline = self.client.pipeline(transaction=False)
            for counter in counters[at : at + AT_ONCE]:
                pipeline.hmget(f"{prefix_of(organization_id)}c:{counter}", ["seq", "limit", "settled", "left"])
            found += pipeline.execute()
        return [_standing(*map(int, kept)) if None not in kept else None for kept in found]


def prefix_of(organization_id: int) -> str:
    return f"budget:{{{organization_id}}}:"


def _holds(prefix: str) -> list[str]:
    return [f"{prefix}leases", f"{prefix}lapsed"]


def _reserved(reply: str, reference: Reference) -> Held | Refused | Missing | Conflict:
    kind, *parts = reply.split("|", 5)
    match kind:
        case "held":
            expires, lefts, settled = parts
            return Held(reference, int(expires), _integers(lefts), _integers(settled))
        case "known":
            state, lefts, expires, number, answer = parts
            earlier = Reference(reference.member, int(number))
            return Held(earlier, int(expires), _integers(lefts), (), answer, state, repeated=True)
        case "missing":
            return Missing(tuple(index - 1 for index in _integers(parts[0])))
        case "refused":
            waits, lefts, settled = parts
            return Refused(_integers(lefts), _integers(settled), _integers(waits))
    return Conflict()


def _standing(version: int, limit: int, settled: int, left: int) -> Standing | None:
    return None if version < 0 else Standing(settled, limit - settled - left, version)


def _integers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


def _quads(counters: str) -> Iterable[tuple[str, str, str, str]]:
    parts = counters.split()
    return zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=True)


def _by_unit(counters: str) -> dict[str, int]:
    """The largest of each unit: budgets may hold different amounts of a call whose cost is not known."""
    held: dict[str, int] = {}
    for _, unit, amount, _ in _quads(counters):
        held[unit] = max(held.get(unit, 0), int(amount))
    return held


def _charges(counters: str) -> tuple[tuple[str, str, int], ...]:
    return tuple((name, unit, int(after)) for name, unit, _, after in _quads(counters))
