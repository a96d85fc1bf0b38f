"""What a budget would have done, over calls written down by hand and over any calls there may be."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.backtest import AFFECTED, Call, Mark, Outcome, Replay, Step, Tally, Trial, replay
from budgets.models import Action
from budgets.windows import Window

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAILY = Window("day", ZoneInfo("UTC"))
KEY, OTHER_KEY = 7, 8


def call(hours: float, cost: int, **fields: Any) -> Call:
    values: dict[str, Any] = {
        "at": MONDAY + timedelta(hours=hours), "cost": cost, "tokens": 10 * cost, "requests": 1, "unpriced": 0,
        "team_id": 1, "virtual_key_id": KEY, "customer": "acme", "model": "gpt-4o",
    }  # fmt: skip
    return Call(**values | fields)


def trial(limit: int, **fields: Any) -> Trial:
    values: dict[str, Any] = {"window": DAILY, "unit": "cost", "limit": limit, "hard": True}
    return Trial(**values | fields)


def run(trial: Trial, *calls: Call, before: Mapping[datetime, int] | None = None) -> Replay:
    return replay(trial, calls, before=before or {})


def costs(replay: Replay) -> dict[str, int]:
    return {outcome.value: replay.tally(outcome).cost for outcome in Outcome if replay.tally(outcome).calls}


def test_what_fits_goes_through_and_what_does_not_is_refused() -> None:
    result = run(trial(10), call(1, 6), call(2, 5), call(3, 4), call(4, 1), call(25, 9))
    assert costs(result) == {"allowed": 6 + 4 + 9, "refused": 5 + 1}
    first, second = result.windows
    assert first.stopped_from == MONDAY + timedelta(hours=2)
    assert first.full_at == MONDAY + timedelta(hours=3)
    assert (first.used, first.total) == (10, Tally(4, 16, 16))
    assert (second.stopped_from, second.full_at) == (None, None)


def test_a_full_budget_lets_through_what_costs_nothing_but_not_what_nobody_knows_the_cost_of() -> None:
    free, unknown = call(2, 0), call(3, 0, unpriced=1)
    result = run(trial(5), unknown, call(1, 5), free, unknown)
    assert [result.tally(outcome).calls for outcome in (Outcome.ALLOWED, Outcome.REFUSED)] == [3, 1]


def test_a_soft_budget_says_when_and_refuses_nothing() -> None:
    marks = (Mark(8, 80), Mark(5, 50), Mark(10, 100), Mark(99))
    (window,) = run(trial(10, hard=False, marks=marks), call(1, 6), call(2, 9)).windows
    at = [(mark.percent, (when - MONDAY) // timedelta(hours=1)) for mark, when in window.crossed]
    assert at == [(50, 1), (80, 2), (100, 2)]
    assert window.full_at == MONDAY + timedelta(hours=2)
    assert (window.used, window.stopped) == (15, Tally())


def test_what_was_used_before_counts_and_its_thresholds_are_over() -> None:
    marks = (Mark(5, 50), Mark(8, 80))
    (window,) = run(trial(10, marks=marks), call(5, 3), call(6, 1), before={MONDAY: 6}).windows
    assert [mark.percent for mark, _ in window.crossed] == [80]
    assert (window.before, window.used, window.total.cost) == (6, 10, 4)
    (full,) = run(trial(10), call(5, 1), before={MONDAY: 12}).windows
    assert (full.full_at, full.stopped.calls) == (MONDAY, 1)


def test_a_rolling_window_forgets_the_oldest_day() -> None:
    window = Window("rolling", ZoneInfo("UTC"), days=2)
    sunday = {MONDAY - timedelta(days=1): 8, MONDAY - timedelta(days=2): 99}
    result = run(trial(10, window=window), call(1, 2), call(2, 1), call(25, 8), call(49, 3), before=sunday)
    assert [(each.before, each.used, each.stopped.cost) for each in result.windows] == [
        (8, 10, 1),
        (2, 10, 0),
        (8, 8, 3),
    ]


@pytest.mark.parametrize(("unit", "refused"), [("cost", 2), ("tokens", 3), ("requests", 1)])
def test_the_unit_that_counts(unit: str, refused: int) -> None:
    limit = {"cost": 2, "tokens": 9, "requests": 2}[unit]
    assert run(trial(limit, unit=unit), *(call(hour, 2) for hour in range(3))).stopped.calls == refused


def test_what_is_certain_counts_and_cannot_be_stopped() -> None:
    fee = call(1, 50, requests=0, certain=True)
    result = run(trial(10, steps=(Step(1, Action.BLOCK),)), fee, call(2, 1))
    assert costs(result) == {"refused": 1}
    assert result.windows[0].used == 50


def test_without_a_price_where_that_is_not_allowed() -> None:
    nobody_knows = call(1, 0, unpriced=1)
    assert run(trial(10, block_unpriced=True), nobody_knows).stopped.calls == 1
    assert run(trial(10), nobody_knows).stopped.calls == 0


def test_the_strictest_step_that_is_reached() -> None:
    steps = (Step(5, Action.THROTTLE, requests_per_minute=1), Step(8, Action.APPROVE), Step(9, Action.BLOCK))
    calls = [call(1, 5), call(1, 1), call(1, 1), call(1.5, 2), call(2, 3), call(2.1, 1, certain=True), call(3, 2)]
    result = run(trial(100, hard=False, steps=steps), *calls)
    assert costs(result) == {"allowed": 5 + 1 + 2 + 1, "throttled": 1, "asked": 3, "refused": 2}


def test_tokens_per_minute() -> None:
    steps = (Step(0, Action.THROTTLE, tokens_per_minute=50),)
    result = run(trial(100, steps=steps), call(1, 3), call(1, 3), call(1, 2), call(1.1, 3))
    assert costs(result) == {"allowed": 3 + 2 + 3, "throttled": 3}


def test_degraded_calls_cost_what_the_cheaper_model_would() -> None:
    steps = (Step(5, Action.DEGRADE),)
    dear = call(1, 5, cheaper=1)
    result = run(trial(8, steps=steps), dear, dear, dear, call(2, 3), call(3, 1))
    assert costs(result) == {"allowed": 5 + 1, "degraded": 2, "refused": 3}
    assert result.spared == Tally(0, 8, 8)
    assert result.total.cost == 5 + 5 + 5 + 3 + 1


def test_a_call_that_stands_for_many_is_let_through_in_part() -> None:
    hour = call(1, 100, requests=20)
    result = run(trial(45, divisible=True), hour, hour)
    assert result.tally(Outcome.ALLOWED) == Tally(9, 45, 45)
    assert result.stopped == Tally(31, 155, 155)


def test_whose_calls_were_stopped() -> None:
    result = run(trial(1), call(1, 1), call(2, 2), call(3, 3, virtual_key_id=OTHER_KEY, customer=""))
    assert result.affected["virtual_key"] == {str(KEY): Tally(1, 2, 2), str(OTHER_KEY): Tally(1, 3, 3)}
    assert result.affected["customer"] == {"acme": Tally(1, 2, 2), "": Tally(1, 3, 3)}
    assert set(result.affected) == set(AFFECTED)


def test_nothing_happened() -> None:
    result = run(trial(1))
    assert (result.windows, result.affected, result.total) == ([], {}, Tally())


ANY_CALLS = st.lists(
    st.builds(
        call,
        st.integers(0, 23 * 4).map(lambda quarters: quarters / 4),
        st.integers(0, 50),
        cheaper=st.none() | st.just(0),
        certain=st.booleans(),
        unpriced=st.integers(0, 1),
        virtual_key_id=st.sampled_from([KEY, OTHER_KEY]),
    ),
    max_size=25,
).map(lambda calls: sorted(calls, key=lambda each: each.at))
# A machine that does much else is slow at making up calls, too.
unhurried = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ANY_STEPS = st.lists(
    st.builds(Step, st.integers(0, 300), st.sampled_from(Action), requests_per_minute=st.integers(0, 3)), max_size=3
).map(tuple)


@unhurried
@given(ANY_CALLS, st.integers(1, 400), ANY_STEPS, st.booleans(), st.booleans(), st.sampled_from(["cost", "tokens"]))
def test_everything_ends_somewhere_once(
    calls: Sequence[Call], limit: int, steps: tuple[Step, ...], hard: bool, divisible: bool, unit: str
) -> None:
    result = run(trial(limit, steps=steps, hard=hard, divisible=divisible, unit=unit, block_unpriced=hard), *calls)
    assert result.total.cost == sum(each.cost for each in calls)
    assert result.total.calls == len(calls)
    parts = [result.tally(outcome) for outcome in Outcome]
    assert sum(parts, result.spared) == result.total
    assert sum(each.used for each in result.windows) == result.tally(Outcome.ALLOWED, Outcome.DEGRADED).amount


@unhurried
@given(ANY_CALLS)
def test_a_limit_without_end_refuses_nothing(calls: Sequence[Call]) -> None:
    assert run(trial(10**27), *calls).stopped == Tally()


@unhurried
@given(ANY_CALLS, st.integers(1, 400), st.integers(0, 400), st.booleans())
def test_a_higher_limit_lets_no_less_money_through(
    calls: Sequence[Call], limit: int, more: int, divisible: bool
) -> None:
    low, high = (run(trial(each, divisible=divisible), *calls) for each in (limit, limit + more))
    assert low.tally(Outcome.ALLOWED).cost <= high.tally(Outcome.ALLOWED).cost


@unhurried
@given(ANY_CALLS, st.integers(1, 400))
def test_no_window_is_spent_past_its_limit_by_what_could_have_been_stopped(calls: Sequence[Call], limit: int) -> None:
    certain = sum(each.cost for each in calls if each.certain)
    assert all(each.used <= limit + certain for each in run(trial(limit), *calls).windows)
