"""Changes to rate limits, lists of allowed models and the ladder of cheaper ones. In force within seconds."""

from collections.abc import Sequence
from datetime import datetime

from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit
from common.ids import new_id
from common.problems import Fault, invalid
from tenants.models import AccessToken, Organization, Team, User, VirtualKey
from tenants.services import audit_record

Actor = User | AccessToken | None


def rate_limit_set(
    *, organization: Organization, grantee: Team | VirtualKey, requests: int | None, tokens: int | None, actor: Actor,
    now: datetime,
) -> tuple[RateLimit, bool]:  # fmt: skip
    """Replaces what was set on the team or key; (the limit, whether it is new)."""
    if requests is None and tokens is None:
        raise invalid(Fault("", "required", "must limit requests or tokens"))
    values = {"requests_per_minute": requests, "tokens_per_minute": tokens, "changed_at": now}
    limit, made = RateLimit.objects.update_or_create(
        organization=organization, **_on(grantee), defaults=values, create_defaults=values | {"id": new_id()}
    )
    audit_record(
        organization_id=organization.id, actor=actor, action="rate_limit.set", target=limit, now=now,
        on=f"{grantee._meta.model_name}:{grantee.id}", requests=str(requests), tokens=str(tokens),
    )  # fmt: skip
    return limit, made


def allowance_set(
    *, organization: Organization, grantee: Team | VirtualKey, names: Sequence[str], actor: Actor, now: datetime
) -> tuple[ModelAllowance, bool]:
    """Replaces the list on the team or key. An empty list allows no model at all."""
    values = {"names": sorted(set(names)), "changed_at": now}
    allowance, made = ModelAllowance.objects.update_or_create(
        organization=organization, **_on(grantee), defaults=values, create_defaults=values | {"id": new_id()}
    )
    audit_record(
        organization_id=organization.id, actor=actor, action="model_allowance.set", target=allowance, now=now,
        on=f"{grantee._meta.model_name}:{grantee.id}", models=", ".join(allowance.names)[:1000],
    )  # fmt: skip
    return allowance, made


def ladder_step_set(
    *, organization: Organization, from_model: str, to_model: str, actor: Actor, now: datetime
) -> tuple[LadderStep, bool]:
    """Replaces what was suggested in place of the model. Names are canonical."""
    if from_model == to_model:
        raise invalid(Fault("/to", "invalid", "must be another model"))
    values = {"to_model": to_model, "changed_at": now}
    step, made = LadderStep.objects.update_or_create(
        organization=organization, from_model=from_model, defaults=values, create_defaults=values | {"id": new_id()}
    )
    audit_record(
        organization_id=organization.id, actor=actor, action="model_ladder.set", target=step, now=now,
        from_model=from_model, to_model=to_model,
    )  # fmt: skip
    return step, made


def setting_remove(
    *, organization: Organization, setting: RateLimit | ModelAllowance | LadderStep, actor: Actor, now: datetime
) -> None:
    action = {RateLimit: "rate_limit", ModelAllowance: "model_allowance", LadderStep: "model_ladder"}[type(setting)]
    audit_record(organization_id=organization.id, actor=actor, action=f"{action}.removed", target=setting, now=now)
    type(setting).objects.filter(organization=organization, id=setting.id).delete()


def _on(grantee: Team | VirtualKey) -> dict[str, Team | VirtualKey | None]:
    return {"team": None, "virtual_key": None, ("team" if isinstance(grantee, Team) else "virtual_key"): grantee}
