"""Sums that pages show, and how they are compared. Pure; costs are nano-USD."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from operator import add
from typing import NamedTuple, TypeVar

from common.display import share


class Figures(NamedTuple):
    cost: int = 0
    requests: int = 0
    errors: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cache_read: int = 0

    def plus(self, other: "Figures") -> "Figures":
        return Figures(*map(add, self, other))

    @property
    def priced(self) -> int:
        """Requests whose cost is known: what a cost per request must be divided by."""
        return self.requests - self.unpriced

    @property
    def per_thousand(self) -> Decimal | None:
        """Cost of a thousand requests, in nano-USD; None without priced requests."""
        return Decimal(self.cost) * 1000 / self.priced if self.priced else None

    @property
    def cache_share(self) -> Decimal | None:
        """Input tokens that a provider's cache served, in percent."""
        return share(self.cache_read, self.input_tokens)

    @property
    def error_share(self) -> Decimal | None:
        return share(self.errors, self.requests)


NOTHING = Figures()


@dataclass(slots=True)
class Compared:
    """A group in the range and in the days before."""

    now: Figures = NOTHING
    before: Figures = NOTHING

    def add(self, other: "Compared") -> None:
        self.now = self.now.plus(other.now)
        self.before = self.before.plus(other.before)

    @property
    def change(self) -> int:
        """By how much the cost has moved, in nano-USD."""
        return self.now.cost - self.before.cost


@dataclass(frozen=True, slots=True)
class Part:
    """The finest piece a page is made of: one team, key, provider and model."""

    team_id: int
    key_id: int
    provider: str
    model: str
    compared: Compared = field(default_factory=Compared)


Group = TypeVar("Group", bound=Hashable)


def grouped(parts: Iterable[Part], group_of: Callable[[Part], Group]) -> dict[Group, Compared]:
    """The parts added up by group, the dearest group first."""
    sums: dict[Group, Compared] = {}
    for part in parts:
        sums.setdefault(group_of(part), Compared()).add(part.compared)
    return dict(sorted(sums.items(), key=lambda item: (-item[1].now.cost, -item[1].before.cost, str(item[0]))))


def total(parts: Iterable[Part]) -> Compared:
    added = Compared()
    for part in parts:
        added.add(part.compared)
    return added
