"""Which rule an alert answers to, whom it tells, and what becomes of it: what `alerts.services` is built on."""

from datetime import datetime

from django.db.models import Q

from alerts.machine import Phase
from alerts.models import DETAIL_LENGTH, Alert, AlertEvent, AlertEventKind, AlertRule, Channel, RuleStanding
from alerts.rule_kinds import RuleKind, ScopeType
from common.ids import new_id

# What is raised where it happens, at settling; a rule about it says how severe it is and who is told.
RAISED_AT_SETTLING = frozenset({RuleKind.BUDGET_THRESHOLD.value, RuleKind.UNPRICED_USAGE.value})


def governing_rule(organization_id: int, kind: str, subject: str) -> AlertRule | None:
    """The rule that decides about alerts that are raised elsewhere: the one about this subject before the general one.

    `subject` is "budget:" and its id, or empty.
    """
    if kind not in RAISED_AT_SETTLING:
        return None
    value = subject.removeprefix(f"{ScopeType.BUDGET}:")
    rules = AlertRule.objects.present().filter(organization_id=organization_id, kind=kind)
    return rules.filter(Q(scope_value="") | Q(scope_value=value)).order_by("-scope_value", "id").first()


def channels_told(organization_id: int, rule: AlertRule | None, now: datetime) -> list[Channel]:
    """Those of `channels_of`; nobody while the rule is muted."""
    muted = rule is not None and rule.muted_until is not None and rule.muted_until > now
    return [] if muted else channels_of(organization_id, rule)


def channels_of(organization_id: int, rule: AlertRule | None) -> list[Channel]:
    """The channels that are on and that the rule names; all of them for a rule that names none, and without a rule."""
    listening = Channel.objects.listening().filter(organization_id=organization_id)
    named = [] if rule is None else channel_ids_of(rule)
    return list(listening.filter(id__in=named) if named else listening)


def channel_ids_of(rule: AlertRule) -> list[int]:
    """The channels that a rule names and that still exist."""
    present = Channel.objects.present().filter(
        organization_id=rule.organization_id,
        id__in=rule.named_channels().values("channel_id"),
    )
    return list(present.order_by("name", "id").values_list("id", flat=True))


def alert_noted(alert: Alert, kind: AlertEventKind, now: datetime, *, by: str = "", note: str = "") -> None:
    """One more line in the alert's history."""
    AlertEvent.objects.create(
        id=new_id(), organization_id=alert.organization_id, alert=alert, at=now, kind=kind, by=by,
        note=note[:DETAIL_LENGTH],
    )  # fmt: skip


def noted_as_acknowledged(alert: Alert, *, by: str, now: datetime) -> None:
    alert_noted(alert, AlertEventKind.ACKNOWLEDGED, now, by=by)
    RuleStanding.objects.filter(organization_id=alert.organization_id, alert=alert, phase=Phase.FIRING.value).update(
        phase=Phase.ACKNOWLEDGED.value
    )
