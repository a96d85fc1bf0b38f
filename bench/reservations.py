"""Reservations beside what the same client can do at best, and beside row locks in Postgres; and that limits hold."""

import random
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from threading import Thread

import psycopg
import redis
from django.conf import settings
from django.db import connections

from bench import growth
from bench.limits import Rate
from bench.report import rate_line
from budgets.reservations.engine import Claim, Ending, Engine, Held, Refused, Settled, prefix_of
from budgets.reservations.reference import Reference
from common.ids import new_id

PROCESSES, THREADS = 4, 4  # 16 clients
SECONDS = 4.0
ROUNDS = 3
# A tree of three levels, each limited in two windows.
COUNTERS = [f"{level}.{window}" for level in (1, 2, 3) for window in (1, 2)]
# How many authorizations a settling worker ends at once; each of its rounds has up to 10,000 events.
BATCH = 100
RUNS = 100
LIMIT = 10**17
OWNER = 7

_fork = get_context("fork")
# What one client does until its time is up; it answers how often it did it.
Client = Callable[[float], int]


def measure() -> None:
    print()
    bare = _quietest(_bare)
    rate_line("reserve + commit, 16 clients", _quietest(_reserve_and_commit), "bare EVALSHA", bare, wanted=0.5)
    rate_line("  each committed on its own", _quietest(_one_by_one), "bare EVALSHA", bare, wanted=0.3)
    rate_line("  the same", _quietest(_one_by_one), "row locks in Postgres", _quietest(_row_locks), wanted=1)
    growth.measure()
    _exactness()


def _quietest(client: Callable[[], Client]) -> Rate:
    return max((_rate(client) for _ in range(ROUNDS)), key=lambda rate: rate.per_second)


