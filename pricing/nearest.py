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
    best, found = 0.0, None
    for each in candidates:
        likeness = _likeness(name.lower(), words, each.lower(), best)
        if likeness > best:
            best, found = likeness, each
    return found if best >= LIKE_ENOUGH else None


def _likeness(name: str, words: set[str], candidate: str, least: float) -> float:
    """From 0 to 1: shared words, and shared stretches of letters where there are any; 0 unless it is over `least`."""
    others = set(_WORDS.findall(candidate))
    shared = len(words & others)
    if not shared:
        return 0.0
    by_words = 2 * shared / (len(words) + len(others))
    letters = SequenceMatcher(None, name, candidate, autojunk=False)
    # Their upper bounds cost a fraction of the ratio itself.
    if any((by_words + bound()) / 2 <= least for bound in (letters.real_quick_ratio, letters.quick_ratio)):
        return 0.0
    return (by_words + letters.ratio()) / 2
