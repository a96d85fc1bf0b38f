"""Runs that price stored usage anew."""

from django.db import models
from django.db.models import F, Q
from django.utils.timezone import now as utc_now

from common.models import TenantModel
from tenants.models import Organization


class RunState(models.TextChoices):
    PREVIEWING = "previewing", "Working out the preview"
    PREVIEWED = "previewed", "Preview ready"
    APPLYING = "applying", "Being applied"
    APPLIED = "applied", "Applied"
    UNDOING = "undoing", "Being undone"
    UNDONE = "undone", "Undone"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


# What a worker has to do something about.
AT_WORK = (RunState.PREVIEWING, RunState.APPLYING, RunState.UNDOING)
# A preview stands from here on.
_PREVIEWED = (RunState.PREVIEWED, RunState.APPLYING, RunState.APPLIED, RunState.UNDOING, RunState.UNDONE)


class RepriceRun(TenantModel):
    """Usage of a range of time priced anew: first as a preview, then, when somebody says so, as adjustments.

    How far a step is stands in the cursor and moves in the transaction that books, so a run that was stopped anywhere
    goes on where it was. Amounts are differences in nano-USD.
    """

    reason = models.CharField(max_length=200)
    # The scope: [starts_at, ends_at), all usage or that of a provider and model, called as reported or as in the list.
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    provider = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    unpriced_only = models.BooleanField(default=False)
    # Goes on from the preview by itself.
    apply_at_once = models.BooleanField(default=False)

    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.PREVIEWING)
    # Where a failed run stopped, and goes on from when it is tried again.
    failed_in = models.CharField(max_length=10, blank=True)
    error = models.CharField(max_length=500, blank=True)
    # The last event (while undoing: the last adjustment) that is done, in the order of time.
    cursor_at = models.DateTimeField(null=True, blank=True)
    cursor_id = models.CharField(max_length=200, blank=True)

    # The preview.
    events = models.BigIntegerField(default=0, help_text="in scope")
    events_changed = models.BigIntegerField(default=0, help_text="that would cost something else")
    events_newly_priced = models.BigIntegerField(default=0, help_text="that have no price yet and would get one")
    events_kept = models.BigIntegerField(default=0, help_text="whose price is no longer known; they keep it")
    list_cost = models.DecimalField(max_digits=40, decimal_places=0, default=0)
    cost = models.DecimalField(max_digits=40, decimal_places=0, default=0)
    # team id → [events, list cost, cost], "provider/model" → the same
    by_team = models.JSONField(default=dict, blank=True)
    by_model = models.JSONField(default=dict, blank=True)
    # budget id → {start of the period → cost}; then what that does to the budgets' thresholds
    by_budget = models.JSONField(default=dict, blank=True)
    flips = models.JSONField(default=list, blank=True)

    # What the step at work has gone through, and what stands booked.
    events_done = models.BigIntegerField(default=0)
    events_booked = models.BigIntegerField(default=0)
    list_cost_booked = models.DecimalField(max_digits=40, decimal_places=0, default=0)
    cost_booked = models.DecimalField(max_digits=40, decimal_places=0, default=0)

    # Who, in the words of the audit trail: a person's address, a token's hint, or "costhub".
    started_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=utc_now)
    previewed_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="reprice_run_state_known"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="reprice_run_has_a_range"),
            models.CheckConstraint(
                condition=Q(state="failed", failed_in__in=AT_WORK) | (~Q(state="failed") & Q(failed_in="")),
                name="reprice_run_failed_somewhere",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=_PREVIEWED) | Q(previewed_at__isnull=False),
                name="reprice_run_is_previewed_first",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(applied_at__isnull=False), name="reprice_run_applied_when"
            ),
            models.CheckConstraint(
                condition=~Q(state="undone") | Q(undone_at__isnull=False, events_booked=0, cost_booked=0),
                name="reprice_run_undone_whole",
            ),
            models.CheckConstraint(
                condition=Q(cursor_at__isnull=True, cursor_id="") | Q(cursor_at__isnull=False) & ~Q(cursor_id=""),
                name="reprice_run_cursor_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.reason

    @property
    def at_work(self) -> bool:
        return self.state in AT_WORK

    @property
    def step(self) -> str:
        """The step it is in, or stopped in."""
        return self.failed_in or self.state


class PriceWatch(models.Model):
    """Which version of the price list an organization's unpriced usage was last held against."""

    organization = models.OneToOneField(
        Organization, on_delete=models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    catalog_version = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.organization_id} at {self.catalog_version}"


STATUSES = ("ok", "error", "cancelled")


class ReportedAdjustment(TenantModel):
    """A refund or correction that a caller reported, under the caller's own id. Never updated, never deleted.

    The last `status` and the last `usage` of an event, by id, are the ones that hold.
    """

    external_id = models.CharField(max_length=200)
    event_time = models.DateTimeField()
    event_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=10)
    cost = models.BigIntegerField(default=0, help_text="difference in nano-USD")
    status = models.CharField(max_length=10, blank=True, help_text="that the event has from now on")
    usage = models.JSONField(null=True, blank=True, help_text="counts by bucket that the event has from now on")
    reason = models.CharField(max_length=200)
    reported_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "external_id"], name="adjustment_is_reported_once"),
            models.CheckConstraint(
                condition=Q(kind="refund", cost__lt=0, status="", usage__isnull=True)
                | Q(kind="correction", status="", usage__isnull=True) & ~Q(cost=0)
                | Q(kind="status", cost=0, status__in=STATUSES, usage__isnull=True)
                | Q(kind="usage", cost=0, status="", usage__isnull=False),
                name="adjustment_changes_something",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "event_time", "event_id", "kind", "-id"],
                condition=Q(kind__in=("status", "usage")),
                name="adjustment_holds",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id
