"""Counters and holds in Redis: the Python face of the scripts. Knows amounts and names, nothing of budgets or prices.

A counter is what may be used of one budget in one window: its limit less what is settled (the ledger in Postgres is the
truth of that) less what is held for calls in flight. All keys of an organization share a hash tag, so that they lie on
one node of a cluster; all its counters are one hash, so that a script reads and writes those of a call at once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from budgets.reservations.reference import Reference
from budgets.reservations.script import Counter, Scripts, amounts, asked, number, packed, pair, unpacked
from common.impatient_redis import impatient_client

# What an authorization may lose by waiting for Redis.
TIMEOUT_S = 0.5


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
    """What a counter says is settled, of which version of the ledger, and held; after `forgotten_ms` it may go."""

    settled: int
    held: int
    version: int
    forgotten_ms: int


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
        charges: list[int | str] = []
        terms: list[int | bool] = []
        for counter, unit, limit, amount, least, after, refuses, stop in claims:
            charges += (counter, unit, number(amount), number(after))
            terms += (*pair(limit), number(least), refuses, *((False, False) if stop is None else pair(stop)))
        speeds: list[int] = []
        for _, price, gate in rates:
            speeds += (price, 0, 0, 0) if gate is None else (price, gate[0] + 1, *pair(gate[1]))
        reply = self._scripts.reserve(
            [*_places(prefix), *(f"{prefix}r:{rate.name}" for rate in rates)],
            [
                prefix, reference.member, _by(reference, owner), lease_ms, answer, record, digest,
                packed(charges), packed(terms), packed(speeds),
            ],
        )  # fmt: skip
        return _reserved(reply, reference)

    def settle(
        self, organization_id: int, settled: Iterable[Settled], endings: Iterable[Ending], *, state: str = "committed"
    ) -> list[Ended]:
        """Brings in the ledger's sums and ends holds in one step; per ending what it had held."""
        prefix = prefix_of(organization_id)
        sums: list[int | str] = []
        for counter, amount, version in settled:
            sums += (counter, *pair(amount), version)
        ends = [part for reference, owner in endings for part in (reference.member, _by(reference, owner))]
        flat = unpacked(self._scripts.settle(_places(prefix), [prefix, state, packed(sums), packed(ends)]))
        return [
            Ended(_by_unit(charges), was) if was else Ended({}, "")
            for charges, was in zip(flat[::2], flat[1::2], strict=True)
        ]

    def open(self, organization_id: int, counters: Sequence[tuple[str, int]]) -> list[Opened]:
        """Makes counters (name, when it may be forgotten in ms) that are not there; `settle` must follow with what the
        ledger says, read after this. Counts the holds of all of them anew."""
        prefix = prefix_of(organization_id)
        wanted = [part for counter in counters for part in counter]
        flat = unpacked(self._scripts.open(_places(prefix), [prefix, packed(wanted)]))
        return [
            Opened(made, *amounts(before), *amounts(after))
            for made, before, after in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        ]

    def renew(
        self, organization_id: int, reference: Reference, *, owner: int, lease_ms: int, actual: Sequence[int] = ()
    ) -> tuple[str, int]:
        """Begins the lease anew; (state, when it expires in ms). Only what is `held` is renewed; the state is empty for
        what is not there. With `actual` (cost, tokens, requests) the hold counts with those from now on."""
        prefix = prefix_of(organization_id)
        reply = self._scripts.renew(
            _places(prefix),
            [
                prefix, reference.member, _by(reference, owner), lease_ms,
                packed([number(amount) for amount in actual]),
            ],
        )  # fmt: skip
        state, expires = unpacked(reply)
        return _text(state), expires

    def release(self, organization_id: int, reference: Reference, *, owner: int) -> str:
        """Ends a hold without a charge. The state it was in; empty when there is no such hold. Only what is `held`
        can be released."""
        prefix = prefix_of(organization_id)
        reply = self._scripts.release(_places(prefix), [prefix, reference.member, _by(reference, owner)])
        return _text(unpacked(reply))

    def lapsed(self, organization_id: int, *, most: int = 500) -> list[Lapsed]:
        """Holds whose lease has ended and that were not ended yet, oldest first."""
        prefix = prefix_of(organization_id)
        rows = unpacked(self._scripts.lapsed(_places(prefix), [prefix, most]))
        return [_lapsed(*row) for row in rows]

    def hold(self, organization_id: int, reference: Reference, *, owner: int) -> Hold | None:
        prefix = prefix_of(organization_id)
        found = unpacked(self._scripts.show(_places(prefix), [prefix, reference.member]))
        if not found or found[0] != _by(reference, owner):
            return None
        _, state, expires, answer, lefts = found
        return Hold(state, expires, answer, amounts(lefts))

    def counters(self, organization_id: int) -> list[str]:
        """The names of all counters that were made and not forgotten."""
        return sorted(map(str, self.client.hkeys(_counters(prefix_of(organization_id)))))

    def has_counters(self, organization_id: int) -> bool:
        return bool(self.client.exists(_counters(prefix_of(organization_id))))

    def forget(self, organization_id: int, counters: Collection[str]) -> None:
        if counters:
            self.client.hdel(_counters(prefix_of(organization_id)), *counters)

    def doubt(self, organization_id: int, counters: Sequence[str]) -> None:
        """The counters take part no longer until what the ledger says is brought in again."""
        if counters:
            prefix = prefix_of(organization_id)
            self._scripts.doubt(_places(prefix), [prefix, packed(counters)])

    def standing(self, organization_id: int, counters: Sequence[str]) -> list[Standing | None]:
        """Where each counter stands; None where there is none, or it was not loaded from the ledger yet."""
        if not counters:
            return []
        found = asked(self.client, "HMGET", _counters(prefix_of(organization_id)), *counters)
        return [_standing(kept) for kept in found]


