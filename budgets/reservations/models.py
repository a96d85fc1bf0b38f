"""What is kept of authorizations: those that were refused, and those that ended other than by a plain commit."""

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
