"""Counters and holds in Redis, without budgets: what fits, what is given back, and that integers stay exact."""

import time
from collections.abc import Iterator

import pytest
from django.conf import settings

from budgets.reservations.engine import (
    Claim,
    Conflict,
    Ending,
    Engine,
    Held,
    Missing,
    Rate,
    Refused,
    Settled,
    prefix_of,
)
from budgets.reservations.reference import Reference
from common.ids import new_id

FAR = 4_000_000_000_000
MINUTE_NS = 60 * 10**9
OWNER = 7


@pytest.fixture
def engine() -> Engine:
    return Engine(settings.REDIS_URL)


@pytest.fixture
def organization(engine: Engine) -> Iterator[int]:
    number = new_id()
    yield number
    for key in engine.client.scan_iter(f"{prefix_of(number)}*"):
        engine.client.delete(key)


def load(engine: Engine, organization: int, counter: str = "a", settled: int = 0, version: int = 1) -> None:
    engine.open(organization, [(counter, FAR)])
    engine.settle(organization, [Settled(counter, settled, version)], [])


def claim(amount: int, limit: int = 100, *, counter: str = "a", after: int = 0, refuses: bool = True) -> Claim:
    return Claim(counter, "cost", limit, amount, amount, after, refuses)


def ask(
    engine: Engine,
    organization: int,
    *claims: Claim,
    name: str = "",
    lease_ms: int = 60_000,
    rates: tuple[Rate, ...] = (),
) -> Held | Refused | Missing | Conflict:
    return engine.reserve(
        organization,
        reference=Reference.new(virtual_key_id=OWNER, caller_id=name or str(new_id())),
        owner=OWNER,
        digest=str(claims),
        claims=claims,
        rates=rates,
        lease_ms=lease_ms,
        answer="given along",
    )


def held(answer: object) -> Held:
    assert isinstance(answer, Held)
    return answer


def left(engine: Engine, organization: int, counter: str = "a") -> tuple[int, int]:
    (standing,) = engine.standing(organization, [counter])
    assert standing is not None
    return standing.settled, standing.held


def test_what_fits_is_held_to_the_last_one(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=40)
    assert held(ask(engine, organization, claim(60))).lefts == (60,)
    assert ask(engine, organization, claim(1)) == Refused((0,), (40,), ())
    assert left(engine, organization) == (40, 60)


def test_all_or_nothing(engine: Engine, organization: int) -> None:
    load(engine, organization)
    load(engine, organization, "b", settled=95)
    refused = ask(engine, organization, claim(10), claim(10, counter="b"))
    assert refused == Refused((100, 5), (0, 95), ())
    assert left(engine, organization) == (0, 0)
    assert left(engine, organization, "b") == (95, 0)


def test_a_soft_counter_counts_and_refuses_nothing(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=100)
    assert held(ask(engine, organization, claim(10, refuses=False)))
    assert left(engine, organization) == (100, 10)


@pytest.mark.parametrize("limit", [2**53 - 1, 2**53 + 1, 10**18 - 1, 10**18])
def test_integers_that_no_double_holds(engine: Engine, organization: int, limit: int) -> None:
    load(engine, organization, settled=limit - 2)
    assert held(ask(engine, organization, claim(1, limit)))
    assert held(ask(engine, organization, claim(1, limit))).lefts == (1,)
    assert ask(engine, organization, claim(1, limit)) == Refused((0,), (limit - 2,), ())
    engine.settle(organization, [Settled("a", limit - 3, 2)], [])
    assert isinstance(ask(engine, organization, claim(2, limit)), Refused)
    assert held(ask(engine, organization, claim(1, limit)))


def test_far_beyond_its_limit(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=10**30)
    assert isinstance(ask(engine, organization, claim(1, 10**18)), Refused)


def test_a_counter_that_is_not_there_is_asked_for(engine: Engine, organization: int) -> None:
    load(engine, organization)
    assert ask(engine, organization, claim(1), claim(1, counter="b")) == Missing((1,))
    engine.open(organization, [("b", FAR)])
    assert ask(engine, organization, claim(1), claim(1, counter="b")) == Missing((1,))
    engine.settle(organization, [Settled("b", 0, 0)], [])
    assert held(ask(engine, organization, claim(1), claim(1, counter="b")))


