"""What providers billed, in versions that are never changed, and the differences that somebody accepted."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from common.models import TenantModel, tenant_key


class BilledDay(TenantModel):
    """One version of what a provider says of one day of UTC: its costs, or the usage that goes with them.

    Another upload of the same content changes nothing; other content makes a new version, and the old one stays.
    """

    provider = models.CharField(max_length=200)
    day = models.DateField()
    source = models.CharField(max_length=10, choices=[("costs", "Costs"), ("usage", "Usage")])
    # SHA-256 of the lines, in hex.
    digest = models.CharField(max_length=64)
    uploaded_at = models.DateTimeField(default=utc_now)
    uploaded_by = models.CharField(max_length=254)
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "day", "source"],
                condition=Q(superseded_at__isnull=True),
                name="billed_day_has_one_current_version",
            )
        ]


class BilledLine(TenantModel):
    """A line of a version. `amount` is nano-USD; `model` is canonical, or the line item where that names no model."""

    billed_day = tenant_key(BilledDay)
    model = models.CharField(max_length=200, blank=True)
    line_item = models.CharField(max_length=200, blank=True)
    amount = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(input_tokens__gte=0, output_tokens__gte=0), name="billed_tokens_counted")
        ]


class AcceptedDifference(TenantModel):
    """A difference that was booked on a team, as the adjustment whose run has this row's id. Undone, it was booked
    back; the row stays. `amount` is nano-USD, what the bill had more than we did."""

    provider = models.CharField(max_length=200)
    day = models.DateField()
    model = models.CharField(max_length=200, blank=True)
    amount = models.BigIntegerField()
    team = tenant_key("tenants.Team")
    note = models.CharField(max_length=200, blank=True)
    accepted_at = models.DateTimeField(default=utc_now)
    accepted_by = models.CharField(max_length=254)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="accepted_difference_is_one")]
        indexes = [models.Index(fields=["organization", "provider", "day"], name="accepted_by_day")]
