from datetime import date

import pytest

from pricing.matching import Clause, ModelIndex, compile_clause, earliest_date


@pytest.mark.parametrize(
    ("clause", "name", "matches"),
    [
        ({"equals": "GPT-4o"}, "gpt-4o", True),
        ({"equals": "gpt-4o"}, "gpt-4o-mini", False),
        ({"starts_with": "Claude-3"}, "claude-3-opus", True),
        ({"ends_with": "Opus"}, "claude-3-opus", True),
        ({"contains": "Nova"}, "us.amazon.nova-pro", True),
        ({"regex": r"^o[134]$"}, "o3", True),
        ({"regex": r"^o[134]$"}, "o3-mini", False),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, "b", True),
        ({"and": [{"starts_with": "a"}, {"ends_with": "b"}]}, "ab", True),
        ({"and": [{"starts_with": "a"}, {"ends_with": "b"}]}, "abc", False),
    ],
)
def test_clauses(clause: Clause, name: str, matches: bool) -> None:
    assert compile_clause(clause)(name) is matches


def test_an_unknown_clause_is_refused() -> None:
    with pytest.raises(ValueError, match="sounds_like"):
        compile_clause({"sounds_like": "x"})


def test_the_first_match_wins_whatever_kind_it_is() -> None:
    index = ModelIndex([{"starts_with": "gpt-4o-mini"}, {"equals": "gpt-4o-mini-tts"}, {"contains": "gpt"}])
    assert index.find("gpt-4o-mini-tts") == 0
    assert index.find("GPT-5") == 2
    assert ModelIndex([{"equals": "a"}, {"starts_with": "a"}]).find("a") == 0
    assert index.find("claude") is None


def test_compact_dates_mean_dashed_ones() -> None:
    index = ModelIndex([{"equals": "gpt-5.2-2025-12-11"}])
    assert index.find("gpt-5.2-20251211") == 0
    assert index.find("gpt-5.2-20251399") is None


@pytest.mark.parametrize(
    ("clause", "day"),
    [
        (
            {"or": [{"equals": "gpt-4o"}, {"equals": "gpt-4o-2024-11-20"}, {"equals": "gpt-4o-2024-08-06"}]},
            (2024, 8, 6),
        ),
        ({"contains": "claude-sonnet-4-5-20250929"}, (2025, 9, 29)),
        ({"equals": "mistral-large-2407"}, None),
        ({"equals": "grok-2-20241399"}, None),
        ({"regex": r"^x-\d{8}$"}, None),
    ],
)
def test_a_model_is_no_older_than_the_dates_in_its_names(clause: Clause, day: tuple[int, int, int] | None) -> None:
    assert earliest_date(clause) == (date(*day) if day else None)
