import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.usage_buckets import Buckets, UsageError, from_inclusive

count = st.integers(0, 10**15)


def test_the_documented_example_is_split_into_disjoint_buckets() -> None:
    buckets = from_inclusive(
        input_tokens=1500, cache_read_input_tokens=300, output_tokens=250, reasoning_output_tokens=100
    )
    assert buckets == Buckets(uncached_input=1200, cache_read=300, output=150, reasoning_output=100)
    assert buckets.requests == 1


@given(st.tuples(*[count] * 10))
def test_buckets_sum_to_the_totals_they_came_from(parts: tuple[int, ...]) -> None:
    uncached, read, write, write_1h, visible, reasoning, audio_in, audio_out, images, requests = parts
    buckets = from_inclusive(
        input_tokens=uncached + read + write + write_1h + audio_in,
        cache_read_input_tokens=read,
        cache_write_input_tokens=write,
        cache_write_1h_input_tokens=write_1h,
        input_audio_tokens=audio_in,
        output_tokens=visible + reasoning + audio_out,
        reasoning_output_tokens=reasoning,
        output_audio_tokens=audio_out,
        images=images,
        requests=requests,
    )
    assert buckets == Buckets(*parts)
    assert buckets.input_tokens == uncached + read + write + write_1h + audio_in
    assert buckets.output_tokens == visible + reasoning + audio_out


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ({"input_tokens": 10, "cache_read_input_tokens": 11}, "input_tokens"),
        ({"input_tokens": 10, "cache_read_input_tokens": 5, "cache_write_input_tokens": 6}, "input_tokens"),
        ({"input_tokens": 10, "cache_write_1h_input_tokens": 11}, "input_tokens"),
        ({"input_tokens": 10, "cache_read_input_tokens": 5, "input_audio_tokens": 6}, "input_tokens"),
        ({"input_tokens": 0, "output_tokens": 4, "reasoning_output_tokens": 5}, "output_tokens"),
        (
            {"input_tokens": 0, "output_tokens": 4, "reasoning_output_tokens": 3, "output_audio_tokens": 2},
            "output_tokens",
        ),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": 5, "cache_read_input_tokens": -1}, "cache_read_input_tokens"),
        ({"input_tokens": 5, "images": -1}, "images"),
        ({"input_tokens": 5, "requests": -1}, "requests"),
    ],
)
def test_a_part_larger_than_its_whole_is_refused_by_name(counts: dict[str, int], field: str) -> None:
    with pytest.raises(UsageError) as refusal:
        from_inclusive(**counts)
    assert refusal.value.field == field
    assert isinstance(refusal.value, ValueError)


def test_parts_may_fill_their_whole() -> None:
    buckets = from_inclusive(input_tokens=7, cache_read_input_tokens=7, output_tokens=3, reasoning_output_tokens=3)
    assert (buckets.uncached_input, buckets.output) == (0, 0)
