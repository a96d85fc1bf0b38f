"""The catalog of list prices: global, dated, append-only.

A price in force is never changed or deleted (`0001_initial` adds the trigger that holds everyone to it, and takes
UPDATE on prices from the application): charges point at their price row for good. A price ends where the next one of
the same model and service tier begins, so two can never overlap.
"""

from django.db import models
from django.db.models import Q

from pricing.terms import EARLIEST_PRICE, STANDARD, TIERS


class PriceCatalog(models.Model):
    """The one row that says which catalog this is. Processes compare `version` to know whether theirs is stale."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(help_text="changes whenever anything in the catalog does; 0 is an empty catalog")
    source = models.TextField()
    source_version = models.TextField()
    reader_version = models.SmallIntegerField(help_text="version of the code that read the source")
    loaded_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="pricing_there_is_one_catalog")]


class PriceProvider(models.Model):
    id = models.TextField(primary_key=True, help_text="canonical id, e.g. openai")
    name = models.TextField()
    url = models.TextField(blank=True, help_text="where the vendor publishes its prices")
    fallbacks = models.JSONField(default=list, help_text="ids of providers whose models this one also sells")
    position = models.IntegerField(help_text="the source's order")


class PricedModel(models.Model):
    provider = models.ForeignKey(PriceProvider, on_delete=models.PROTECT, related_name="models")
    name = models.TextField(help_text="canonical name, e.g. gpt-4.1-nano")
    match = models.JSONField(help_text="which other names mean this model, as in pricing.matching")
    position = models.IntegerField(help_text="the source's order, which decides between two matches")
    listed = models.BooleanField(default=True, help_text="whether the source still knows the model")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="pricing_model_name_is_unique_in_its_provider"),
        ]


class ListPrice(models.Model):
    """What one model's units cost on one service tier from a moment until the next row's moment."""

    model = models.ForeignKey(PricedModel, on_delete=models.PROTECT, related_name="prices")
    tier = models.TextField(choices=[(tier, tier) for tier in TIERS], default=STANDARD)
    effective_from = models.DateTimeField(help_text="inclusive, UTC")
    units = models.JSONField(help_text="unit → USD per 1,000,000, decimal strings; see pricing.terms")
    tiers = models.JSONField(default=list, help_text="other units above a number of input tokens")
    extras = models.JSONField(default=dict, help_text="listed, but not counted by usage events")
    windows = models.JSONField(default=list, help_text="other units at hours of the day, UTC")
    source = models.TextField()
    source_version = models.TextField()
    source_url = models.TextField(blank=True)
    loaded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "tier", "effective_from"], name="pricing_prices_never_overlap"),
            models.CheckConstraint(condition=Q(tier__in=TIERS), name="pricing_tier_is_known"),
        ]

    @property
    def undated(self) -> bool:
        """Whether the source does not say since when it holds."""
        return self.effective_from == EARLIEST_PRICE