def test_another_limit_counts_from_the_next_call_on(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=50)
    assert held(ask(engine, organization, claim(40, 100)))
    assert ask(engine, organization, claim(1, 80)) == Refused((-10,), (50,), ())
    assert held(ask(engine, organization, claim(110, 200))).lefts == (110,)


def test_usage_takes_the_place_of_its_hold(engine: Engine, organization: int) -> None:
    load(engine, organization)
    hold = held(ask(engine, organization, claim(60)))
    (ended,) = engine.settle(organization, [Settled("a", 45, 2)], [Ending(hold.reference, OWNER)])
    assert (ended.held, ended.state) == ({"cost": 60}, "held")
    assert left(engine, organization) == (45, 0)
    (again,) = engine.settle(organization, [], [Ending(hold.reference, OWNER)])
    assert again.held == {}
    assert left(engine, organization) == (45, 0)


def test_an_older_sum_never_replaces_a_newer_one(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=50, version=9)
    engine.settle(organization, [Settled("a", 10, 8)], [])
    assert left(engine, organization) == (50, 0)
    engine.settle(organization, [Settled("a", 20, 10)], [])
    assert left(engine, organization) == (20, 0)


def test_what_is_settled_while_a_counter_is_read_is_not_lost(engine: Engine, organization: int) -> None:
    engine.open(organization, [("a", FAR)])
    engine.settle(organization, [Settled("a", 70, 5)], [])
    engine.settle(organization, [Settled("a", 0, 4)], [])
    assert left(engine, organization) == (70, 0)


def test_nobody_elses_hold_is_ended(engine: Engine, organization: int) -> None:
    load(engine, organization)
    hold = held(ask(engine, organization, claim(60)))
    other = Reference(hold.reference.member, hold.reference.number + 1)
    for reference, owner in ((hold.reference, OWNER + 1), (other, OWNER)):
        engine.settle(organization, [], [Ending(reference, owner)])
        assert engine.release(organization, reference, owner=owner) == ""
        assert engine.renew(organization, reference, owner=owner, lease_ms=1000) == ("", 0)
        assert engine.hold(organization, reference, owner=owner) is None
    assert left(engine, organization) == (0, 60)


def test_released(engine: Engine, organization: int) -> None:
    load(engine, organization)
    hold = held(ask(engine, organization, claim(60)))
    assert engine.release(organization, hold.reference, owner=OWNER) == "held"
    assert engine.release(organization, hold.reference, owner=OWNER) == "released"
    assert left(engine, organization) == (0, 0)


def test_the_same_id_again(engine: Engine, organization: int) -> None:
    load(engine, organization)
    first = held(ask(engine, organization, claim(60), name="x"))
    again = held(ask(engine, organization, claim(60), name="x"))
    assert (again.reference, again.lefts, again.expires_ms) == (first.reference, first.lefts, first.expires_ms)
    assert (again.repeated, again.answer) == (True, "given along")
    assert ask(engine, organization, claim(59), name="x") == Conflict()
    assert left(engine, organization) == (0, 60)
    engine.release(organization, first.reference, owner=OWNER)
    assert held(ask(engine, organization, claim(60), name="x")).state == "released"


def test_a_refused_id_is_asked_anew(engine: Engine, organization: int) -> None:
    load(engine, organization)
    assert isinstance(ask(engine, organization, claim(101), name="x"), Refused)
    assert held(ask(engine, organization, claim(10), name="x"))


def test_a_lease_that_ends_blocks_no_longer(engine: Engine, organization: int) -> None:
    load(engine, organization)
    abandoned = held(ask(engine, organization, claim(100, after=30), lease_ms=1))
    time.sleep(0.005)
    assert held(ask(engine, organization, claim(70))).lefts == (70,)
    (lapsed,) = engine.lapsed(organization)
    assert (lapsed.reference, lapsed.owner, lapsed.charges) == (abandoned.reference, OWNER, (("a", "cost", 30),))
    assert engine.renew(organization, abandoned.reference, owner=OWNER, lease_ms=1000) == ("lapsed", 0)
    assert engine.release(organization, abandoned.reference, owner=OWNER) == "lapsed"
    engine.settle(organization, [Settled("a", 30, 2)], [Ending(abandoned.reference, OWNER)], state="abandoned")
    assert engine.lapsed(organization) == []
    assert left(engine, organization) == (30, 70)


