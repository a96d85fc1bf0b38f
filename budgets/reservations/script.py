"""The Lua scripts that change counters, each one step that nobody sees half of, and the form of what goes in and out.

Lists go as MessagePack, in one argument each: the client takes longer over every argument than the script over all of
them.
"""

import struct
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis
from redis.exceptions import NoScriptError

_FOLDER = Path(__file__).parent / "lua"
# A Lua number is exact up to 2^53, so what may be more goes as two: high * BASE + low, low from 0 up to BASE.
BASE = 10**9
LARGEST_NUMBER = 2**53 - 1
LARGEST = 4 * 10**24
_COUNTER = struct.Struct(">8d")

packed = msgspec.msgpack.Encoder().encode
unpacked = msgspec.msgpack.Decoder().decode


def pair(amount: int) -> tuple[int, int]:
    """(high, low); more than a pair can say is not told apart."""
    return divmod(max(-LARGEST, min(amount, LARGEST)), BASE)


def number(amount: int) -> int:
    """What one call counts with; more than a Lua number can say is not told apart."""
    return max(-LARGEST_NUMBER, min(amount, LARGEST_NUMBER))


def amounts(pairs: Sequence[int]) -> tuple[int, ...]:
    """Of a flat list of pairs."""
    return tuple(int(high) * BASE + int(low) for high, low in zip(pairs[::2], pairs[1::2], strict=True))


class Counter(NamedTuple):
    """A counter as it is stored: what `common.lua` says of it."""

    version: int
    limit: int
    settled: int
    left: int
    forgotten_ms: int

    @classmethod
    def loads(cls, stored: bytes) -> "Counter":
        version, *pairs, forgotten = map(int, _COUNTER.unpack(stored))
        limit, settled, left = amounts(pairs)
        return cls(version, limit, settled, left, forgotten)

    def dumps(self) -> bytes:
        pairs = (*pair(self.limit), *pair(self.settled), *pair(self.left))
        return _COUNTER.pack(self.version, *pairs, self.forgotten_ms)


def asked(client: redis.Redis, *command: bytes | str | int) -> Any:
    """The answer to a command with bytes for text: a client that reads text cannot read what is packed."""
    execute: Callable[..., Any] = client.execute_command
    return execute(*command, NEVER_DECODE=True)


class Script:
    """One script of one client. A call raises RedisError when Redis does not answer in time."""

    def __init__(self, client: redis.Redis, source: str) -> None:
        self._client, self._source = client, source
        self._sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> bytes:
        try:
            return self._run(keys, arguments)
        except NoScriptError:
            # A Redis that was started anew knows no scripts.
            self._client.script_load(self._source)
            return self._run(keys, arguments)

    def _run(self, keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> bytes:
        answer: bytes = asked(self._client, "EVALSHA", self._sha, len(keys), *keys, *arguments)
        return answer


class Scripts:
    """The scripts of one client."""

    def __init__(self, client: redis.Redis) -> None:
        self.reserve = Script(client, source("reserve"))
        self.settle = Script(client, source("settle"))
        self.open = Script(client, source("open"))
        self.renew = Script(client, source("renew"))
        self.show = Script(client, source("show"))
        self.release = Script(client, source("release"))
        self.lapsed = Script(client, source("lapsed"))
        self.doubt = Script(client, source("doubt"))


@cache
def source(name: str) -> str:
    return f"{(_FOLDER / 'common.lua').read_text()}\n{(_FOLDER / f'{name}.lua').read_text()}"
