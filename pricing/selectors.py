"""Reads of the catalog and of organizations' price books."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Concat

from pricing.models import ListPrice, PriceCatalog, PriceRule
from pricing.nearest import nearest
from pricing.rules import ANY, Rule, matches_pattern
from pricing.terms import STANDARD, Units


def catalog_version() -> int:
    """The version of the loaded catalog; 0 when nothing was ever loaded."""
    return PriceCatalog.objects.filter(pk=1).values_list("version", flat=True).first() or 0


def price_list(at: datetime, search: str = "", *, provider: str = "", tier: str = "") -> QuerySet[ListPrice]:
    """The prices in force at a moment, by provider, model and tier, each with `effective_to` (exclusive, or None).

    `search` keeps those whose "provider/model" contains every word of it.
    """
    same = ListPrice.objects.filter(model=OuterRef("model"), tier=OuterRef("tier"))
    following = same.filter(effective_from__gt=OuterRef("effective_from")).order_by("effective_from")
    in_force = same.filter(effective_from__lte=at).order_by("-effective_from")
    words = Q()
    for word in search.split():
        words &= Q(label__icontains=word)
    if provider:
        words &= Q(model__provider=provider)
    if tier:
        words &= Q(tier=tier)
    return (
        ListPrice.objects.annotate(
            label=Concat("model__provider_id", Value("/"), "model__name", output_field=TextField())
        )
        .filter(words, id=Subquery(in_force.values("id")[:1]))
        .annotate(effective_to=Subquery(following.values("effective_from")[:1]))
        .select_related("model__provider")
        .order_by("model__provider_id", "model__name", "tier")
    )


def price_history(price: ListPrice) -> QuerySet[ListPrice]:
    """Every price of the same model and tier, newest first."""
    return ListPrice.objects.filter(model=price.model_id, tier=price.tier).order_by("-effective_from")


def rules_of(organization_id: int) -> list[Rule]:
    """Every rule of an organization's price book; call it in the organization's scope."""
    return [rule.as_rule() for rule in PriceRule.objects.filter(organization=organization_id)]


def priced_names(organization_id: int, names: Collection[str], at: datetime) -> frozenset[str]:
    """Those of the canonical names that have a price at the moment: of the list, or of the organization's own rules,
    with whatever provider. Call it in the organization's scope."""
    prices = ListPrice.objects.filter(model__name__in=names, effective_from__lte=at)
    listed = {name for name, units in prices.values_list("model__name", "units") if units}
    own = [rule for rule in rules_of(organization_id) if rule.in_force(at) and rule.contract(None) is not None]
    return frozenset(
        name
        for name in names
        if name in listed or any(matches_pattern(rule.model, name.lower()) for rule in own)
    )  # fmt: skip


def comparable_prices(provider: str, model: str, tier: str, at: datetime) -> tuple[list[Units], str]:
    """List prices to hold a rule's prices against, and what to call them; names as in `pricing.rules`.

    Those of the models it is about; for a model nobody lists, those of the nearest name, of the same provider if one
    is like it; else all there are.
    """
    standard = [price for price in price_list(at, tier=STANDARD) if price.units]
    same = [price for price in standard if provider in (ANY, price.model.provider_id)]
    meant = [price for price in same if matches_pattern(model, price.model.name.lower())]
    if meant:
        of_tier = price_list(at, tier=tier).filter(model=meant[0].model_id).first() if tier else None
        if ANY not in model and of_tier is not None and of_tier.units:
            meant = [of_tier]
        return [price.units for price in meant], _called(meant)
    for candidates in (same, standard):
        found = nearest(model, [price.model.name for price in candidates])
        if found is not None:
            like = next(price for price in candidates if price.model.name == found)
            return [like.units], f"{like.model.provider_id}/{found}, the nearest model with a list price,"
    return [price.units for price in standard], "every list price there is"


def _called(prices: list[ListPrice]) -> str:
    if len(prices) == 1:
        return f"the list price of {prices[0].model.provider_id}/{prices[0].model.name}"
    return f"the list prices of the {len(prices)} models it is about"
