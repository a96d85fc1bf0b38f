from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pricing.history import changes, terms_at
from pricing.price_source import SourcePeriod
from pricing.terms import NO_PRICE, Terms

A, B, C = (Terms(units={"input": amount}) for amount in ("1", "2", "3"))
LAUNCH, SPRING, SUMMER, NOW, NEXT_YEAR = (
    datetime(*day, tzinfo=UTC) for day in ((2025, 1, 1), (2026, 3, 1), (2026, 6, 1), (2026, 11, 24), (2027, 1, 1))
)


def base(terms: Terms) -> SourcePeriod:
    return SourcePeriod(LAUNCH, False, terms)


def dated(start: datetime, terms: Terms) -> SourcePeriod:
    return SourcePeriod(start, True, terms)


def test_the_first_load_takes_everything() -> None:
    result = changes([], [base(A), dated(SPRING, B), dated(NEXT_YEAR, C)], NOW)
    assert result.added == ((LAUNCH, A), (SPRING, B), (NEXT_YEAR, C))
    assert not result.withdrawn


def test_the_same_again_changes_nothing() -> None:
    assert not changes(
        [(LAUNCH, A), (SPRING, B), (NEXT_YEAR, C)], [base(A), dated(SPRING, B), dated(NEXT_YEAR, C)], NOW
    )


def test_a_dated_change_enters_at_its_date_even_when_told_late() -> None:
    assert changes([(LAUNCH, A)], [base(A), dated(SUMMER, B)], NOW).added == ((SUMMER, B),)


def test_an_undated_change_enters_now_and_the_past_stays() -> None:
    result = changes([(LAUNCH, A)], [base(B)], NOW)
    assert result.added == ((NOW, B),)
    assert not changes([(LAUNCH, A), *result.added], [base(B)], NEXT_YEAR)


def test_a_corrected_dated_price_enters_now() -> None:
    assert changes([(LAUNCH, A), (SPRING, B)], [base(A), dated(SPRING, C)], NOW).added == ((NOW, C),)


def test_a_price_taken_back_ends_now() -> None:
    assert changes([(LAUNCH, A), (SPRING, B)], [base(A)], NOW).added == ((NOW, A),)


def test_a_launch_date_learned_later_is_no_change_of_price() -> None:
    assert not changes([(LAUNCH, A)], [SourcePeriod(SPRING, False, A)], NOW)


def test_a_dropped_tier_keeps_its_last_price() -> None:
    assert not changes([(LAUNCH, A)], [], NOW)


def test_a_price_the_source_no_longer_states_ends_now() -> None:
    assert changes([(LAUNCH, A)], [base(NO_PRICE)], NOW).added == ((NOW, NO_PRICE),)


def test_an_announced_price_may_be_replaced_moved_or_called_off() -> None:
    published = [(LAUNCH, A), (NEXT_YEAR, B)]
    replaced = changes(published, [base(A), dated(NEXT_YEAR, C)], NOW)
    assert (replaced.added, replaced.withdrawn) == (((NEXT_YEAR, C),), (NEXT_YEAR,))
    called_off = changes(published, [base(A)], NOW)
    assert (called_off.added, called_off.withdrawn) == ((), (NEXT_YEAR,))


days = st.integers(0, 40).map(lambda day: LAUNCH + timedelta(days=day))
# A load has an instant of its own.
load_times = st.lists(st.integers(0, 40), min_size=2, max_size=5, unique=True).map(
    lambda numbers: [LAUNCH + timedelta(days=day, hours=9) for day in sorted(numbers)]
)
schedules = st.dictionaries(
    days, st.tuples(st.booleans(), st.sampled_from([A, B, C, NO_PRICE])), min_size=1, max_size=6
).map(lambda rows: [SourcePeriod(start, is_dated, terms) for start, (is_dated, terms) in sorted(rows.items())])


@given(load_times, st.lists(schedules, min_size=5, max_size=5))
def test_any_sequence_of_loads_follows_the_source_and_keeps_what_was_in_force(
    times: list[datetime], sources: list[list[SourcePeriod]]
) -> None:
    published: dict[datetime, Terms] = {}
    for now, source in zip(times, sources, strict=False):
        result = changes(sorted(published.items(), key=lambda row: row[0]), source, now)
        before = dict(published)
        for start in result.withdrawn:
            assert start > now
            del published[start]
        for start, terms in result.added:
            assert start not in published
            published[start] = terms
        kept = {start: terms for start, terms in before.items() if start <= now}
        assert kept.items() <= published.items()
        rows = sorted(published.items(), key=lambda row: row[0])
        wanted = [(period.effective_from, period.terms) for period in source]
        for moment in (now, *(start for start in (*published, *dict(wanted)) if start > now)):
            assert terms_at(rows, moment) == terms_at(wanted, moment)
        assert not changes(rows, source, now)
