"""Buckets in a real Redis and in the process: never more than the quota, all or nothing, and no error without Redis."""

import threading
import time
from uuid import uuid4

import pytest
import redis
from django.conf import settings

from common.quotas import Quota
from common.rate_counters import Ask, Counters, Own, Shared

# Refills so slowly that a test sees no unit come back.
SLOW = 3600
NOWHERE = "unix:///tmp/there-is-no-redis.sock"


@pytest.fixture
def bucket() -> str:
    return f"test:{{{uuid4()}}}"


@pytest.mark.parametrize("kind", [lambda: Shared(settings.REDIS_URL), Own], ids=["shared", "own"])
def test_a_bucket_gives_out_what_it_holds(kind: type[Own], bucket: str) -> None:
    quota, buckets = Quota("q", 10, seconds=SLOW), kind()
    given = [buckets.take([Ask(bucket, quota, 3)]) for _ in range(4)]
    assert [fits for fits, _ in given] == [True, True, True, False]
    assert [standing.left for _, (standing,) in given] == [7, 4, 1, 1]
    assert given[3][1][0].short == pytest.approx(2 * SLOW / 10, abs=2)


@pytest.mark.parametrize("kind", [lambda: Shared(settings.REDIS_URL), Own], ids=["shared", "own"])
def test_all_of_it_or_nothing(kind: type[Own], bucket: str) -> None:
    wide, narrow, buckets = Quota("wide", 10, seconds=SLOW), Quota("narrow", 2, seconds=SLOW), kind()
    fits, (first, second) = buckets.take([Ask(f"{bucket}:w", wide, 1), Ask(f"{bucket}:n", narrow, 3 - 1)])
    assert (fits, first.left, second.left) == (True, 9, 0)
    fits, (first, second) = buckets.take([Ask(f"{bucket}:w", wide, 1), Ask(f"{bucket}:n", narrow, 1)])
    assert (fits, first.left, second.left) == (False, 9, 0)
    assert first.short == 0
    assert second.short > 0


@pytest.mark.parametrize("kind", [lambda: Shared(settings.REDIS_URL), Own], ids=["shared", "own"])
def test_time_pays_off(kind: type[Own], bucket: str) -> None:
    quota, buckets = Quota("q", 5), kind()
    assert buckets.take([Ask(bucket, quota, 5)])[0]
    assert not buckets.take([Ask(bucket, quota, 1)])[0]
    time.sleep(0.25)
    assert buckets.take([Ask(bucket, quota, 1)])[0]


def test_two_processes_share_a_bucket(bucket: str) -> None:
    quota = Quota("q", 10, seconds=SLOW)
    one, other = Shared(settings.REDIS_URL), Shared(settings.REDIS_URL)
    assert one.take([Ask(bucket, quota, 6)])[0]
    fits, (standing,) = other.take([Ask(bucket, quota, 6)])
    assert (fits, standing.left) == (False, 4)


def test_what_is_taken_ahead_never_lets_more_through(bucket: str) -> None:
    """Several threads in two processes, with a part of the quota taken ahead: at most the quota, nearly all of it."""
    quota = Quota("q", 1000, seconds=SLOW)
    given: list[int] = []

    def use(buckets: Shared) -> None:
        given.append(sum(buckets.take([Ask(bucket, quota, 1)])[0] for _ in range(400)))

    processes = [Shared(settings.REDIS_URL) for _ in range(2)]
    threads = [threading.Thread(target=use, args=(process,)) for process in processes for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A process may hold a fiftieth back when the other finds nothing left, and forgoes it when it is slow.
    assert 900 <= sum(given) <= 1000


def test_most_requests_need_no_round_trip(bucket: str) -> None:
    quota, buckets = Quota("q", 10_000), Shared(settings.REDIS_URL)
    client = redis.Redis.from_url(settings.REDIS_URL)
    before = client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    lefts = [buckets.take([Ask(bucket, quota, 1)])[1][0].left for _ in range(100)]
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] - before < 10
    assert lefts[0] - lefts[50] > 0


def test_a_clock_that_stepped_back_refuses_for_no_longer_than_a_window(bucket: str) -> None:
    quota = Quota("q", 10)
    ahead = (time.time() + 3600) * 1_000_000
    redis.Redis.from_url(settings.REDIS_URL).set(bucket, f"{ahead:.2f}")
    fits, (standing,) = Shared(settings.REDIS_URL).take([Ask(bucket, quota, 1)])
    assert (fits, standing.debt) == (False, 1.0)
    assert standing.retry_after == 1


def test_without_redis_the_process_counts_for_itself(bucket: str) -> None:
    quota, counters = Quota("q", 2, seconds=SLOW), Counters(NOWHERE)
    started = time.monotonic()
    assert [counters.take([Ask(bucket, quota, 1)])[0] for _ in range(3)] == [True, True, False]
    assert time.monotonic() - started < 1


def test_a_flushed_redis_forgets_the_script_and_goes_on(bucket: str) -> None:
    quota, counters = Quota("q", 10, seconds=SLOW), Counters(settings.REDIS_URL)
    counters.take([Ask(bucket, quota, 10)])
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.script_flush()
    client.delete(bucket)
    fits, (standing,) = counters.take([Ask(bucket, quota, 1)])
    assert (fits, standing.left) == (True, 9)
