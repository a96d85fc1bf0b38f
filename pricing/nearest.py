"""Which known model a name is most likely about. A hint for people and for checks, never a price. Pure."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

_WORDS = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)?")
# Below this likeness two names have nothing to do with each other.
LIKE_ENOUGH = 0.5


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `name`, the first of equals; None when none is like it."""
    words = set(_WORDS.findall(name.lower()))
    scored = [(_likeness(name.lower(), words, each.lower()), each) for each in candidates]
    best = max(scored, key=lambda entry: entry[0], default=(0.0, ""))
    return best[1] if best[0] >= LIKE_ENOUGH else None


def _likeness(name: str, words: set[str], candidate: str) -> float:
    """From 0 to 1: shared words, and shared stretches of letters where there are any."""
    others = set(_WORDS.findall(candidate))
    shared = len(words & others)
    if not shared:
        return 0.0
    by_words = 2 * shared / (len(words) + len(others))
    return (by_words + SequenceMatcher(None, name, candidate, autojunk=False).ratio()) / 2
