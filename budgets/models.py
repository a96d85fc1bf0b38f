"""Budgets, the limits they had, what happens at parts of them, and their ledger."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.timezone import now as utc_now

from budgets.reservations import models as _reservations  # noqa: F401 - Django looks for models here
from common.models import TenantModel, tenant_key
from common.periods import WEEKDAYS
from tenants.models import Organization, Team, VirtualKey

MAX_LIMIT = 10**9 * 10**9  # one billion USD, in nano-USD
# Calendar periods (`common.periods`), the last N local days, and everything from the first day on.
WINDOW_KINDS = ("hour", "day", "week", "month", "quarter", "year", "rolling", "total")


class Scope(models.TextChoices):
    ORGANIZATION = "organization", "Organization"
    TEAM = "team", "Team"
    VIRTUAL_KEY = "virtual_key", "Virtual key"
    CUSTOMER = "customer", "Customer"
    FEATURE = "feature", "Feature"
    AGENT = "agent", "Agent"
    USER = "user", "User"
    MODEL = "model", "Model"
    TAG = "tag", "Tag"


# What a caller's own word names, in the whole organization or in one team and those below it.
VALUE_SCOPES = (Scope.CUSTOMER, Scope.FEATURE, Scope.AGENT, Scope.USER, Scope.MODEL, Scope.TAG)


class Unit(models.TextChoices):
    """What is counted: nano-USD, tokens (input and output, each with all that belongs to it), or requests."""

    COST = "cost", "Cost"
    TOKENS = "tokens", "Tokens"
    REQUESTS = "requests", "Requests"


class Enforcement(models.TextChoices):
    """NONE only counts; SOFT tells and refuses nothing; HARD refuses what does not fit."""

    NONE = "none", "Count only"
    SOFT = "soft", "Alert"
    HARD = "hard", "Block"


class WhenUnavailable(models.TextChoices):
    """What an authorization is answered while the counters cannot be asked."""

    OPEN = "open", "Allow, for a while"
    CLOSED = "closed", "Refuse"


class UnpricedPolicy(models.TextChoices):
    """What becomes of a call of a model whose price is not known."""

    ALLOW = "allow", "Allow, hold nothing"
    ESTIMATE = "estimate", "Hold the dearest known price of the provider"
    BLOCK = "block", "Refuse"


class AbandonedPolicy(models.TextChoices):
    """What a reservation is charged that nobody committed or released before its lease ended."""

    INPUT = "input", "The input's cost"
    FULL = "full", "All that was held"
    NOTHING = "nothing", "Nothing"


class Action(models.TextChoices):
    """What happens to calls from a part of the limit on."""

    THROTTLE = "throttle", "Throttle"
    DEGRADE = "degrade", "Suggest a cheaper model"
    APPROVE = "approve", "Ask for approval"
    BLOCK = "block", "Block"


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
    # The team it limits; of a value scope the team it looks at, with those below it (null: the whole organization).
    team = tenant_key("tenants.Team", null=True, blank=True)
    virtual_key = tenant_key("tenants.VirtualKey", null=True, blank=True)
    # What a value scope limits, such as the customer "acme" or the model "gpt-4o" (canonical); of a tag its value.
    value = models.CharField(max_length=200, blank=True, default="")
    tag_name = models.CharField(max_length=40, blank=True, default="")
    unit = models.CharField(max_length=10, choices=Unit.choices, default=Unit.COST)
    # As it was last set to hold at once. What holds at an instant follows from `BudgetLimit`: ask `budgets.limits`.
    limit = models.BigIntegerField(help_text="nano-USD, tokens or requests per period")
    period = models.CharField(max_length=10, choices=[(kind, kind.capitalize()) for kind in WINDOW_KINDS])
    timezone = models.CharField(max_length=64)
    week_start = models.CharField(max_length=9, choices=[(day, day.capitalize()) for day in WEEKDAYS], default="monday")
    # For quarters and years: the month (1 to 12) in which the fiscal year begins.
    fiscal_year_start_month = models.PositiveSmallIntegerField(default=1)
    # For rolling windows: today and as many local days before it, together this many.
    rolling_days = models.PositiveSmallIntegerField(null=True, blank=True)
    enforcement = models.CharField(max_length=10, choices=Enforcement.choices, default=Enforcement.SOFT)
    # Would have refused, and says so, but refuses nothing.
    shadow = models.BooleanField(default=False)
    when_unavailable = models.CharField(max_length=10, choices=WhenUnavailable.choices, default=WhenUnavailable.OPEN)
    # How long an open budget lets calls through that nobody can count.
    grace_seconds = models.PositiveIntegerField(default=300)
    unpriced = models.CharField(max_length=10, choices=UnpricedPolicy.choices, default=UnpricedPolicy.ALLOW)
    abandoned = models.CharField(max_length=10, choices=AbandonedPolicy.choices, default=AbandonedPolicy.INPUT)
    # Of what a period left, at most this much is added to the next one; null: nothing.
    rollover_max = models.BigIntegerField(null=True, blank=True)
    # Whether the limits of the parts of a scope may together exceed this one.
    overcommit = models.BooleanField(default=True)
    # Each fires once per period: percent of the limit ascending, amounts in the unit, percent that the forecast makes.
    thresholds = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    threshold_amounts = ArrayField(models.BigIntegerField(), default=list, blank=True)
    forecast_thresholds = ArrayField(models.PositiveSmallIntegerField(), default=list, blank=True)
    # Until then it counts and refuses nothing.
    paused_until = models.DateTimeField(null=True, blank=True)
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
                condition=Q(scope_type="organization", team__isnull=True, virtual_key__isnull=True, value="")
                | Q(scope_type="team", team__isnull=False, virtual_key__isnull=True, value="")
                | Q(scope_type="virtual_key", team__isnull=True, virtual_key__isnull=False, value="")
                | (Q(scope_type__in=VALUE_SCOPES, virtual_key__isnull=True) & ~Q(value="")),
                name="budget_scope_names_its_object",
            ),
            models.CheckConstraint(
                condition=(Q(scope_type="tag") & ~Q(tag_name="")) | (~Q(scope_type="tag") & Q(tag_name="")),
                name="budget_tag_has_a_name",
            ),
            models.CheckConstraint(condition=Q(period__in=WINDOW_KINDS), name="budget_period_known"),
            models.CheckConstraint(
                condition=Q(period="rolling", rolling_days__isnull=False, rolling_days__gte=2, rolling_days__lte=366)
                | (~Q(period="rolling") & Q(rolling_days__isnull=True)),
                name="budget_rolling_says_how_long",
            ),
            models.CheckConstraint(
                condition=Q(fiscal_year_start_month__gte=1, fiscal_year_start_month__lte=12),
                name="budget_fiscal_year_starts_in_a_month",
            ),
            models.CheckConstraint(condition=Q(unit__in=Unit.values), name="budget_unit_known"),
            models.CheckConstraint(condition=Q(enforcement__in=Enforcement.values), name="budget_enforcement_known"),
            models.CheckConstraint(
                condition=Q(rollover_max__isnull=True) | Q(rollover_max__gt=0), name="budget_rollover_positive"
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


class LimitKind(models.TextChoices):
    BASE = "base", "Limit"
    INCREASE = "increase", "Increase"
    TRANSFER = "transfer", "Transfer"
    ROLLOVER = "rollover", "Rollover"


class BudgetLimit(TenantModel):
    """What the limit of a budget was, is or will be: the limit at an instant is the latest BASE that had begun by then,
    plus every other amount that is in force at it. Only ever appended; an end is set once.
    """

    budget = tenant_key("budgets.Budget")
    kind = models.CharField(max_length=10, choices=LimitKind.choices, default=LimitKind.BASE)
    # In the budget's unit. Negative for what a transfer took away.
    amount = models.BigIntegerField()
    starts_at = models.DateTimeField()
    # Null: for good, or for a BASE until the next one begins.
    ends_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    # Text, as in the audit trail.
    made_by = models.CharField(max_length=254, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind="base") | Q(amount__gt=0, amount__lte=MAX_LIMIT), name="budget_base_limit_positive"
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")), name="budget_limit_ends_after_start"
            ),
        ]
        indexes = [models.Index(fields=["organization", "budget", "starts_at"], name="limit_of_budget_by_time")]


class BudgetAction(TenantModel):
    """What happens to calls once a budget is used up to a part. Of several that are reached the strictest counts."""

    budget = tenant_key("budgets.Budget")
    at_percent = models.PositiveSmallIntegerField()
    action = models.CharField(max_length=10, choices=Action.choices)
    # For THROTTLE: how much of the scope may go through per minute; null: not limited.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "budget", "at_percent", "action"], name="budget_action_once_per_part"
            ),
            models.CheckConstraint(
                condition=Q(at_percent__gte=1, at_percent__lte=100), name="budget_action_at_a_percentage"
            ),
            models.CheckConstraint(
                condition=(
                    Q(action="throttle") & (Q(requests_per_minute__isnull=False) | Q(tokens_per_minute__isnull=False))
                )
                | (~Q(action="throttle") & Q(requests_per_minute__isnull=True, tokens_per_minute__isnull=True)),
                name="budget_throttle_says_to_what",
            ),
        ]


class LedgerEntry(TenantModel):
    """What was used under a budget in one period: settled in the transaction that stores the events.

    `spent` is the sum of the costs (nano-USD) of every priced event of the scope and period, to the last one. A budget
    by tokens or requests counts in the column of its unit. A rolling budget has an entry per local day.
    """

    budget = tenant_key("budgets.Budget")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    spent = models.DecimalField(max_digits=40, decimal_places=0, default=0)
    tokens = models.BigIntegerField(default=0, db_default=0)
    requests = models.BigIntegerField(default=0)
    unpriced_requests = models.BigIntegerField(default=0)
    # Charged for abandoned authorizations until their usage comes in, in the budget's unit; not part of the sums above.
    provisional = models.BigIntegerField(default=0, db_default=0)
    # Drawn anew at every change, by a trigger: a later state of an entry has a greater number.
    version = models.BigIntegerField(default=0, db_default=0, editable=False)
    # The highest of each kind of thresholds that has fired in this period; 0: none. A rolling window is not one entry:
    # what it has fired follows from the sums before and after.
    fired = models.PositiveSmallIntegerField(default=0)
    fired_amount = models.BigIntegerField(default=0, db_default=0)
    fired_forecast = models.PositiveSmallIntegerField(default=0, db_default=0)
    # The limit that they are percentages of; null while none has fired.
    fired_limit = models.BigIntegerField(null=True)
    settled_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "budget", "period_start"], name="ledger_one_entry_per_budget_and_period"
            ),
        ]


class RequestState(models.TextChoices):
    PENDING = "pending", "Waiting"
    APPROVED = "approved", "Approved"
    DENIED = "denied", "Denied"
    WITHDRAWN = "withdrawn", "Withdrawn"
    # Nobody decided in time. Written down when the next request takes its place; until then `expires_at` says it.
    EXPIRED = "expired", "Expired"


class IncreaseRequest(TenantModel):
    """Somebody asks for more than a budget allows. Decided once, by `budgets.approvals`."""

    budget = tenant_key("budgets.Budget")
    # By how much, in the budget's unit, and until when; null: for good.
    amount = models.BigIntegerField()
    until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    # The member who asks; null: a virtual key or an access token does.
    user = models.ForeignKey("tenants.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # "user", "key" or "token" and its id, and the same as text that outlives it, as in the audit trail.
    asker = models.CharField(max_length=40)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=RequestState.choices, default=RequestState.PENDING)
    decided_by = models.CharField(max_length=254, blank=True)
    # As what they decided: a role, or "token".
    decided_as = models.CharField(max_length=10, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "budget", "asker"],
                condition=Q(state="pending"),
                name="increase_request_one_open_per_budget_and_asker",
            ),
            models.CheckConstraint(
                condition=Q(amount__gt=0, amount__lte=MAX_LIMIT), name="increase_request_amount_positive"
            ),
            models.CheckConstraint(
                condition=Q(until__isnull=True) | Q(until__gt=F("asked_at")), name="increase_request_lasts"
            ),
            models.CheckConstraint(condition=Q(state__in=RequestState.values), name="increase_request_state_known"),
            models.CheckConstraint(
                condition=(Q(state__in=("approved", "denied"), decided_at__isnull=False) & ~Q(decided_by=""))
                | (~Q(state__in=("approved", "denied")) & Q(decided_at__isnull=True, decided_by="")),
                name="increase_request_decided_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-asked_at"], name="increase_request_newest_first"),
            models.Index(fields=["organization", "budget", "-asked_at"], name="increase_request_of_budget"),
        ]

    def state_at(self, now: datetime) -> RequestState:
        """As it is to be read: a request that waited too long has expired."""
        state = RequestState(self.state)
        return RequestState.EXPIRED if state is RequestState.PENDING and self.expires_at <= now else state


class ApprovalPolicy(TenantModel):
    """How much managers of a team may approve on its budgets, together in 30 days; an organization without one, or
    with neither amount: nothing."""

    # nano-USD, for budgets in cost; or percent of the limit, for every unit.
    manager_amount = models.BigIntegerField(null=True, blank=True)
    manager_percent = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="approval_policy_one_per_organization"),
            models.CheckConstraint(
                condition=Q(manager_amount__isnull=True) | Q(manager_percent__isnull=True),
                name="approval_policy_amount_or_percent",
            ),
            models.CheckConstraint(
                condition=Q(manager_amount__isnull=True) | Q(manager_amount__gt=0, manager_amount__lte=MAX_LIMIT),
                name="approval_policy_amount_positive",
            ),
            models.CheckConstraint(
                condition=Q(manager_percent__isnull=True) | Q(manager_percent__gte=1, manager_percent__lte=100),
                name="approval_policy_percent_in_range",
            ),
        ]