def test_more_leases_than_one_step_ends(engine: Engine, organization: int) -> None:
    load(engine, organization)
    for _ in range(150):
        held(ask(engine, organization, claim(1, 200), lease_ms=60_000))
    engine.client.zadd(
        f"{prefix_of(organization)}leases",
        {str(member): 1 for member in engine.client.zrange(f"{prefix_of(organization)}leases", 0, -1)},
    )
    assert held(ask(engine, organization, claim(200, 200)))


def test_renewed_with_what_it_was(engine: Engine, organization: int) -> None:
    load(engine, organization)
    hold = held(ask(engine, organization, claim(60)))
    state, expires = engine.renew(organization, hold.reference, owner=OWNER, lease_ms=500_000)
    assert (state, expires > hold.expires_ms) == ("held", True)
    engine.renew(organization, hold.reference, owner=OWNER, lease_ms=500_000, actual=(72, 5, 1))
    assert left(engine, organization) == (0, 72)


def test_a_lost_counter_counts_its_holds_anew(engine: Engine, organization: int) -> None:
    load(engine, organization)
    held(ask(engine, organization, claim(60)))
    held(ask(engine, organization, claim(10, after=4), lease_ms=1))
    time.sleep(0.005)
    engine.lapsed(organization)
    engine.client.delete(f"{prefix_of(organization)}c:a")
    load(engine, organization, settled=5)
    assert held(ask(engine, organization, claim(1))).lefts == (31,)


def test_drift_is_seen_and_ended(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=5)
    held(ask(engine, organization, claim(60)))
    engine.client.hincrby(f"{prefix_of(organization)}c:a", "left", -7)
    (opened,) = engine.open(organization, [("a", FAR)])
    assert (opened.made, opened.before, opened.after) == (False, 28, 35)


def test_a_stop_refuses_what_would_fit(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=79)
    stopping = claim(1)._replace(stop=20)
    assert held(ask(engine, organization, stopping))
    assert ask(engine, organization, stopping) == Refused((20,), (79,), ())


def test_a_rate_lets_a_minutes_worth_through(engine: Engine, organization: int) -> None:
    load(engine, organization)
    rate = Rate("key", MINUTE_NS // 3)
    for _ in range(3):
        held(ask(engine, organization, claim(1), rates=(rate,)))
    refused = ask(engine, organization, claim(1), rates=(rate,))
    assert isinstance(refused, Refused)
    assert 19 * 10**9 < refused.waits[0] <= 20 * 10**9
    assert left(engine, organization) == (0, 3)


def test_a_throttle_begins_at_its_part(engine: Engine, organization: int) -> None:
    load(engine, organization, settled=49)
    throttle = Rate("budget", MINUTE_NS, (0, 50))
    assert held(ask(engine, organization, claim(1), rates=(throttle,)))
    assert held(ask(engine, organization, claim(1), rates=(throttle,)))
    assert isinstance(ask(engine, organization, claim(1), rates=(throttle,)), Refused)


def test_two_organizations_do_not_touch(engine: Engine, organization: int) -> None:
    load(engine, organization)
    other = new_id()
    load(engine, other)
    hold = held(ask(engine, organization, claim(100), name="x"))
    assert held(ask(engine, other, claim(100), name="x")).repeated is False
    assert engine.release(other, hold.reference, owner=OWNER) == ""
    assert left(engine, organization) == left(engine, other) == (0, 100)
    engine.client.delete(*engine.client.scan_iter(f"{prefix_of(other)}*"))


def test_a_reference_reads_back() -> None:
    reference = Reference.new(virtual_key_id=1, caller_id="a")
    assert Reference.parse(str(reference)) == reference
    assert Reference.new(virtual_key_id=1, caller_id="a").member == reference.member
    assert Reference.new(virtual_key_id=2, caller_id="a").member != reference.member
    for text in ("", "res_", str(reference)[:-1], str(reference).upper(), f"res_{'f' * 40}", f"{reference}\n"):
        assert Reference.parse(text) is None
