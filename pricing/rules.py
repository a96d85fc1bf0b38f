"""The rules of an organization's own price book: which models each is about, and which of several wins. Pure.

Of the rules that are in force at the moment of a call and are about its provider, model and service tier, one counts:

1. the one with the more specific model: the very name that was reported, then the catalog's name for it, then the
   pattern with more literal characters, then `*`;
2. then one for this provider before one for any;
3. then one for this service tier before one for any;
4. then the one that came into force last;
5. then the one that was entered last.

A percentage of a list price says nothing where no list price is known; there the next rule counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from pricing.rate import Rate, exact_product
from pricing.terms import Tier, Units, amount_text

ANY = "*"
EVERY_TIER = ""
NO_PERCENT, MOST_PERCENT = Decimal(-100), Decimal(10_000)  # from given away to a hundred and one times the price


class RuleKind(StrEnum):
    PERCENT = "percent"  # the list price, so many percent more or less
    FIXED = "fixed"  # prices of its own instead of the list's; the list cost stays the list's
    CUSTOM = "custom"  # a model without a list price: both costs


class Specificity(NamedTuple):
    """Compared field by field; the greater wins."""

    model: int  # 3: the reported name, 2: the canonical name, 1: a pattern, 0: any
    literals: int
    provider: bool
    tier: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """`percent` of the list price for a PERCENT rule, -15 being a discount; `units` and `tiers` for the other kinds.

    `provider` is canonical or ANY, `model` a name or a pattern with `*` in lower case, `tier` a service tier or
    EVERY_TIER.
    In force from `effective_from` (inclusive) to `effective_to` (exclusive, None: open).
    """

    id: int
    provider: str
    model: str
    tier: str
    kind: RuleKind
    percent: Decimal | None
    units: Units
    tiers: list[Tier]
    effective_from: datetime
    effective_to: datetime | None = None

    @property
    def factor(self) -> Decimal:
        """What a PERCENT rule multiplies list prices by."""
        return 1 + (self.percent or Decimal()) / 100

    def contract(self, listed: Rate | None) -> Rate | None:
        """The contracted rate beside a list rate; None when this rule has nothing to say about an unlisted price."""
        if self.kind is RuleKind.PERCENT:
            return listed.times(self.factor) if listed else None
        return Rate(self.units, self.tiers)

    def prices(self, units: Units, tiers: Sequence[Tier]) -> tuple[Units, list[Tier]]:
        """What is paid where the list says `units` and `tiers`."""
        if self.kind is not RuleKind.PERCENT:
            return self.units, self.tiers
        scaled: list[Tier] = [
            {"above_input_tokens": tier["above_input_tokens"], "units": _scaled(tier["units"], self.factor)}
            for tier in tiers
        ]
        return _scaled(units, self.factor), scaled

    def in_force(self, moment: datetime) -> bool:
        return self.effective_from <= moment and (self.effective_to is None or moment < self.effective_to)

    def specificity(self, provider: str, reported: str, canonical: str, tier: str) -> Specificity | None:
        """How closely the rule names this model; None when it is about others.

        `reported` is the model's name as `normalize` spells it, `canonical` the catalog's name in lower case.
        """
        if self.provider not in (ANY, provider) or self.tier not in (EVERY_TIER, tier):
            return None
        kind = self._names(reported, canonical)
        if kind is None:
            return None
        return Specificity(kind, len(self.model.replace(ANY, "")), self.provider != ANY, self.tier != EVERY_TIER)

    def _names(self, reported: str, canonical: str) -> int | None:
        if ANY not in self.model:
            return 3 if self.model == reported else 2 if self.model == canonical else None
        if matches_pattern(self.model, canonical) or matches_pattern(self.model, reported):
            return 1 if self.model != ANY else 0
        return None


def by_precedence(rules: Iterable[Rule], provider: str, reported: str, canonical: str, tier: str) -> list[Rule]:
    """The rules about this model, whenever they are in force; the one that wins over all others first."""
    ranked = [
        ((specificity, rule.effective_from, rule.id), rule)
        for rule in rules
        if (specificity := rule.specificity(provider, reported, canonical, tier)) is not None
    ]
    return [rule for _, rule in sorted(ranked, key=lambda entry: entry[0], reverse=True)]


def _scaled(units: Units, factor: Decimal) -> Units:
    return {
        unit: None if amount is None else amount_text(exact_product(Decimal(amount), factor))
        for unit, amount in units.items()
    }


def matches_pattern(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern in which `*` stands for any characters, or none. Linear in both."""
    first, *others = pattern.split(ANY)
    if not others:
        return name == pattern
    *middles, last = others
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    position, end = len(first), len(name) - len(last)
    for part in middles:
        found = name.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def winning_rule(
    rules: Iterable[Rule], *, provider: str, model: str, tier: str, at: datetime, listed: bool
) -> Rule | None:
    """The rule that counts for a model by its catalog name; `listed` says whether it has a list price then."""
    name = model.lower()
    for rule in by_precedence(rules, provider, name, name, tier):
        if rule.in_force(at) and (listed or rule.kind is not RuleKind.PERCENT):
            return rule
    return None
