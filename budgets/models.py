"""Budgets and their ledger."""

from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from common.models import TenantModel, tenant_key
from common.periods import WEEKDAYS, PeriodKind
from tenants.models import Organization, Team, VirtualKey

MAX_LIMIT = 10**9 * 10**9  # one billion USD, in nano-USD


class Scope(models.TextChoices):
    ORGANIZATION = "organization", "Organization"
    TEAM = "team", "Team"
    VIRTUAL_KEY = "virtual_key", "Virtual key"


class BudgetQuerySet(models.QuerySet["Budget"]):
    def in_force(self) -> "BudgetQuerySet":
        return self.filter(archived_at__isnull=True)

    def with_scope(self) -> "BudgetQuerySet":
        """With the objects they name, for pages and answers that say them."""
        return self.select_related("organization", "team", "virtual_key")


class Budget(TenantModel):
    """A limit on the cost of a scope per period. What it measures (scope, period, zone) never changes once it counts;
    name, limit and thresholds may."""

    name = models.CharField(max_length=100)
    scope_type = models.CharField(max_length=20, choices=Scope.choices)
    team = tenant_key("tenants.Team", null=True, blank=True)
    virtual_key = tenant_key("tenants.VirtualKey", null=True, blank=True)
    limit = models.BigIntegerField(help_text="nano-USD per period")
    period = models.CharField(max_length=10, choices=[(kind.value, kind.value.capitalize()) for kind in PeriodKind])
    timezone = models.CharField(max_length=64)
    week_start = models.CharField(max_length=9, choices=[(day, day.capitalize()) for day in WEEKDAYS], default="monday")
    # Percent of the limit, ascending; each fires once per period.
    thresholds = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(default=utc_now)
    # The start of the first period it counts; usage before it belongs to no period of this budget.
    counts_from = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(limit__gt=0, limit__lte=MAX_LIMIT), name="budget_limit_positive"),
            models.CheckConstraint(
                condition=Q(scope_type="organization", team__isnull=True, virtual_key__isnull=True)
                | Q(scope_type="team", team__isnull=False, virtual_key__isnull=True)
                | Q(scope_type="virtual_key", team__isnull=True, virtual_key__isnull=False),
                name="budget_scope_names_its_object",
            ),
            models.CheckConstraint(
                condition=Q(period__in=[kind.value for kind in PeriodKind]), name="budget_period_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Organization | Team | VirtualKey:
        """What it limits."""
        return self.team or self.virtual_key or self.organization

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def first_weekday(self) -> int:
        return WEEKDAYS.index(self.week_start)


class LedgerEntry(TenantModel):
    """What was spent under a budget in one period: settled in the transaction that stores the events.

    `spent` is the sum of the costs (nano-USD) of every priced event of the scope and period, to the last one.
    """

    budget = tenant_key("budgets.Budget")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    spent = models.DecimalField(max_digits=40, decimal_places=0, default=0)
    requests = models.BigIntegerField(default=0)
    unpriced_requests = models.BigIntegerField(default=0)
    # The highest threshold that has fired in this period; 0: none.
    fired = models.PositiveSmallIntegerField(default=0)
    settled_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "budget", "period_start"], name="ledger_one_entry_per_budget_and_period"
            ),
        ]
