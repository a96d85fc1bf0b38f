"""Reads of the catalog."""

from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Concat

from pricing.models import ListPrice, PriceCatalog


def catalog_version() -> int:
    """The version of the loaded catalog; 0 when nothing was ever loaded."""
    return PriceCatalog.objects.filter(pk=1).values_list("version", flat=True).first() or 0


def price_list(at: datetime, search: str = "") -> QuerySet[ListPrice]:
    """The prices in force at a moment, by provider, model and tier, each with `effective_to` (exclusive, or None).

    `search` keeps those whose "provider/model" contains every word of it.
    """
    same = ListPrice.objects.filter(model=OuterRef("model"), tier=OuterRef("tier"))
    following = same.filter(effective_from__gt=OuterRef("effective_from")).order_by("effective_from")
    in_force = same.filter(effective_from__lte=at).order_by("-effective_from")
    words = Q()
    for word in search.split():
        words &= Q(label__icontains=word)
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
