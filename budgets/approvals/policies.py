"""How much an organization lets managers approve."""

from datetime import datetime

from django.core.exceptions import ValidationError

from budgets.approvals.selectors import policy_of
from budgets.models import MAX_LIMIT, ApprovalPolicy
from common.display import usd_exact
from common.ids import new_id
from tenants.models import AccessToken, Organization, User
from tenants.services import audit_record
from usage.locks import lock_organization


def policy_set(
    *,
    organization: Organization,
    manager_amount: int | None,
    manager_percent: int | None,
    actor: User | AccessToken,
    now: datetime,
) -> ApprovalPolicy:
    """Managers may add this much (nano-USD, or percent of the limit) to a budget of their teams; neither: nothing."""
    if manager_amount is not None and manager_percent is not None:
        raise ValidationError({"manager_percent": "Give an amount or a percentage, not both."})
    if manager_amount is not None and not 0 < manager_amount <= MAX_LIMIT:
        raise ValidationError({"manager_amount": "More than 0 and at most 1,000,000,000 USD."})
    if manager_percent is not None and not 1 <= manager_percent <= 100:
        raise ValidationError({"manager_percent": "A whole percentage from 1 to 100."})
    lock_organization(organization.id)
    before = policy_of(organization.id)
    present = ApprovalPolicy.objects.filter(organization=organization)
    given = {"manager_amount": manager_amount, "manager_percent": manager_percent}
    if not present.update(**given):
        ApprovalPolicy.objects.create(id=new_id(), organization=organization, **given)
    policy = policy_of(organization.id)
    audit_record(
        organization_id=organization.id, actor=actor, action="approvals.policy_set", target=policy, now=now,
        before=policy_text(before), managers_may_approve=policy_text(policy),
    )  # fmt: skip
    return policy


def policy_text(policy: ApprovalPolicy) -> str:
    if policy.manager_percent is not None:
        return f"{policy.manager_percent}% of the limit"
    return usd_exact(policy.manager_amount) if policy.manager_amount is not None else "nothing"
