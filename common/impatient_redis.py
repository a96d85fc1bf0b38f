"""Redis for paths that must not wait: a call fails as soon as there is no answer in time."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def impatient_client(url: str, *, timeout_s: float) -> redis.Redis:
    """A client that tries once; a call raises RedisError `timeout_s` seconds after nothing came. Answers are text."""
    client: redis.Redis = redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    return client
