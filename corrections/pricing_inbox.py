"""What an unpriced model can be priced like, and pricing it: a rule from its first use on, and a run that backfills."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from common.problems import Problem
from corrections.inbox import UnpricedModel, unpriced_models
from corrections.likeness import Like, most_like
from corrections.models import RepriceRun
from corrections.services import Actor, Asked, repricing_start
from pricing.book import UNKNOWN_MODEL, UNKNOWN_PROVIDER
from pricing.drafts import Draft
from pricing.models import ListPrice
from pricing.normalize import normalize
from pricing.resolve import book_of
from pricing.rules import RuleKind
from pricing.selectors import price_list
from pricing.services import rule_add
from pricing.terms import STANDARD, Tier, Units
from tenants.models import Organization

# Usage of callers whose clock is ahead, and what arrives while the run is made, is in scope too.
_AHEAD = timedelta(days=1)
_NAME_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What can be done about a model: a listed one it is like, or the price that is known by now."""

    usage: UnpricedModel
    like: ListPrice | None
    known_now: bool


def suggestions(organization_id: int, now: datetime) -> list[Suggestion]:
    """Every model of the inbox, most requests first."""
    found = unpriced_models(organization_id)
    if not found:
        return []
    book = book_of(organization_id)
    listed = price_list(now, tier=STANDARD).exclude(units={})
    names = _by_provider(listed.values_list("model__provider_id", "model__name"))
    rows: list[tuple[UnpricedModel, Like | None, bool]] = []
    for usage in found:
        known = all(
            book.resolve(usage.provider, usage.model, tier, usage.last_seen).rate is not None for tier in usage.tiers
        )
        # A unit without a price is no unknown model: another model's prices would be a guess about this one.
        guess = usage.reason in (UNKNOWN_MODEL, UNKNOWN_PROVIDER) and not known
        like = most_like(*normalize(usage.provider, usage.model), names) if guess else None
        rows.append((usage, like, known and ":" not in usage.reason))
    # The list has thousands of prices, of which a page shows a few.
    meant = listed.filter(model__name__in={like.model for _, like, _ in rows if like})
    prices = {(price.model.provider_id, price.model.name): price for price in meant}
    return [Suggestion(usage, prices[like] if like else None, known_now) for usage, like, known_now in rows]


def _by_provider(listed: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for provider, model in listed:
        names.setdefault(provider, []).append(model)
    return names


def unpriced_model(organization_id: int, provider: str, model: str) -> UnpricedModel:
    """The model's usage that has no price; Problem 404 when there is none (any more)."""
    found = [usage for usage in unpriced_models(organization_id) if (usage.provider, usage.model) == (provider, model)]
    if not found:
        raise Problem("not-found", "No usage of this model is without a price any more.")
    return found[0]


def price_like(
    *, organization: Organization, usage: UnpricedModel, like: Like, actor: Actor, now: datetime
) -> RepriceRun:
    """Prices a model like a listed one. Problem 404 when the list has no such price."""
    found = price_list(now, provider=like.provider, tier=STANDARD).filter(model__name=like.model).first()
    if found is None or not found.units:
        raise Problem("not-found", "The price list has no price of this model.")
    note = f"Priced like {like.provider} / {like.model}"
    return _price(organization, usage, found.units, found.tiers, note, actor, now, confirmed=True)


def price_at(
    *, organization: Organization, usage: UnpricedModel, units: Units, confirmed: bool, actor: Actor, now: datetime
) -> RepriceRun:
    """Prices a model at prices of the caller's. ValidationError by field, Problem 422 `price-implausible` for doubts
    that were not confirmed."""
    return _price(organization, usage, units, (), "Price entered for unpriced usage", actor, now, confirmed=confirmed)


def _price(
    organization: Organization,
    usage: UnpricedModel,
    units: Units,
    tiers: Sequence[Tier],
    note: str,
    actor: Actor,
    now: datetime,
    *,
    confirmed: bool,
) -> RepriceRun:
    """A rule from the first use on, and the run that books what was used since."""
    unknown = usage.reason in (UNKNOWN_MODEL, UNKNOWN_PROVIDER)
    draft = Draft(
        name=f"Price of {usage.model}"[:_NAME_LIMIT],
        provider=usage.provider,
        model=usage.model,
        kind=RuleKind.CUSTOM if unknown else RuleKind.FIXED,
        units=units,
        tiers=list(tiers),
        effective_from=min(earliest(organization.id, usage), now),
        note=note,
    )
    rule_add(organization=organization, draft=draft, actor=actor, now=now, confirmed=confirmed)
    return backfill(organization=organization, usage=usage, reason=note, actor=actor, now=now)


def backfill(
    *, organization: Organization, usage: UnpricedModel, reason: str, actor: Actor, now: datetime
) -> RepriceRun:
    """Books what the model's unpriced usage costs by now; the run applies itself."""
    asked = Asked(
        start=earliest(organization.id, usage), end=now + _AHEAD, reason=reason[:200], provider=usage.provider,
        model=usage.model, unpriced_only=True,
    )  # fmt: skip
    return repricing_start(organization=organization, asked=asked, actor=actor, now=now, apply_at_once=True)


def earliest(organization_id: int, usage: UnpricedModel) -> datetime:
    """The first use of the model that has no price, for whatever reason."""
    same = (usage.provider, usage.model)
    return min(each.first_seen for each in unpriced_models(organization_id) if (each.provider, each.model) == same)
