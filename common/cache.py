"""The cache holds rate counters and nothing else. Without Redis everything goes on as if the cache were empty."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# Seconds during which a Redis that just failed is not asked again: a request makes many calls, and each may wait.
REST_S = 5.0

_Answer = TypeVar("_Answer")


class FailOpenRedisCache(RedisCache):
    """Django's Redis cache whose reads, writes and deletes never raise because Redis is away.

    `add` then answers True, as for a key that was free: whoever takes it for a lock may go on.
    """

    _rests_until: ClassVar[float] = 0.0

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._tried(partial(super().add, key, value, timeout, version), True)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._tried(partial(super().get, key, default, version), default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._tried(partial(super().set, key, value, timeout, version), None)

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._tried(partial(super().delete, key, version), False)

    def _tried(self, call: Callable[[], _Answer], without_redis: _Answer) -> _Answer:
        if time.monotonic() < FailOpenRedisCache._rests_until:
            return without_redis
        try:
            return call()
        except RedisError as error:
            FailOpenRedisCache._rests_until = time.monotonic() + REST_S
            log.warning("Redis does not answer, so nobody's rate is limited for now: %s", error)
            return without_redis
