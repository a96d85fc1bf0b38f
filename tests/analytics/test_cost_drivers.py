"""Why a bill changed: worked examples by hand, and that the parts always add up to the nano-dollar."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.cost_drivers import Amounts, Drivers, Pair, drivers

A = Amounts
# However busy the machine is.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("pairs", "parts"),
    [
        ([], Drivers()),
        # Twice the requests, everything else the same.
        ([Pair(A(1_000, 10, 100), A(2_000, 20, 200))], Drivers(volume=1_000)),
        # The same requests with twice the tokens.
        ([Pair(A(1_000, 10, 100), A(2_000, 10, 200))], Drivers(tokens=1_000)),
        # The same usage at a lower price.
        ([Pair(A(1_000, 10, 100), A(700, 10, 100))], Drivers(price=-300)),
        # Half of the tokens moved to a model of a tenth of the price: 10 a token before, 1 there.
        (
            [Pair(A(2_000, 20, 200), A(1_000, 10, 100)), Pair(A(100, 10, 100), A(200, 20, 200))],
            Drivers(mix=-900),
        ),
        # Two reasons at once: three times the requests, and the price doubled.
        ([Pair(A(1_000, 10, 100), A(6_000, 30, 300))], Drivers(volume=2_000, price=3_000)),
        # A model that is new counts at its own price, as mix; the average token cost 10.
        (
            [Pair(A(1_000, 10, 100), A(1_000, 10, 100)), Pair(A(), A(3_000, 10, 100))],
            Drivers(volume=1_000, mix=2_000),
        ),
        # One that is gone takes its requests along.
        (
            [Pair(A(1_000, 10, 100), A(1_000, 10, 100)), Pair(A(3_000, 10, 100), A())],
            Drivers(volume=-2_000, mix=-1_000),
        ),
        # Nothing before: all of it is usage that was not there. Nothing now: the reverse.
        ([Pair(A(), A(500, 5, 50))], Drivers(volume=500)),
        ([Pair(A(500, 5, 50), A())], Drivers(volume=-500)),
        # Priced by the request: no tokens to speak of.
        ([Pair(A(1_000, 10), A(3_000, 20))], Drivers(volume=1_000, price=1_000)),
        # A fee and a correction have no requests.
        ([Pair(A(1_000, 10, 100), A(1_000, 10, 100)), Pair(A(50), A(80))], Drivers(other=30)),
        # Free before.
        ([Pair(A(0, 10, 100), A(900, 10, 100))], Drivers(volume=900)),
    ],
)
def test_the_parts(pairs: list[Pair], parts: Drivers) -> None:
    assert drivers(pairs) == parts


amounts = st.one_of(
    st.just(Amounts()),
    st.builds(Amounts, st.integers(-(10**6), 10**15), st.just(0), st.just(0)),
    st.builds(Amounts, st.integers(0, 10**15), st.integers(0, 10**9), st.integers(0, 10**13)),
)


@calm
@given(st.lists(st.builds(Pair, amounts, amounts), max_size=8))
def test_the_parts_add_up_to_the_change(pairs: list[Pair]) -> None:
    change = sum(pair.now.cost - pair.before.cost for pair in pairs)
    assert drivers(pairs).change == change


@calm
@given(st.lists(st.builds(Pair, amounts, amounts), max_size=8))
def test_the_order_of_the_kinds_says_nothing(pairs: list[Pair]) -> None:
    assert drivers(pairs) == drivers(reversed(pairs))


@calm
@given(st.lists(amounts, max_size=8))
def test_nothing_changed_has_no_reasons(same: list[Amounts]) -> None:
    assert drivers([Pair(each, each) for each in same]).change == 0


@calm
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 1_000), st.integers(1, 50))
def test_more_of_the_same_is_volume_alone(cost: int, tokens: int, requests: int, times: int) -> None:
    before = Amounts(cost, requests, tokens)
    now = Amounts(cost * times, requests * times, tokens * times)
    assert drivers([Pair(before, now)]) == Drivers(volume=cost * (times - 1))


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (Drivers(volume=5, price=-9), "price"),
        # What pulled the other way, however hard, is no reason for where the bill went.
        (Drivers(volume=600, tokens=100, mix=-650), "volume"),
        (Drivers(volume=600, mix=-600), ""),
        (Drivers(), ""),
    ],
)
def test_the_biggest_part_has_a_name(parts: Drivers, name: str) -> None:
    assert parts.biggest == name
