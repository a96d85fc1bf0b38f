"""From what a rule reads to alerts: the state machine applied to stored standings. Inside `organization_scope`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from alerts.endings import alerts_end
from alerts.facts import GivenFacts, facts_checked, one_line
from alerts.kinds import AlertKind
from alerts.lists import Item, come_since
from alerts.machine import OPEN, Level, Phase, Standing, Step, step
from alerts.models import SUBJECT_LENGTH, Alert, AlertEventKind, AlertRule, RuleStanding, Severity
from alerts.recovering import alert_fires_again, alert_recovers, alert_still_fires
from alerts.services import TITLE_LENGTH, alert_write, bounded
from alerts.standing import alert_noted, channels_told
from common.ids import new_id
from common.periods import PeriodKind

PERIOD_OVER, LATER_NEWS = "Its period is over.", "There is later news."


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule finds at one subject. Title and facts are those of the alert, should it come to one.

    `period` is what one alert stands for; `value` says in a few words what was read, for the history. `gathered` is all
    that a rule that gathers has found in the period, in the order in which it appeared; the facts need not name it all.
    """

    subject: str
    level: Level
    period: str
    title: str = ""
    facts: GivenFacts = field(default_factory=dict)
    value: str = ""
    gathered: Sequence[Item] = ()


def readings_apply(*, rule: AlertRule, readings: Sequence[Reading], at: datetime, now: datetime) -> int:
    """Takes what a rule reads of the moment `at`; how many alerts fired or recovered by it. The same again: none."""
    known = {reading.subject[:SUBJECT_LENGTH]: reading for reading in readings}
    standings = RuleStanding.objects.select_for_update().filter(organization_id=rule.organization_id, rule=rule)
    if rule.spec.once:
        # News never recovers, so that the standings only grow; old ones have nothing to say.
        standings = standings.filter(subject__in=known)
    rows = {row.subject: row for row in standings}
    told = 0
    for subject, reading in (known | _vanished(rule, rows.values(), known)).items():
        row = rows.get(subject)
        if row is None:
            if reading.level is not Level.BAD:
                continue
            row = RuleStanding(
                id=new_id(), organization_id=rule.organization_id, rule=rule, subject=subject, phase=Phase.OK.value
            )
        told += _apply(rule, row, reading, at, now)
    return told


def _vanished(rule: AlertRule, rows: Iterable[RuleStanding], known: dict[str, Reading]) -> dict[str, Reading]:
    """What fires and is not there to be read any more, such as a revoked key, is well. News stays news."""
    if rule.spec.once:
        return {}
    return {
        row.subject: Reading(row.subject, Level.GOOD, row.period, value="There is nothing to watch any more.")
        for row in rows
        if row.phase in OPEN and row.subject not in known
    }


def _apply(rule: AlertRule, row: RuleStanding, reading: Reading, at: datetime, now: datetime) -> bool:
    before = Standing(Phase(row.phase), row.period, row.turning_since, row.seen_at)
    after, moved = step(
        before, reading.level, period=reading.period, at=at, damping=rule.spec.damping, renews=rule.spec.renews
    )
    same = before.open and reading.level is Level.BAD and row.period == reading.period
    if rule.spec.gathers and moved is None and same:
        return _add(rule, row, reading, now)
    # That it was read is worth a write only where something came of it.
    if replace(after, seen_at=None) == replace(before, seen_at=None):
        return False
    if moved is not None:
        _perform(moved, rule, row, reading, now)
    row.phase, row.period = after.phase.value, after.period
    row.turning_since, row.seen_at = after.turning_since, after.seen_at
    row.save()
    return moved is not None


def _add(rule: AlertRule, row: RuleStanding, reading: Reading, now: datetime) -> bool:
    """What a rule that gathers found since is added to the period's alert. Only if somebody had seen to that one are
    those told before told again: while it is open, its page says all there is."""
    if row.alert is None:
        return False
    more = come_since(row.alert.facts, rule.spec.gathers, reading.gathered)
    if not more:
        return False
    alert_noted(row.alert, AlertEventKind.ADDED, now, note=more)
    if row.phase != Phase.ACKNOWLEDGED:
        _says(row.alert, reading)
        return False
    _fire_again(row.alert, reading, now)
    row.phase = Phase.FIRING.value
    row.save()
    return True


def _perform(moved: Step, rule: AlertRule, row: RuleStanding, reading: Reading, now: datetime) -> None:
    match moved:
        case Step.RECOVERED:
            if row.alert is not None:
                alert_recovers(row.alert, note=reading.value, now=now)
        case Step.RENEWED:
            if row.alert is not None and row.alert.recovered_at is None:
                # What still is wrong has an alert of its own.
                alerts_end([row.alert], why=LATER_NEWS if rule.spec.once else PERIOD_OVER, now=now)
            row.alert = _fire(rule, reading, now)
        case Step.FIRED | Step.FIRED_AGAIN:
            row.alert = _fire(rule, reading, now)


def _fire(rule: AlertRule, reading: Reading, now: datetime) -> Alert:
    """A new alert, or the one of this rule, subject and period opened again: there is never a second."""
    key = f"rule:{rule.id}:{reading.subject}:{reading.period}"
    alert = alert_write(
        rule.organization_id, channels_told(rule.organization_id, rule, now), rule.kind, key,
        rule.severity or Severity.WARNING, reading.title, reading.facts, now, rule=rule, subject=reading.subject,
    )  # fmt: skip
    if alert is None:
        alert = Alert.objects.get(organization_id=rule.organization_id, dedup_key=bounded(key))
        _fire_again(alert, reading, now)
    return alert


def _fire_again(alert: Alert, reading: Reading, now: datetime) -> None:
    _says(alert, reading)
    alert_fires_again(alert, note=reading.value, now=now)


def _says(alert: Alert, reading: Reading) -> None:
    """What is read now takes the place of what was read before."""
    alert.title, alert.facts = one_line(reading.title)[:TITLE_LENGTH], facts_checked(reading.facts)
    alert.save(update_fields=["title", "facts"])


def periods_end(*, organization_id: int, now: datetime) -> int:
    """Ends alerts of budgets' thresholds whose calendar period is over: a new one begins at nothing. Nobody is told."""
    over = Alert.objects.select_for_update().filter(
        organization_id=organization_id, kind=AlertKind.BUDGET_THRESHOLD, recovered_at__isnull=True,
        about__isnull=True, facts__period__in=list(PeriodKind), facts__period_end__lte=now.astimezone(UTC).isoformat(),
    )  # fmt: skip
    alerts_end(over, why=PERIOD_OVER, now=now)
    return len(over)


def snoozes_end(*, organization_id: int, now: datetime) -> int:
    """Tells again of what still fires when its snooze is over; how many."""
    over = Alert.objects.select_for_update().filter(
        organization_id=organization_id, snoozed_until__lte=now, recovered_at__isnull=True
    )
    told = 0
    for alert in over:
        alert.snoozed_until = None
        alert.save(update_fields=["snoozed_until"])
        if alert.acknowledged_at is None:
            alert_still_fires(alert, now=now)
            told += 1
    return told
