"""What rules about news read: models used for the first time, prices that changed, usage that waits to be counted."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from django.db.models import Exists, OuterRef

from alerts.machine import Level
from alerts.watching import Reading
from common.display import seconds
from ingest.selectors import ingest_status
from pricing.models import ListPrice
from usage.dimensions import OVERFLOW
from usage.models import CubeDay, RollupDay
from watch.place import Place

# Before there was usage on a day as long ago as this, everything is new and nothing is news.
KNOWN_DAYS = 7
CHANGED_WITHIN = timedelta(days=14)
USED_WITHIN = timedelta(days=30)


def read_new_models(place: Place) -> Iterator[Reading]:
    """Models that were used today or yesterday and never before. Each is news once."""
    today = place.now.astimezone(place.zone).date()
    yesterday = today - timedelta(days=1)
    models = RollupDay.objects.filter(organization_id=place.organization.id, dimension="model")
    if not models.filter(day__lt=today - timedelta(days=KNOWN_DAYS)).exists():
        return
    recent = set(models.filter(day__gte=yesterday).values_list("value", flat=True)) - {"", OVERFLOW}
    known = set(models.filter(day__lt=yesterday, value__in=recent).values_list("value", flat=True))
    for model in sorted(recent - known):
        facts = {"model": model, "rule": place.rule.name, "link": place.path(f"?model={model}")}
        yield Reading(f"model:{model}", Level.BAD, "first", f"{model} is used for the first time", facts)


def read_price_changes(place: Place) -> Iterator[Reading]:
    """List prices that took effect lately and follow another one, of models that are used."""
    used_since = place.now.astimezone(place.zone).date() - USED_WITHIN
    used = CubeDay.objects.filter(organization_id=place.organization.id, day__gte=used_since)
    models = set(used.values_list("provider", "model").distinct())
    earlier = ListPrice.objects.filter(
        model=OuterRef("model"), tier=OuterRef("tier"), effective_from__lt=OuterRef("effective_from")
    ).order_by("-effective_from")
    changed = ListPrice.objects.filter(
        Exists(earlier),
        effective_from__gt=place.now - CHANGED_WITHIN,
        effective_from__lte=place.now,
        model__name__in={model for _, model in models},
    ).select_related("model")
    # Of several changes of one price the latest is told.
    for price in changed.order_by("effective_from", "id"):
        if (price.model.provider_id, price.model.name) in models:
            before = ListPrice.objects.filter(
                model=price.model, tier=price.tier, effective_from__lt=price.effective_from
            ).latest("effective_from")
            yield _price_reading(place, price, before)


def _price_reading(place: Place, price: ListPrice, before: ListPrice) -> Reading:
    model = f"{price.model.provider_id} / {price.model.name}"
    return Reading(
        f"price:{price.model_id}:{price.tier}",
        Level.BAD,
        price.effective_from.isoformat(),
        f"The list price of {model} has changed",
        {
            "provider": price.model.provider_id,
            "model": price.model.name,
            "service_tier": price.tier,
            "changes": _changes(before.units, price.units),
            "period_start": price.effective_from.isoformat(),
            "rule": place.rule.name,
            "link": place.path("prices"),
        },
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """ "input: $0.10 → $0.12 per million" for every unit that differs."""
    names = sorted({name for name in (*before, *after) if before.get(name) != after.get(name)})
    return [
        f"{name.replace('_', ' ')}: {_dollars(before.get(name))} → {_dollars(after.get(name))} per million"
        for name in names
    ] or ["what it depends on (tiers or hours)"]


def _dollars(price: str | None) -> str:
    return "none" if price is None else f"${price}"


def read_ingestion(place: Place) -> Iterator[Reading]:
    """Usage that was accepted and waits."""
    status = ingest_status(organization_id=place.organization.id, now=place.now)
    waiting, longest = status.oldest_unsettled_seconds, place.values["minutes"] * 60
    level = Level.BAD if waiting >= longest else Level.GOOD if waiting < longest // 2 else Level.UNCLEAR
    yield Reading(
        "ingestion",
        level,
        place.day,
        f"Usage waits to be counted for {seconds(waiting)}",
        {
            "waiting_events": status.waiting_events,
            "failing_batches": status.failing_batches,
            "rule": place.rule.name,
            "link": place.path("ingestion"),
        },
        value=f"The oldest waits for {seconds(waiting)}",
    )
