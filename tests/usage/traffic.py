"""Usage that hypothesis makes up: few different values, so that groups meet, and times around clock changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.ingest.payloads import event

# Clocks change in Adelaide on 4 October, in Berlin on 25 October, in New York on 1 November 2026.
FIRST, LAST = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
CHANGES = (
    datetime(2026, 10, 3, 16, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
)

_moments = st.one_of(
    st.integers(0, int((LAST - FIRST).total_seconds()) - 1).map(lambda seconds: FIRST + timedelta(seconds=seconds)),
    st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-1500, 1500)
    ),
)


def _few(*values: str) -> st.SearchStrategy[str]:
    return st.sampled_from(("", *values))


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    moment = draw(_moments)
    return event(
        time=moment.isoformat().replace("+00:00", "Z"),
        model=draw(st.sampled_from(("gpt-4.1-nano", "gpt-4.1-mini", "nobody-knows-this"))),
        status=draw(st.sampled_from(("ok", "error", "cancelled"))),
        operation=draw(st.sampled_from(("chat", "embeddings"))),
        service_tier=draw(st.sampled_from(("standard", "batch"))),
        cache=draw(st.sampled_from(("miss", "hit"))),
        customer=draw(_few("acme", "globex")),
        feature=draw(_few("chat")),
        agent=draw(_few("coder", "judge")),
        user=draw(_few("u1")),
        session=draw(_few("s1", "s2")),
        trace_id=draw(_few("t1", "t2")),
        tags=draw(st.dictionaries(st.sampled_from(("env", "region")), st.sampled_from(("", "a", "b")), max_size=2)),
        usage={
            "input_tokens": draw(st.integers(0, 5000)),
            "output_tokens": draw(st.integers(0, 500)),
            "requests": draw(st.integers(0, 3)),
        },
    )
