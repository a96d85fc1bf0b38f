"""Writes to alert rules. Each runs inside `organization_scope`, in its caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from alerts.endings import alerts_end, open_alerts
from alerts.facts import one_line
from alerts.kinds import AlertKind
from alerts.locks import lock_rules
from alerts.machine import Phase
from alerts.models import Alert, AlertRule, Channel, RuleChannel, RuleStanding, Severity
from alerts.rule_kinds import KINDS, RuleKind, ScopeType, parameters_checked
from alerts.services import TEST_INTERVAL, Actor, alert_write
from alerts.standing import channels_of
from common.ids import new_id
from common.problems import Problem
from tenants.models import Organization
from tenants.services import actor_name, audit_record

RULES_LIMIT = 200
MUTE_LIMIT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class RuleScope:
    """What a rule looks at; without a value at each of its type. Callers see to it that the value names something."""

    type: str = ScopeType.ORGANIZATION.value
    value: str = ""
    tag_name: str = ""


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What of a rule may change. No channels: all that are on."""

    name: str
    scope: RuleScope
    severity: str
    parameters: Mapping[str, Any]
    channel_ids: Sequence[int] = ()
    enabled: bool = True


def rule_create(*, organization: Organization, kind: str, draft: RuleDraft, actor: Actor, now: datetime) -> AlertRule:
    """A rule that is read from the next round on. ValidationError for what makes no sense, by field."""
    if AlertRule.objects.present().filter(organization=organization).count() >= RULES_LIMIT:
        raise ValidationError(f"An organization has at most {RULES_LIMIT} rules.")
    rule = AlertRule(
        id=new_id(), organization=organization, kind=RuleKind(kind), created_at=now,
        created_by="" if actor is None else actor_name(actor),
    )  # fmt: skip
    _fill(rule, draft)
    _save(rule, draft, force_insert=True)
    _audit(rule, "alert_rule.created", actor, now)
    return rule


def rule_update(*, rule: AlertRule, version: int, draft: RuleDraft, actor: Actor, now: datetime) -> AlertRule:
    """Changes the version that the caller saw; Problem 412 `stale-write` for another.

    Another scope or other parameters begin anew: what fired under the old ones ends without a word. But news that was
    told stays told.
    """
    rule = _unchanged(rule, version)
    before = (rule.scope_type, rule.scope_value, rule.tag_name, rule.parameters, rule.enabled)
    _fill(rule, draft)
    rule.version += 1
    if before != (rule.scope_type, rule.scope_value, rule.tag_name, rule.parameters, rule.enabled):
        anew = _keep_news if rule.spec.once else _begin_anew
        anew(rule, "The rule was changed.", now)
    _save(rule, draft)
    _audit(rule, "alert_rule.updated", actor, now)
    return rule


def rule_mute(*, rule: AlertRule, until: datetime | None, actor: Actor, now: datetime) -> AlertRule:
    """Nobody is told until then, None: from now on everybody again. What fires meanwhile is written down."""
    if until is not None and not now < until <= now + MUTE_LIMIT:
        raise ValidationError({"until": f"Choose a moment within the next {MUTE_LIMIT.days} days."})
    rule.muted_until = until
    rule.version += 1
    rule.save(update_fields=["muted_until", "version"])
    _audit(rule, "alert_rule.unmuted" if until is None else "alert_rule.muted", actor, now)
    return rule


def rule_delete(*, rule: AlertRule, version: int, actor: Actor, now: datetime) -> None:
    """Its alerts stay in the history; what fires ends without a word."""
    rule = _unchanged(rule, version)
    rule.enabled, rule.deleted_at = False, now
    rule.version += 1
    rule.save(update_fields=["enabled", "deleted_at", "version"])
    _begin_anew(rule, "The rule was deleted.", now)
    _audit(rule, "alert_rule.deleted", actor, now)


