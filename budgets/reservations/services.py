"""Changes to rate limits, lists of allowed models and the ladder of cheaper ones. In force within seconds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

from django.db import connection

from budgets.reservations.ladder import way_back
from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit
from common.ids import new_id
from common.problems import Fault, Problem, invalid
from tenants.models import AccessToken, Organization, Team, User, VirtualKey
from tenants.services import audit_record

Actor = User | AccessToken | None
Setting = RateLimit | ModelAllowance | LadderStep
AnySetting = TypeVar("AnySetting", RateLimit, ModelAllowance, LadderStep)
# What a caller saw of the setting it replaces: when that had changed last, None where there was none.
Seen = datetime | Literal["whatever"] | None
WHATEVER: Literal["whatever"] = "whatever"

MOST_PER_MINUTE = 2**31 - 1
MOST_MODELS = 200
_SETTING = 1_129_270_347  # any number, as long as no other lock has it


def rate_limit_set(
    *, organization: Organization, grantee: Team | VirtualKey, requests: int | None, tokens: int | None, actor: Actor,
    now: datetime, seen: Seen = WHATEVER,
) -> tuple[RateLimit, bool]:  # fmt: skip
    """Replaces what was set on the team or key; (the limit, whether it is new). Problem 412 when that is not what the
    caller saw."""
    if requests is None and tokens is None:
        raise invalid(Fault("", "required", "must limit requests or tokens"))
    values = {"requests_per_minute": requests, "tokens_per_minute": tokens, "changed_at": now}
    limit, made = _replaced(RateLimit, organization, _on(grantee), values, seen)
    audit_record(
        organization_id=organization.id, actor=actor, action="rate_limit.set", target=limit, now=now,
        on=f"{grantee._meta.model_name}:{grantee.id}", requests=str(requests), tokens=str(tokens),
    )  # fmt: skip
    return limit, made


def allowance_set(
    *, organization: Organization, grantee: Team | VirtualKey, names: Sequence[str], actor: Actor, now: datetime,
    seen: Seen = WHATEVER,
) -> tuple[ModelAllowance, bool]:  # fmt: skip
    """Replaces the list on the team or key; Problem 412 when that is not what the caller saw. An empty list allows no
    model at all."""
    values = {"names": sorted(set(names)), "changed_at": now}
    allowance, made = _replaced(ModelAllowance, organization, _on(grantee), values, seen)
    audit_record(
        organization_id=organization.id, actor=actor, action="model_allowance.set", target=allowance, now=now,
        on=f"{grantee._meta.model_name}:{grantee.id}", models=", ".join(allowance.names)[:1000],
    )  # fmt: skip
    return allowance, made


def ladder_step_set(
    *, organization: Organization, from_model: str, to_model: str, actor: Actor, now: datetime, seen: Seen = WHATEVER
) -> tuple[LadderStep, bool]:
    """Replaces what was suggested in place of the model; Problem 412 when that is not what the caller saw. Names are
    canonical. A step that leads back to where it began is refused."""
    if from_model == to_model:
        raise invalid(Fault("/to", "invalid", "must be another model"))
    _one_at_a_time(organization)
    steps = LadderStep.objects.filter(organization=organization).values_list("from_model", "to_model")
    loop = way_back(dict(steps), from_model, to_model)
    if loop:
        raise invalid(Fault("/to", "loop", f"leads back to where it began: {' → '.join(loop)}"))
    values = {"to_model": to_model, "changed_at": now}
    step, made = _replaced(LadderStep, organization, {"from_model": from_model}, values, seen)
    audit_record(
        organization_id=organization.id, actor=actor, action="model_ladder.set", target=step, now=now,
        from_model=from_model, to_model=to_model,
    )  # fmt: skip
    return step, made


def setting_remove(*, organization: Organization, setting: Setting, actor: Actor, now: datetime) -> None:
    action = {RateLimit: "rate_limit", ModelAllowance: "model_allowance", LadderStep: "model_ladder"}[type(setting)]
    audit_record(organization_id=organization.id, actor=actor, action=f"{action}.removed", target=setting, now=now)
    type(setting).objects.filter(organization=organization, id=setting.id).delete()


def _replaced(
    model: type[AnySetting], organization: Organization, on: dict[str, Any], values: dict[str, Any], seen: Seen
) -> tuple[AnySetting, bool]:
    _one_at_a_time(organization)
    found = model.objects.filter(organization=organization, **on).first()
    if seen not in (WHATEVER, None if found is None else found.changed_at):
        raise Problem("stale-write", "Somebody else changed this meanwhile. Look at it again before you save.")
    setting = found or model(organization=organization, id=new_id(), **on)
    for name, value in values.items():
        setattr(setting, name, value)
    setting.save(force_insert=found is None)
    return setting, found is None


def _one_at_a_time(organization: Organization) -> None:
    """Until the transaction ends: what one change rests on, no other changes, rows that are yet to come included."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashint8(%s), %s)", [organization.id, _SETTING])


def _on(grantee: Team | VirtualKey) -> dict[str, Team | VirtualKey | None]:
    return {"team": None, "virtual_key": None, ("team" if isinstance(grantee, Team) else "virtual_key"): grantee}
