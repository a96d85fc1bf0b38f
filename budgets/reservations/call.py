"""A call that somebody asks to make, and the words of the answer. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from budgets.applying import Subject
from budgets.models import Unit
from common.money import to_usd
from pricing.book import Resolution
from pricing.usage_buckets import Buckets


@dataclass(frozen=True, slots=True)
class Call:
    """`id` is the caller's own, one for each attempt at a provider. `asked` is the input in its parts and the cap of
    the output as plain output."""

    id: str
    virtual_key_id: int
    team_id: int
    provider: str
    model: str
    asked: Buckets
    service_tier: str = "standard"
    customer: str = ""
    feature: str = ""
    agent: str = ""
    user: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The same for the same content, whatever the order of tags. The team follows from the key."""
        content = (
            self.provider, self.model, self.asked, self.service_tier, self.customer, self.feature, self.agent,
            self.user, sorted(self.tags.items()),
        )  # fmt: skip
        return sha256(repr(content).encode()).hexdigest()[:32]

    def subject(self, found: Resolution) -> Subject:
        """With the canonical names, as its usage will have them."""
        return Subject(
            team_id=self.team_id, virtual_key_id=self.virtual_key_id, model=found.model, provider=found.provider,
            customer=self.customer, feature=self.feature, agent=self.agent, user=self.user, tags=self.tags,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Applied:
    """A budget that a call counts in: what it holds of it, and from what is left on (None: never) it suggests a cheaper
    model. `tries`: of one that refuses nothing, what it would have needed and what must have been left."""

    budget: str
    name: str
    unit: str
    amount: int
    degrades: int | None = None
    tries: tuple[int, int | None] | None = None

    def would_refuse(self, left: int) -> bool:
        return self.tries is not None and does_not_fit(left, *self.tries)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an allowed call was told, apart from where its budgets stood: kept with the hold, so that the same id gets
    the same answer."""

    held: int | None
    max_output_tokens: int
    applies: Sequence[Applied]
    cheaper: str = ""

    def dumps(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def loads(cls, text: str) -> "Terms":
        return msgspec.json.decode(text, type=cls)


@dataclass(frozen=True, slots=True)
class Granted:
    """A call may go ahead. `lefts`: what was left of each budget before it. `expires_at` is None, and nothing is held,
    when the counters could not be asked."""

    authorization: str
    terms: Terms
    lefts: Sequence[int]
    expires_at: datetime | None
    state: str = "held"
    repeated: bool = False

    @property
    def degraded(self) -> bool:
        """Whether a budget suggests a cheaper model, and there is one."""
        return bool(self.terms.cheaper) and any(
            each.degrades is not None and left <= each.degrades
            for each, left in zip(self.terms.applies, self.lefts, strict=False)
        )

    def as_json(self) -> dict[str, Any]:
        terms = self.terms
        return {
            "authorization": self.authorization,
            "state": self.state,
            "decision": "allow_degraded" if self.degraded else "allow",
            "held": to_usd(terms.held),
            "max_output_tokens": terms.max_output_tokens,
            "expires_at": self.expires_at,
            "counted": self.expires_at is not None,
            "applies": [
                {
                    "budget": each.budget, "name": each.name, "unit": each.unit,
                    "remaining": written(left - each.amount, each.unit),
                    "would_have_refused": each.would_refuse(left),
                }
                for each, left in zip(terms.applies, self.lefts, strict=False)
            ],
            "suggest": {"model": terms.cheaper} if self.degraded else None,
        }  # fmt: skip


def does_not_fit(left: int, least: int, stop: int | None) -> bool:
    """What the script decides, for those who explain it."""
    return left < least or (stop is not None and left <= stop)


def written(amount: int, unit: str) -> str:
    """Money as a decimal string in USD, tokens and requests as whole numbers, each as text."""
    return str(to_usd(amount)) if unit == Unit.COST else str(amount)


def instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