def rule_test(*, rule: AlertRule, actor: Actor, now: datetime) -> Alert | None:
    """A test to the channels that the rule tells, muted or not; None when one was sent a moment ago."""
    slot = int(now.timestamp() // TEST_INTERVAL.total_seconds())
    alert = alert_write(
        rule.organization_id, channels_of(rule.organization_id, rule), AlertKind.RULE_TEST,
        f"rule_test:{rule.id}:{slot}", rule.severity or Severity.WARNING, f"This is a test of the rule {rule.name}",
        {"rule": rule.name, "reason": rule.spec.sentence, "sent by": actor_name(actor)}, now, rule=rule,
        seen_by=actor_name(actor),
    )  # fmt: skip
    if alert is not None:
        _audit(rule, "alert_rule.tested", actor, now)
    return alert


def default_rules_create(*, organization: Organization, now: datetime) -> None:
    """The rules every organization begins with; nothing where there were any rules before, deleted ones included."""
    if AlertRule.objects.filter(organization=organization).exists():
        return
    for kind, name, scope, severity in DEFAULTS:
        draft = RuleDraft(name, RuleScope(scope.value), severity, {})
        rule_create(organization=organization, kind=kind, draft=draft, actor=None, now=now)


DEFAULTS: tuple[tuple[RuleKind, str, ScopeType, str], ...] = (
    (RuleKind.BUDGET_THRESHOLD, "Budget thresholds", ScopeType.BUDGET, ""),
    (RuleKind.FORECAST_OVERRUN, "Budgets that will be overrun", ScopeType.BUDGET, Severity.WARNING),
    (RuleKind.RUN_OUT, "Budgets used up within days", ScopeType.BUDGET, Severity.WARNING),
    (RuleKind.SPEND_ANOMALY, "Unusual spend of the organization", ScopeType.ORGANIZATION, Severity.WARNING),
    (RuleKind.SPEND_ANOMALY, "Unusual spend of a team", ScopeType.TEAM, Severity.WARNING),
    (RuleKind.COST_PER_REQUEST_SPIKE, "Dearer requests", ScopeType.ORGANIZATION, Severity.WARNING),
    (RuleKind.CACHE_HIT_DROP, "Fewer cache hits", ScopeType.ORGANIZATION, Severity.INFO),
    (RuleKind.ERROR_SPEND, "Money for failed calls", ScopeType.ORGANIZATION, Severity.WARNING),
    (RuleKind.NEW_MODEL, "Models used for the first time", ScopeType.ORGANIZATION, Severity.INFO),
    (RuleKind.UNPRICED_USAGE, "Usage without a price", ScopeType.ORGANIZATION, Severity.WARNING),
    (RuleKind.KEY_SILENT, "Busy keys that fall silent", ScopeType.VIRTUAL_KEY, Severity.INFO),
    (RuleKind.KEY_NEW_NETWORK, "Keys used from a new network", ScopeType.ORGANIZATION, Severity.WARNING),
    (RuleKind.INGESTION_STALLED, "Usage that waits to be counted", ScopeType.ORGANIZATION, Severity.CRITICAL),
    (RuleKind.PRICE_CHANGED, "List prices that changed", ScopeType.ORGANIZATION, Severity.INFO),
)


def _fill(rule: AlertRule, draft: RuleDraft) -> None:
    spec = KINDS[RuleKind(rule.kind)]
    scope = draft.scope
    if scope.type not in spec.scopes:
        allowed = ", ".join(scope.value for scope in spec.scopes)
        raise ValidationError({"scope": f"A rule of this kind looks at one of: {allowed}."})
    if (scope.type == ScopeType.TAG) != bool(scope.tag_name):
        raise ValidationError({"scope": "Name the tag for a tag, and for nothing else."})
    if scope.type == ScopeType.ORGANIZATION and scope.value:
        raise ValidationError({"scope": "The whole organization has no value."})
    if not draft.severity and rule.kind != RuleKind.BUDGET_THRESHOLD:
        raise ValidationError({"severity": "Say how severe it is."})
    parameters, faults = parameters_checked(rule.kind, draft.parameters)
    if faults:
        raise ValidationError({f"parameters/{name}": text for name, text in faults.items()})
    rule.name, rule.severity, rule.enabled = one_line(draft.name), draft.severity, draft.enabled
    rule.scope_type, rule.scope_value, rule.tag_name = scope.type, scope.value, scope.tag_name
    rule.parameters = parameters


def _save(rule: AlertRule, draft: RuleDraft, *, force_insert: bool = False) -> None:
    channels = Channel.objects.present().filter(organization_id=rule.organization_id, id__in=draft.channel_ids)
    if channels.count() != len(set(draft.channel_ids)):
        raise ValidationError({"channels": "One of these is not a channel of this organization."})
    rule.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            rule.save(force_insert=force_insert)
    except IntegrityError as error:
        if "rule_name_unique_in_organization" not in str(error):
            raise
        raise ValidationError({"name": "Another rule has this name."}) from error
    rule.named_channels().delete()
    RuleChannel.objects.bulk_create(
        RuleChannel(id=new_id(), organization_id=rule.organization_id, rule=rule, channel=channel)
        for channel in channels
    )


def _unchanged(rule: AlertRule, version: int) -> AlertRule:
    """The rule as it stands, locked; Problem 412 when it is not the one the caller saw."""
    lock_rules(rule.organization_id)
    present = AlertRule.objects.present().select_for_update().filter(organization_id=rule.organization_id, id=rule.id)
    found = present.filter(version=version).first()
    if found is None:
        raise Problem("stale-write", "Somebody else changed this rule. Look at it again before you save.")
    return found


def _begin_anew(rule: AlertRule, why: str, now: datetime) -> None:
    """Whatever it has fired ends, also what was raised at settling."""
    rule.evaluated_at = None
    RuleStanding.objects.filter(organization_id=rule.organization_id, rule=rule).delete()
    alerts_end(open_alerts(rule.organization_id).filter(rule=rule), why=why, now=now)


def _keep_news(rule: AlertRule, why: str, now: datetime) -> None:
    """Only what the change makes news is told. Switched off, it ends what fires; that counts as seen to from then."""
    rule.evaluated_at = None
    if rule.enabled:
        return
    firing = RuleStanding.objects.filter(organization_id=rule.organization_id, rule=rule, phase=Phase.FIRING.value)
    firing.update(phase=Phase.ACKNOWLEDGED.value)
    alerts_end(open_alerts(rule.organization_id).filter(rule=rule), why=why, now=now)


def _audit(rule: AlertRule, action: str, actor: Actor, now: datetime) -> None:
    audit_record(
        organization_id=rule.organization_id, actor=actor, action=action, target=rule, now=now,
        name=rule.name, kind=rule.kind,
    )  # fmt: skip
