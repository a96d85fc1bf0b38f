"""The buckets of `common.quotas`: shared by all processes in Redis, each process's own while Redis is away.

A round trip for every request would cost more than the rest of admitting it. So a process takes a small part of a quota
ahead and gives it out by itself for a moment; what it did not need by then is forgone. No more than the quota ever goes
through, and up to a fiftieth of it per process may be refused too early.

Without Redis every process lets the whole quota through, so that a caller gets at most as many times its quota as there
are processes: usage is never refused because a counter is missing.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import redis
from django.conf import settings

from common.impatient_redis import impatient_client
from common.quotas import Quota, Standing, debt_at

log = logging.getLogger(__name__)

# What a request may lose by waiting for Redis, and how long a Redis that just failed is not asked again.
TIMEOUT_S = 0.1
REST_S = 5.0
# The part of a quota that a process takes ahead, and for how long it may give it out.
AHEAD = 50
AHEAD_S = 0.25
# Past this many buckets a process forgets those that say nothing any more.
OWN_BUCKETS = 10_000

# Per key: what must fit, what is taken where that fits too, and the size of the bucket; all in microseconds of
# refilling. The answer: 1 when all of it fits, and per key the debt after and what was taken. Redis' own clock, since
# those of the web machines may differ.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('MGET', unpack(KEYS))
local debts, fits = {}, 1
for i = 1, #KEYS do
    local size = tonumber(ARGV[3 * i])
    debts[i] = math.max(0, math.min(size, (tonumber(kept[i]) or 0) - now))
    if debts[i] + tonumber(ARGV[3 * i - 2]) > size + 0.5 then fits = 0 end
end
local answer = {fits}
for i = 1, #KEYS do
    local take = 0
    if fits == 1 then
        take = tonumber(ARGV[3 * i - 1])
        if debts[i] + take > tonumber(ARGV[3 * i]) + 0.5 then take = tonumber(ARGV[3 * i - 2]) end
        debts[i] = debts[i] + take
        if take > 0 then
            redis.call('SET', KEYS[i], string.format('%.2f', now + debts[i]), 'PX', math.ceil(debts[i] / 1000) + 1)
        end
    end
    answer[#answer + 1] = string.format('%.0f', debts[i])
    answer[#answer + 1] = string.format('%.2f', take)
end
return answer
"""
_MICROSECONDS = 1_000_000


class Ask(NamedTuple):
    """So many units of one bucket. Buckets asked for together share a hash tag, which a Redis cluster wants."""

    bucket: str
    quota: Quota
    units: int


@dataclass(slots=True)
class _Ahead:
    """Units that this process took and has not given out; `debt` is the bucket's when it took them."""

    units: int
    until: float
    debt: float


