"""Lists among an alert's facts that grow while it stands: the newest are named, of the others it says how many. Pure.

So an alert stays as short as a message, and yet it can be told whether something has come since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.facts import Fact

NAMED = 20
# The moment from which on something is news to an alert that does not name all it knows.
NEWEST = "newest_seen"


@dataclass(frozen=True, slots=True)
class Item:
    """One of what a rule gathers, and when it appeared."""

    name: str
    appeared_at: datetime


def named(fact: str, items: Sequence[Item]) -> dict[str, Fact]:
    """The facts about at least one item, in the order in which they appeared: `fact` with the names of the newest and,
    only where there are others, `more_<fact>` with their number and the moment of the newest."""
    facts: dict[str, Fact] = {fact: [item.name for item in items[-NAMED:]]}
    if len(items) > NAMED:
        facts |= {_more(fact): len(items) - NAMED, NEWEST: items[-1].appeared_at.isoformat()}
    return facts


def come_since(facts: Mapping[str, Any], fact: str, items: Sequence[Item]) -> str:
    """In words which of these items an alert with such facts does not tell of yet; empty: none.

    Where it does not name all, what appeared later, or else how many more there are, says so. What is no longer among
    the items was told none the less.
    """
    told, others = facts[fact], facts.get(_more(fact), 0)
    until = datetime.fromisoformat(facts[NEWEST]) if others else None
    fresh = [item.name for item in items if item.name not in told and (until is None or item.appeared_at > until)]
    grown = len(items) - len(told) - others
    return ", ".join(fresh) or (f"{grown} more" if grown > 0 else "")


def _more(fact: str) -> str:
    return f"more_{fact}"
