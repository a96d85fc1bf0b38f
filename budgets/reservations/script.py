"""The Lua scripts that change counters, each one step that nobody sees half of."""

from functools import cache
from pathlib import Path

import redis
from redis.commands.core import Script

_FOLDER = Path(__file__).parent / "lua"


class Scripts:
    """The scripts of one client. A call raises RedisError when Redis does not answer in time."""

    def __init__(self, client: redis.Redis) -> None:
        self.reserve = _script(client, "reserve")
        self.settle = _script(client, "settle")
        self.open = _script(client, "open")
        self.renew = _script(client, "renew")
        self.release = _script(client, "release")
        self.lapsed = _script(client, "lapsed")
        self.forget = _script(client, "forget")


def _script(client: redis.Redis, name: str) -> Script:
    return client.register_script(source(name))


@cache
def source(name: str) -> str:
    return f"{(_FOLDER / 'common.lua').read_text()}\n{(_FOLDER / f'{name}.lua').read_text()}"