def _rate(make: Callable[[], Client]) -> Rate:
    """Of all clients together."""
    queue = _fork.SimpleQueue()
    begin = time.time() + 0.5

    def process() -> None:
        done: list[int] = []
        clients = [make() for _ in range(THREADS)]
        time.sleep(max(0.0, begin - time.time()))
        threads = [Thread(target=lambda each=each: done.append(each(begin + SECONDS))) for each in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue.put(sum(done))

    processes = [_fork.Process(target=process) for _ in range(PROCESSES)]
    for each in processes:
        each.start()
    total = sum(queue.get() for _ in processes)
    for each in processes:
        each.join()
    return Rate(total, SECONDS)


class _Org:
    """One organization whose counters all clients share."""

    id = 1


def _claims(amount: int = 1_000) -> list[Claim]:
    return [Claim(counter, "cost", LIMIT, amount, amount, 0, refuses=True) for counter in COUNTERS]


def _sums() -> list[Settled]:
    """As if the ledger had just changed, so that every one of them is written."""
    return [Settled(counter, 0, int(time.time() * 1e6)) for counter in COUNTERS]


def _ready(counters: Sequence[str] = COUNTERS) -> Engine:
    engine = Engine(settings.REDIS_URL)
    engine.open(_Org.id, [(counter, 4_000_000_000_000) for counter in counters])
    engine.settle(_Org.id, [Settled(counter, 0, 0) for counter in counters], [])
    return engine


def _reserve(engine: Engine) -> Held | Refused:
    answer = engine.reserve(
        _Org.id, reference=Reference.new(virtual_key_id=OWNER, caller_id=str(new_id())), owner=OWNER, digest="d" * 32,
        claims=_claims(), lease_ms=120_000, answer="x" * 600, record="x" * 200,
    )  # fmt: skip
    if not isinstance(answer, Held | Refused):
        raise TypeError(answer)
    return answer


def _reserve_and_commit() -> Client:
    """Commits as settling does: many in one step."""
    engine = _ready()

    def client(until: float) -> int:
        done, held = 0, []
        while time.time() < until:
            answer = _reserve(engine)
            if isinstance(answer, Held):
                held.append(Ending(answer.reference, OWNER))
            if len(held) == BATCH:
                engine.settle(_Org.id, _sums(), held)
                done, held = done + BATCH, []
        engine.settle(_Org.id, _sums(), held)
        return done + len(held)

    return client


def _one_by_one() -> Client:
    engine = _ready()

    def client(until: float) -> int:
        done = 0
        while time.time() < until:
            answer = _reserve(engine)
            if isinstance(answer, Held):
                engine.settle(_Org.id, _sums(), [Ending(answer.reference, OWNER)])
                done += 1
        return done

    return client


def _bare() -> Client:
    """A script that does next to nothing, sent with as many keys and arguments as a reservation."""
    client_ = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    script = client_.register_script("return {'held', ARGV[1], redis.call('GET', KEYS[1])}")
    prefix = prefix_of(_Org.id)
    keys = [f"{prefix}{name}" for name in ("bare", "leases", "lapsed", *COUNTERS)]
    arguments: list[str | int] = [prefix, "m" * 24, new_id(), OWNER, "d" * 32, 120_000, "x" * 600, "x" * 200]
    arguments += ["1.1 cost 1000 0 " * len(COUNTERS), len(COUNTERS), 0]
    for _ in COUNTERS:
        arguments += [LIMIT, 1000, 1000, 1, ""]

    def client(until: float) -> int:
        done = 0
        while time.time() < until:
            script(keys=keys, args=arguments)
            done += 1
        return done

    return client


def _row_locks() -> Client:
    """A row per budget and window, locked, checked and changed in one transaction; and again to commit."""
    owner = connections["owner"]
    parameters = owner.get_connection_params()
    owner.close()
    wanted = ("dbname", "host", "port", "user", "password")
    own = psycopg.connect(**{name: parameters[name] for name in wanted if name in parameters})
    with own.transaction():
        own.execute("SELECT pg_advisory_xact_lock(1)")
        own.execute(
            "CREATE TABLE IF NOT EXISTS bench_counter (id int PRIMARY KEY, room bigint, held bigint, spent bigint)"
        )
        own.execute("CREATE TABLE IF NOT EXISTS bench_hold (id bigint PRIMARY KEY, amount bigint)")
        own.execute(
            "INSERT INTO bench_counter SELECT id, %s, 0, 0 FROM generate_series(1, %s) AS id ON CONFLICT DO NOTHING",
            [LIMIT, len(COUNTERS)],
        )

    def change(hold: int, held: int, spent: int) -> None:
        with own.transaction():
            own.execute("SELECT id FROM bench_counter ORDER BY id FOR UPDATE")
            own.execute(
                "UPDATE bench_counter SET held = held + %s, spent = spent + %s WHERE spent + held + %s <= room",
                [held, spent, held],
            )
            if held > 0:
                own.execute("INSERT INTO bench_hold VALUES (%s, %s)", [hold, held])
            else:
                own.execute("DELETE FROM bench_hold WHERE id = %s", [hold])

    def client(until: float) -> int:
        done = 0
        while time.time() < until:
            hold = new_id()
            change(hold, 1_000, 0)
            change(hold, -1_000, 900)
            done += 1
        own.close()
        return done

    return client


def _exactness() -> None:
    """64 callers in 4 processes against one counter with room for exactly so many, again and again."""
    exact = 0
    for run in range(RUNS):
        room = random.randint(1, 120)
        _ready([f"{run}.exact"])
        allowed = _allowed(f"{run}.exact", room)
        exact += allowed == room
    print(
        f"\n64 callers over 4 processes, room for exactly N: exact in {exact} of {RUNS} runs (wanted: {RUNS})",
        flush=True,
    )


def _allowed(counter: str, room: int) -> int:
    queue = _fork.SimpleQueue()
    barrier = _fork.Barrier(PROCESSES * 16)

    def process() -> None:
        engine, allowed = Engine(settings.REDIS_URL), []

        def caller() -> None:
            barrier.wait()
            for _ in range(2):
                answer = engine.reserve(
                    _Org.id, reference=Reference.new(virtual_key_id=OWNER, caller_id=str(new_id())), owner=OWNER,
                    digest="", claims=[Claim(counter, "cost", room * 10**15, 10**15, 10**15, 0, refuses=True)],
                    lease_ms=60_000,
                )  # fmt: skip
                allowed.append(isinstance(answer, Held))

        threads = [Thread(target=caller) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue.put(sum(allowed))

    processes = [_fork.Process(target=process) for _ in range(PROCESSES)]
    for each in processes:
        each.start()
    total: int = sum(queue.get() for _ in processes)
    for each in processes:
        each.join()
    return total
