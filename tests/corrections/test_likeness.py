"""Names as people report them, and the listed model each is about."""

from collections.abc import Mapping, Sequence

import pytest

from corrections.likeness import Like, most_like, plain
from pricing.price_source import read_source


@pytest.fixture(scope="module")
def listed() -> Mapping[str, Sequence[str]]:
    return {
        provider.id: [model.name for model in provider.models if any(model.schedules.values())]
        for provider in read_source()
    }


@pytest.mark.parametrize(
    ("provider", "name", "like"),
    [
        ("openai", "gpt-4.1-nano-preview", Like("openai", "gpt-4.1-nano")),
        ("openai", "ft:gpt-4o-mini:acme::abc", Like("openai", "ft:gpt-4o-mini")),
        ("anthropic", "claude-sonnet-4-5@20250929", Like("anthropic", "claude-sonnet-4-5")),
        ("openai", "gpt-9-turbo", Like("openai", "gpt-4-turbo")),
        ("openai", "text-embedding-4-small", Like("openai", "text-embedding-3-small")),
        ("mistral", "mistral-large-2611", Like("mistral", "mistral-large")),
        ("openai", "whatever", None),
        ("northwind", "northwind-7b", None),
    ],
)
def test_names_as_they_are_reported(
    listed: Mapping[str, Sequence[str]], provider: str, name: str, like: Like | None
) -> None:
    assert most_like(provider, name, listed) == like


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("my-gpt-4o-deployment", "gpt-4o"),
        ("prod-gpt4o-mini", "gpt-4o-mini"),
        ("gpt-35-turbo-prod", "gpt-3.5-turbo"),
        ("gpt-4o-eastus2", "gpt-4o"),
    ],
)
def test_deployments_of_azure(listed: Mapping[str, Sequence[str]], name: str, model: str) -> None:
    like = most_like("azure", name, listed)
    assert like is not None
    assert like.model == model


@pytest.mark.parametrize(
    ("name", "plainly"),
    [
        ("claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us.claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("ft:gpt-4o-mini-2024-07-18:acme:support:8xyz", "ft:gpt-4o-mini"),
        ("prod", "prod"),
        ("", ""),
    ],
)
def test_what_is_put_around_a_name_is_taken_away(name: str, plainly: str) -> None:
    assert plain(name) == plainly
