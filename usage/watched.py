"""Values that budgets name, and the SQL that tells their usage apart from all other. Pure.

Usage is settled by team, key and quarter of an hour. Callers make up customers, users and tags without end; only what
a budget is set on is told apart, so that a batch still adds up to a few rows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from usage.dimensions import COLUMNS

# The dimensions besides tags that a budget may be set on.
WATCHABLE = ("customer", "feature", "agent", "user", "model")


class Labels(NamedTuple):
    """What of a call is watched; "" for anything else. Tags are sorted pairs of name and value."""

    customer: str = ""
    feature: str = ""
    agent: str = ""
    user: str = ""
    model: str = ""
    tags: tuple[tuple[str, str], ...] = ()


NO_LABELS = Labels()


@dataclass(frozen=True, slots=True)
class Watched:
    """The values to tell apart, by dimension, and the tags as pairs of name and value."""

    values: Mapping[str, frozenset[str]]
    tags: frozenset[tuple[str, str]] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.tags) or any(self.values.values())

    def labels(self, named: Mapping[str, str], tags: Mapping[str, str]) -> Labels:
        """What of these values, by dimension, and tags is watched."""
        kept = {name: named[name] for name, values in self.values.items() if named.get(name, "") in values}
        return Labels(**kept, tags=tuple(sorted(self.tags.intersection(tags.items()))))

    @property
    def columns(self) -> str:
        """SQL of the labels of a posting, in the order of `Labels`."""
        told = (f"{self._told(name)} AS watched_{name}" for name in WATCHABLE)
        return f"{', '.join(told)}, {_TAGS if self.tags else _NO_TAGS} AS watched_tags"

    def _told(self, name: str) -> str:
        if not self.values.get(name):
            return "''"
        column = COLUMNS[name]
        return f"CASE WHEN {column} = ANY(%(watched_{name})s::text[]) THEN {column} ELSE '' END"

    @property
    def parameters(self) -> dict[str, Any]:
        """What `columns` takes."""
        tags = sorted(self.tags)
        return {
            **{f"watched_{name}": sorted(values) for name, values in self.values.items() if values},
            **({"watched_names": [name for name, _ in tags], "watched_values": [value for _, value in tags]}
               if tags else {}),
        }  # fmt: skip


NOTHING_WATCHED = Watched({})
LABEL_COLUMNS = (*(f"watched_{name}" for name in WATCHABLE), "watched_tags")

_NO_TAGS = "'{}'::jsonb"
_TAGS = (
    "(SELECT coalesce(jsonb_object_agg(asked.name, asked.value), '{}'::jsonb)"
    " FROM unnest(%(watched_names)s::text[], %(watched_values)s::text[]) AS asked (name, value)"
    " WHERE tags ->> asked.name = asked.value)"
)


def labels_of(row: Sequence[Any]) -> Labels:
    """The labels that `Watched.columns` read; none from a row without them."""
    if not row:
        return NO_LABELS
    customer, feature, agent, user, model, tags = row
    # Django leaves JSON to its own fields, so it comes as text.
    return Labels(customer, feature, agent, user, model, tuple(sorted(json.loads(tags).items())))
