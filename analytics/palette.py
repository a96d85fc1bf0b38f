"""One colour for each provider and model, the same on every page. Pure: names in, palette slots out.

The eight colours stay apart under protanopia and deuteranopia and from the page in light and dark (tests prove it).
The CSS tokens `--series-0` … `--series-8` repeat them; slot 0 is grey, for "Other" and for what has no name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

LIGHT = ("#8a8780", "#3a5cce", "#bd5a33", "#2f9e86", "#a3487c", "#b08f1c", "#6c1f93", "#259ce4", "#3f5d0e")
DARK = ("#8f8c86", "#5a78dc", "#c1703f", "#5db39d", "#bf5790", "#d9a514", "#a896f7", "#90d4fd", "#8fe386")
SLOTS = len(LIGHT) - 1
OTHER = "Other"
_FIXED = frozenset({"provider", "model"})
# Told apart without colour: the second series of the same colour in one chart is hatched, the third dotted, …
PATTERNS = ("", "/", ".", "x", "-", "|", "+", "\\")

_PROVIDERS = {
    "google": 1,
    "vertex_ai": 1,
    "gemini": 1,
    "anthropic": 2,
    "openai": 3,
    "cohere": 4,
    "xai": 4,
    "mistral": 5,
    "deepseek": 6,
    "meta": 6,
    "together": 6,
    "azure": 7,
    "azure_openai": 7,
    "groq": 8,
    "bedrock": 8,
    "aws_bedrock": 8,
}
# Families that companies use side by side, spread over the slots; the longest matching beginning wins.
_MODEL_FAMILIES = {
    "gpt-4o": 8,
    "gpt-4o-mini": 7,
    "gpt-4.1": 6,
    "gpt-4.1-mini": 5,
    "gpt-4.1-nano": 1,
    "gpt-5": 3,
    "gpt-5-mini": 7,
    "gpt-5-nano": 8,
    "o1": 6,
    "o3": 6,
    "o4-mini": 4,
    "claude-opus": 6,
    "claude-sonnet": 2,
    "claude-haiku": 4,
    "claude-3-5-sonnet": 2,
    "claude-3-5-haiku": 4,
    "claude-3-opus": 6,
    "claude-3-haiku": 5,
    "gemini-1.5-flash": 7,
    "gemini-1.5-pro": 1,
    "gemini-2.0-flash": 7,
    "gemini-2.5-flash": 7,
    "gemini-2.5-pro": 1,
    "mistral-large": 6,
    "mistral-small": 8,
    "deepseek-chat": 8,
    "deepseek-reasoner": 4,
    "text-embedding": 5,
}


@dataclass(frozen=True)
class Style:
    """A slot of the palette (0–8) and a fill pattern that tells it from an equal slot in the same chart."""

    slot: int
    pattern: str = ""


def slot(dimension: str, name: str) -> int:
    """The slot of a name in a dimension such as "provider", "model" or "team": fixed when known, else by its hash."""
    if not name or name == OTHER:
        return 0
    known = name.strip().lower()
    if dimension == "provider" and known in _PROVIDERS:
        return _PROVIDERS[known]
    if dimension == "model":
        family = max((prefix for prefix in _MODEL_FAMILIES if known.startswith(prefix)), key=len, default=None)
        if family is not None:
            return _MODEL_FAMILIES[family]
    return hashed(known)


def hashed(name: str) -> int:
    return 1 + int.from_bytes(blake2b(name.encode(), digest_size=4).digest()) % SLOTS


def styles(dimension: str, names: Iterable[str]) -> dict[str, Style]:
    """A style for each name of one chart, in the given order; equal colours get different patterns.

    Providers and models keep their colour everywhere. Teams and keys, which are as many as there are companies, only
    start from theirs: one that is taken gives way to the next that is free.
    """
    taken = dict.fromkeys(range(SLOTS + 1), 0)
    chosen = {}
    for name in names:
        of_name = slot(dimension, name)
        if of_name and dimension not in _FIXED:
            of_name = min(range(1, SLOTS + 1), key=lambda each: (taken[each], (each - of_name) % SLOTS))
        chosen[name] = Style(of_name, PATTERNS[taken[of_name] % len(PATTERNS)])
        taken[of_name] += 1
    return chosen
