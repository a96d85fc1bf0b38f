"""What is kept of authorizations: those that were refused, and those that ended other than by a plain commit."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from common.models import TenantModel, tenant_key


class Reason(models.TextChoices):
    """Why a call was refused, or would have been."""

    BUDGET = "budget-exceeded", "The budget has no room for it"
    BLOCKED = "blocked-at-percent", "The budget blocks from this part of its limit on"
    APPROVAL = "approval-required", "The budget asks for approval from this part of its limit on"
    UNPRICED = "unpriced-model", "The model has no known price"
    MODEL = "model-not-allowed", "The model is not on the list of allowed ones"
    RATE = "rate-limited", "Too many requests or tokens in this minute"
    UNAVAILABLE = "budget-unavailable", "The counters could not be asked"


class Refusal(TenantModel):
    """A call that was refused, or in shadow would have been. Written once, kept 90 days, never changed."""

    request_id = models.CharField(max_length=40)
    at = models.DateTimeField()
    virtual_key_id = models.BigIntegerField()
    # Who called for what: team_id, model, provider, customer, feature, agent, user, tags; and the caller's own id.
    subject = models.JSONField()
    reason = models.CharField(max_length=32, choices=Reason.choices)
    # The budget that refused; null for rate limits and lists of models.
    budget = tenant_key("budgets.Budget", null=True)
    # Integers as strings in the budget's unit (nano-USD, tokens, requests): limit, spent, reserved, requested; and
    # resets_at, percent, per minute figures where they belong to the reason.
    details = models.JSONField(default=dict)
    # It was let through: the budget only tries out what it would do.
    shadow = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-at"], name="refusal_newest_first"),
            models.Index(fields=["organization", "request_id"], name="refusal_of_request"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(reason__in=Reason.values), name="refusal_reason_known"),
        ]


class State(models.TextChoices):
    """How an authorization ended."""

    COMMITTED = "committed", "Its usage came in"
    PROVISIONAL = "provisional", "Abandoned: charged by the policy until its usage comes in"


class Authorization(TenantModel):
    """An authorization that ended: by its usage, or by its lease. `id` is the number inside of `reference`.

    What a caller released leaves no trace, and one that is live is in Redis alone.
    """

    reference = models.CharField(max_length=64)
    virtual_key_id = models.BigIntegerField()
    state = models.CharField(max_length=12, choices=State.choices)
    ended_at = models.DateTimeField()
    # What was held, as far as it is known: by unit (cost, tokens, requests) an integer as a string.
    held = models.JSONField(default=dict)
    # What its usage came to; `cost` in nano-USD is null while no price is known, or none came in.
    cost = models.BigIntegerField(null=True)
    tokens = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    # Nano-USD that the usage cost more than was held; 0 also where that is not known.
    overrun = models.BigIntegerField(default=0)
    # The provisional charges that stand in the ledger: budget, period_start, period_end, amount (as a string).
    charges = models.JSONField(default=list)
    # What was authorized: model, provider and the labels of the call.
    subject = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organization", "-ended_at"], name="authorization_latest_first")]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="authorization_state_known"),
            models.CheckConstraint(condition=models.Q(overrun__gte=0), name="authorization_overrun_not_negative"),
        ]


class Grantee(TenantModel):
    """Something that is set on a team, for it and all below it, or on a virtual key."""

    team = tenant_key("tenants.Team", null=True, blank=True)
    virtual_key = tenant_key("tenants.VirtualKey", null=True, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        abstract = True


def one_of_team_and_key(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=models.Q(team__isnull=True, virtual_key__isnull=False)
        | models.Q(team__isnull=False, virtual_key__isnull=True),
        name=name,
    )


def once_per_grantee(name: str) -> models.UniqueConstraint:
    return models.UniqueConstraint(fields=["organization", "team", "virtual_key"], name=name, nulls_distinct=False)


class RateLimit(Grantee):
    """How much of a key, or of a team and those below it, may be authorized per minute; null: not limited."""

    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            one_of_team_and_key("rate_limit_on_team_or_key"),
            once_per_grantee("rate_limit_once_per_grantee"),
            models.CheckConstraint(
                condition=models.Q(requests_per_minute__gt=0) | models.Q(tokens_per_minute__gt=0),
                name="rate_limit_limits_something",
            ),
        ]


class ModelAllowance(Grantee):
    """The only models that a key, or a team and those below it, may be authorized for. Without a row: all of them.

    Names as callers write them or as the catalog does; an asterisk at the end stands for any ending.
    """

    names = ArrayField(models.CharField(max_length=200))

    class Meta:
        constraints = [
            one_of_team_and_key("allowance_on_team_or_key"),
            once_per_grantee("allowance_once_per_grantee"),
        ]


class LadderStep(TenantModel):
    """The cheaper model that a budget suggests in place of another, by canonical names."""

    from_model = models.CharField(max_length=200)
    to_model = models.CharField(max_length=200)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "from_model"], name="ladder_one_step_per_model"),
            models.CheckConstraint(condition=~models.Q(from_model=models.F("to_model")), name="ladder_step_leads_on"),
        ]


class CounterCheck(TenantModel):
    """A comparison of counters with the ledger that found a difference, or built counters anew."""

    at = models.DateTimeField()
    rebuilt = models.PositiveIntegerField(default=0)
    drifted = models.PositiveIntegerField(default=0)
    # The largest difference, in the unit of its budget.
    largest = models.DecimalField(max_digits=40, decimal_places=0, default=0)


class AuthorizationCount(models.Model):
    """Authorizations by what became of them, summed over all time; made by hand-written SQL."""

    pk = models.CompositePrimaryKey("organization_id", "outcome")
    organization_id = models.BigIntegerField()
    outcome = models.CharField(max_length=32)
    count = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "budgets_authorization_count"