class Shared:
    """Buckets in Redis. `take` raises RedisError when Redis does not answer in time."""

    def __init__(self, url: str) -> None:
        client = impatient_client(url, timeout_s=TIMEOUT_S)
        self._script = client.register_script(_TAKE)
        self._lock = threading.Lock()
        self._ahead: dict[str, _Ahead] = {}

    def take(self, asks: Sequence[Ask]) -> tuple[bool, list[Standing]]:
        """Takes all units or none; whether it did, and where every quota stands."""
        with self._lock:
            drawn = self._draw(asks, time.monotonic())
            if all(ask.bucket in self._ahead and ask.units == units for ask, units in zip(asks, drawn, strict=True)):
                return True, [self._standing(ask) for ask in asks]
        answer = self._ask(asks, drawn)
        with self._lock:
            return self._receive(asks, drawn, answer)

    def _draw(self, asks: Sequence[Ask], now: float) -> list[int]:
        """Takes of each bucket what this process has of it. What it has had for too long is forgone."""
        drawn = []
        for bucket, _, units in asks:
            ahead = self._ahead.get(bucket)
            if ahead is None or ahead.until < now:
                self._ahead.pop(bucket, None)
                drawn.append(0)
            else:
                drawn.append(min(units, ahead.units))
                ahead.units -= drawn[-1]
        return drawn

    def _standing(self, ask: Ask) -> Standing:
        ahead = self._ahead[ask.bucket]
        return Standing(ask.quota, ask.quota.left(ahead.debt) + ahead.units, ahead.debt)

    def _ask(self, asks: Sequence[Ask], drawn: Sequence[int]) -> list[str]:
        figures: list[float] = []
        for (bucket, quota, units), had in zip(asks, drawn, strict=True):
            least = quota.price(units - had)
            wanted = 0.0 if had == units and bucket in self._ahead else quota.price(quota.amount // AHEAD)
            figures += [least, max(least, wanted), quota.seconds]
        answer: list[str] = self._script(
            keys=[ask.bucket for ask in asks], args=[figure * _MICROSECONDS for figure in figures]
        )
        return answer

    def _receive(self, asks: Sequence[Ask], drawn: Sequence[int], answer: Sequence[str]) -> tuple[bool, list[Standing]]:
        """Keeps what came in beyond what was asked for; when it was refused, what had been drawn goes back."""
        fits = bool(answer[0])
        until = time.monotonic() + AHEAD_S
        self._forget()
        standings = []
        for ask, had, debt_us, taken_us in zip(asks, drawn, answer[1::2], answer[2::2], strict=True):
            quota, debt = ask.quota, float(debt_us) / _MICROSECONDS
            came = round(float(taken_us) / _MICROSECONDS * quota.amount / quota.seconds)
            ahead = self._ahead.setdefault(ask.bucket, _Ahead(0, until, debt))
            ahead.units += max(0, came - (ask.units - had)) if fits else had
            ahead.until, ahead.debt = until, debt
            short = 0.0 if fits else quota.shortage(debt, ask.units - had)
            standings.append(self._standing(ask)._replace(short=short))
        return fits, standings

    def _forget(self) -> None:
        if len(self._ahead) > OWN_BUCKETS:
            now = time.monotonic()
            self._ahead = {bucket: ahead for bucket, ahead in self._ahead.items() if ahead.until > now}


class Own:
    """The buckets of this process alone, by a clock that nobody sets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}

    def take(self, asks: Sequence[Ask]) -> tuple[bool, list[Standing]]:
        """Takes all units or none; whether it did, and where every quota stands."""
        now = time.monotonic()
        with self._lock:
            debts = [debt_at(self._full_at.get(bucket, now), now, quota) for bucket, quota, _ in asks]
            short = [quota.shortage(debt, units) for (_, quota, units), debt in zip(asks, debts, strict=True)]
            fits = not any(short)
            if fits:
                debts = [debt + quota.price(units) for (_, quota, units), debt in zip(asks, debts, strict=True)]
                self._forget(now)
                self._full_at.update({ask.bucket: now + debt for ask, debt in zip(asks, debts, strict=True)})
        return fits, [
            Standing(ask.quota, ask.quota.left(debt), debt, seconds)
            for ask, debt, seconds in zip(asks, debts, short, strict=True)
        ]

    def _forget(self, now: float) -> None:
        if len(self._full_at) > OWN_BUCKETS:
            self._full_at = {bucket: full_at for bucket, full_at in self._full_at.items() if full_at > now}


class Counters:
    """The shared buckets, and the process's own while Redis is away. Never raises because of Redis."""

    def __init__(self, url: str) -> None:
        self._shared = Shared(url)
        self._own = Own()
        self._rests_until = 0.0

    def take(self, asks: Sequence[Ask]) -> tuple[bool, list[Standing]]:
        """Takes all units or none; whether it did, and where every quota stands."""
        if time.monotonic() < self._rests_until:
            return self._own.take(asks)
        try:
            return self._shared.take(asks)
        except redis.RedisError as error:
            self._rests_until = time.monotonic() + REST_S
            log.warning("Redis does not answer, so each process counts rates for itself: %s", error)
            return self._own.take(asks)


@cache
def counters() -> Counters:
    """The counters of this process, connected when they are first used."""
    return Counters(settings.REDIS_URL)