def prefix_of(organization_id: int) -> str:
    return f"budget:{{{organization_id}}}:"


def _counters(prefix: str) -> str:
    return f"{prefix}c"


def _places(prefix: str) -> list[str]:
    """What every script may touch."""
    return [f"{prefix}leases", f"{prefix}lapsed", _counters(prefix)]


def _by(reference: Reference, owner: int) -> str:
    """By whom, and which use of its id: nobody ends another key's hold, nor a later one of the same id."""
    return f"{reference.number} {owner}"


def _reserved(reply: bytes, reference: Reference) -> Held | Refused | Missing | Conflict:
    kind, *parts = unpacked(reply)
    match kind:
        case "held":
            expires, lefts, settled = parts
            return Held(reference, expires, amounts(lefts), amounts(settled))
        case "known":
            state, lefts, expires, by, answer = parts
            earlier = Reference(reference.member, int(by.partition(" ")[0]))
            return Held(earlier, expires, amounts(lefts), (), answer, state, repeated=True)
        case "missing":
            return Missing(tuple(index - 1 for index in parts[0]))
        case "refused":
            waits, lefts, settled = parts
            return Refused(amounts(lefts), amounts(settled), tuple(waits))
    return Conflict()


def _lapsed(member: str, by: str, charges: Sequence[Any], record: str) -> Lapsed:
    number, _, owner = by.partition(" ")
    after = tuple((name, unit, amount) for name, unit, _, amount in _quads(charges))
    return Lapsed(Reference(member, int(number)), int(owner), after, _by_unit(charges), record)


def _standing(kept: bytes | None) -> Standing | None:
    if kept is None:
        return None
    version, limit, settled, left, forgotten = Counter.loads(kept)
    return None if version < 0 else Standing(settled, limit - settled - left, version, forgotten)


def _text(state: str | Literal[False]) -> str:
    """Lua says false for nothing."""
    return state or ""


def _quads(flat: Sequence[Any]) -> Iterable[tuple[str, str, int, int]]:
    """(name of the counter, unit, amount, what it counts with once lapsed)"""
    return zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)


def _by_unit(flat: Sequence[Any]) -> dict[str, int]:
    """The largest of each unit: budgets may hold different amounts of a call whose cost is not known."""
    held: dict[str, int] = {}
    for _, unit, amount, _ in _quads(flat):
        held[unit] = max(held.get(unit, 0), amount)
    return held
