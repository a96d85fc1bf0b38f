"""What calls would have cost with the cheaper models that an organization's budgets suggest."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from budgets.reservations.models import LadderStep
from pricing.rate import served_from_own_cache
from pricing.resolve import Book, book_of
from pricing.usage_buckets import Buckets


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of one call, as sums tell them: a cache written for an hour is not told from one written for five minutes."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int

    @property
    def buckets(self) -> Buckets:
        return Buckets(
            uncached_input=self.input - self.cache_read - self.cache_write,
            cache_read=self.cache_read,
            cache_write_5m=self.cache_write,
            output=self.output - self.reasoning,
            reasoning_output=self.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Cheaper:
    """The ladder of an organization with its prices. `steps`: canonical name of a model → the cheaper one."""

    steps: Mapping[str, str]
    book: Book

    @classmethod
    def of_organization(cls, organization_id: int) -> "Cheaper":
        """Call it in the organization's scope."""
        steps = LadderStep.objects.filter(organization_id=organization_id).values_list("from_model", "to_model")
        return cls(dict(steps), book_of(organization_id))

    def cost(self, *, at: datetime, provider: str, model: str, tier: str, cache: str, tokens: Tokens) -> int | None:
        """nano-USD with the model one step down, of the same provider and tier at that time; None when there is none
        or no price of it is known."""
        cheaper = self.steps.get(model)
        if cheaper is None or served_from_own_cache(cache):
            return None
        found = self.book.resolve(provider, cheaper, tier, at)
        rate = found.contract or found.rate
        return None if rate is None else rate.cost(tokens.buckets)
