"""What a rule would mean for the models it is about, before anybody adds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.ids import new_id
from pricing.drafts import Draft
from pricing.models import ListPrice
from pricing.rules import Rule, RuleKind, winning_rule
from pricing.selectors import price_list
from pricing.wording import UnitPrice, unit_prices

SHOWN_MODELS = 20


@dataclass(frozen=True, slots=True)
class ModelPreview:
    """`overruled` names nobody: it says that another rule, already there, is more specific for this model."""

    provider: str
    model: str
    tier: str
    prices: list[UnitPrice]
    overruled: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """`models` are the first of `total` list prices that the rule is about."""

    models: list[ModelPreview]
    total: int


def preview(draft: Draft, rules: Sequence[Rule], now: datetime) -> Preview:
    """`draft` checked, `rules` those that are there already."""
    start = max(draft.effective_from or now, now)
    kind = RuleKind(draft.kind)
    rule = Rule(new_id(), draft.provider, draft.model, draft.tier, kind, draft.percent, draft.units, draft.tiers, start)
    about = [price for price in price_list(start, tier=draft.tier) if price.units and _is_about(rule, price)]
    if not about:
        alone = ModelPreview(draft.provider, draft.model, draft.tier, unit_prices({}, draft.units), overruled=False)
        return Preview([alone] if draft.units else [], 0)
    shown = [_model(price, rule, [*rules, rule], start) for price in about[:SHOWN_MODELS]]
    return Preview(shown, len(about))


def _is_about(rule: Rule, price: ListPrice) -> bool:
    name = price.model.name.lower()
    return rule.specificity(price.model.provider_id, name, name, price.tier) is not None


def _model(price: ListPrice, rule: Rule, rules: Sequence[Rule], at: datetime) -> ModelPreview:
    named = price.model
    wins = winning_rule(
        rules, provider=named.provider_id, model=named.name, tier=price.tier, at=at, listed=bool(price.units)
    )
    paid, _ = rule.prices(price.units, price.tiers)
    return ModelPreview(
        named.provider_id, named.name, price.tier, unit_prices(price.units, paid), overruled=wins is not rule
    )
