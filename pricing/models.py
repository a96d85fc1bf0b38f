"""The catalog of list prices (global) and the price books of organizations (tenant data): dated, append-only.

A list price in force is never changed or deleted (`0001_initial` adds the trigger that holds everyone to it, and takes
UPDATE on prices from the application): charges point at their price row for good. A price ends where the next one of
the same model and service tier begins, so two can never overlap. An organization's rules may overlap (`pricing.rules`
says which one wins) and are as fixed: of a rule only its end may change, while that is still ahead.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import now as utc_now

from common.models import TenantModel, tenant_key
from pricing.fees import Fee
from pricing.rules import ANY, EVERY_TIER, MOST_PERCENT, NO_PERCENT, Rule, RuleKind
from pricing.terms import EARLIEST_PRICE, STANDARD, TIERS, Terms
from pricing.wording import terms_said

MOST_FEE = 10**9 * 10**9  # one billion USD, in nano-USD


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
    def terms(self) -> Terms:
        return Terms(self.units, self.tiers, self.extras, self.windows)

    @property
    def undated(self) -> bool:
        """Whether the source does not say since when it holds."""
        return self.effective_from == EARLIEST_PRICE


class PriceBookVersion(models.Model):
    """One row per organization that ever had a price rule; processes compare `version` to know if theirs is stale."""

    organization = models.OneToOneField(
        "tenants.Organization", primary_key=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    version = models.BigIntegerField(help_text="changes whenever a rule is added or ended")


class PriceRule(TenantModel):
    """One rule of an organization's price book; `pricing.rules.Rule` is what it means."""

    name = models.CharField(max_length=100)
    note = models.CharField(max_length=500, blank=True)
    provider = models.CharField(max_length=100, help_text="canonical id, or * for any")
    model = models.CharField(max_length=200, help_text="a model's name, or a pattern with *, in lower case")
    tier = models.CharField(max_length=20, blank=True, help_text="a service tier; empty for all")
    kind = models.CharField(max_length=10, choices=[(kind.value, kind.value.capitalize()) for kind in RuleKind])
    percent = models.DecimalField(max_digits=9, decimal_places=4, null=True, blank=True)
    units = models.JSONField(default=dict, blank=True, help_text="unit → USD per 1,000,000; see pricing.terms")
    tiers = models.JSONField(default=list, blank=True, help_text="other units above a number of input tokens")
    effective_from = models.DateTimeField(help_text="inclusive")
    effective_to = models.DateTimeField(null=True, blank=True, help_text="exclusive; the same as its start: withdrawn")
    # Who, in the words of the audit trail: a person's address or a token's hint.
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="percent", percent__isnull=False, units={}, tiers=[])
                | (Q(kind__in=["fixed", "custom"], percent__isnull=True) & ~Q(units={})),
                name="pricing_rule_says_what_its_kind_needs",
            ),
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(percent__gte=NO_PERCENT, percent__lte=MOST_PERCENT),
                name="pricing_rule_percent_in_range",
            ),
            models.CheckConstraint(condition=Q(tier__in=[EVERY_TIER, *TIERS]), name="pricing_rule_tier_is_known"),
            models.CheckConstraint(
                condition=~Q(kind="custom") | (~Q(provider=ANY) & ~Q(model__contains=ANY)),
                name="pricing_custom_rule_names_one_model",
            ),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gte=F("effective_from")),
                name="pricing_rule_ends_after_it_begins",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def state(self, now: datetime) -> str:
        """ "ahead", "in_force" or "ended"."""
        if self.effective_to is not None and self.effective_to <= max(now, self.effective_from):
            return "ended"
        return "ahead" if now < self.effective_from else "in_force"

    @property
    def says(self) -> str:
        return terms_said(self.percent, self.units, len(self.tiers))

    def as_rule(self) -> Rule:
        return Rule(
            self.id,
            self.provider,
            self.model,
            self.tier,
            RuleKind(self.kind),
            self.percent,
            self.units,
            self.tiers,
            self.effective_from,
            self.effective_to,
        )


class CommitmentKind(models.TextChoices):
    COMMITTED_USE = "committed_use", "Committed use"
    PROVISIONED = "provisioned", "Provisioned capacity"


class FeePeriod(models.TextChoices):
    MONTH = "month", "Every month"
    WHOLE = "whole", "Once, for the whole term"


class Commitment(TenantModel):
    """A flat fee for capacity or committed use, spread over the hours of its term (`pricing.fees`).

    What it costs never changes; it may be stopped early. Days are local days of `timezone`, both ends included.
    """

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=CommitmentKind.choices)
    provider = models.CharField(max_length=100, help_text="canonical id")
    model = models.CharField(max_length=200, blank=True)
    team = tenant_key("tenants.Team", help_text="who bears it")
    amount = models.BigIntegerField(help_text="nano-USD per period")
    period = models.CharField(max_length=10, choices=FeePeriod.choices)
    first_day = models.DateField()
    last_day = models.DateField(null=True, blank=True)
    timezone = models.CharField(max_length=64)
    booked_until = models.DateTimeField(help_text="every hour of the term that ends by then is booked")
    complete = models.BooleanField(default=False, help_text="nothing is left to book")
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="hours that begin then or later cost nothing")
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=CommitmentKind.values, period__in=FeePeriod.values),
                name="pricing_commitment_kind_and_period_known",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0, amount__lte=MOST_FEE), name="pricing_fee_positive"),
            models.CheckConstraint(
                condition=Q(last_day__isnull=True, period="month")
                | Q(last_day__isnull=False, last_day__gte=F("first_day")),
                name="pricing_commitment_term_is_a_term",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def fee(self) -> Fee:
        monthly = self.period == FeePeriod.MONTH
        return Fee(self.amount, monthly, self.first_day, self.last_day, ZoneInfo(self.timezone))

    def has_ended(self, now: datetime) -> bool:
        ends = [end for end in (self.fee.end, self.stopped_at) if end is not None]
        return self.complete or (bool(ends) and min(ends) <= now)
