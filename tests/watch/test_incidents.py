"""Incidents at PagerDuty from beginning to end: one for each alert, and none that stays open when its alert is over."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from alerts.deliver import deliver_due
from alerts.enabling import channel_enable
from alerts.models import Alert, AlertRule, Channel, ChannelKind, Delivery
from alerts.recovering import alert_recovers
from alerts.rule_kinds import RuleKind
from alerts.rules import RuleDraft, RuleScope, rule_delete, rule_mute, rule_update
from alerts.services import alert_acknowledge, alert_snooze, channel_create, channel_test, channel_update
from budgets.services import budget_archive
from tenants.access import organization_scope
from tests.alerts.conftest import fired
from tests.budgets.support import USD, make_budget, use
from tests.factories import Tenant
from tests.servers import Answer, PagerDutyServer
from tests.watch.test_evaluate import make_rule, spent
from watch.evaluate import evaluate_organization

NOW = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KEY = "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY01"

pytestmark = pytest.mark.urls("tests.alerts.urls")


@pytest.fixture
def pagerduty(tenant: Tenant, prices: None, settings: Settings) -> Iterator[PagerDutyServer]:
    """PagerDuty, with a channel of the organization that leads there."""
    with PagerDutyServer() as server:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({server.origin})
        with organization_scope(tenant.id):
            channel_create(
                organization=tenant.organization, kind=ChannelKind.PAGERDUTY, name="On call", actor=tenant.owner,
                url=server.url, secret=KEY, now=NOW,
            )  # fmt: skip
        yield server


def tell(tenant: Tenant, now: datetime) -> None:
    """Makes every delivery that is due within the next minute, in turns."""
    for seconds in range(0, 60, 6):
        deliver_due(clock=lambda at=now + timedelta(seconds=seconds): at)  # type: ignore[misc]


def errors(tenant: Tenant) -> tuple[AlertRule, Alert]:
    """A rule that fires at failed calls, and its alert, told."""
    rule = make_rule(tenant, RuleKind.ERROR_SPEND)
    use(tenant, spent(NOW - HOUR, 10, status="error"), now=NOW)
    for minutes in (0, 11):
        evaluate_organization(tenant.id, NOW + minutes * MINUTE)
    tell(tenant, NOW + 11 * MINUTE)
    return rule, latest(tenant)


def latest(tenant: Tenant) -> Alert:
    with organization_scope(tenant.id):
        return Alert.objects.filter(about__isnull=True).latest("id")


def change(tenant: Tenant, rule: AlertRule, now: datetime, **parameters: object) -> None:
    with organization_scope(tenant.id):
        rule.refresh_from_db()
        draft = RuleDraft(rule.name, RuleScope(), "warning", parameters)
        rule_update(rule=rule, version=rule.version, draft=draft, actor=tenant.owner, now=now)


def test_a_rule_that_changes_closes_what_it_opened_each_time(tenant: Tenant, pagerduty: PagerDutyServer) -> None:
    rule, alert = errors(tenant)
    key = f"alert-{alert.id}"
    assert pagerduty.incidents == [(key, "triggered")]
    change(tenant, rule, NOW + 20 * MINUTE, percent=6)
    tell(tenant, NOW + 20 * MINUTE)
    assert pagerduty.incidents == [(key, "resolved")]
    # It is still bad under the new parameters: the same alert opens again, under the same key.
    for minutes in (21, 32):
        evaluate_organization(tenant.id, NOW + minutes * MINUTE)
    tell(tenant, NOW + 32 * MINUTE)
    assert pagerduty.incidents == [(key, "resolved"), (key, "triggered")]
    with organization_scope(tenant.id):
        alert.refresh_from_db()
        alert_acknowledge(alert=alert, actor=tenant.owner, now=NOW + 40 * MINUTE)
    tell(tenant, NOW + 40 * MINUTE)
    assert pagerduty.incidents[1] == (key, "acknowledged")
    with organization_scope(tenant.id):
        rule.refresh_from_db()
        rule_delete(rule=rule, version=rule.version, actor=tenant.owner, now=NOW + 50 * MINUTE)
    tell(tenant, NOW + 50 * MINUTE)
    assert pagerduty.incidents == [(key, "resolved")] * 2


def test_what_still_fires_after_a_snooze_joins_the_incident_and_is_acknowledged(
    tenant: Tenant, pagerduty: PagerDutyServer
) -> None:
    _, alert = errors(tenant)
    with organization_scope(tenant.id):
        alert_snooze(alert=alert, until=NOW + HOUR, actor=tenant.owner, now=NOW + 12 * MINUTE)
    evaluate_organization(tenant.id, NOW + HOUR)
    # The reminder is refused for a while; the acknowledgement waits until it is through.
    pagerduty.answers.append(Answer(503))
    deliver_due(clock=lambda: NOW + HOUR)
    with organization_scope(tenant.id):
        alert.refresh_from_db()
        alert_acknowledge(alert=alert, actor=tenant.owner, now=NOW + HOUR)
    tell(tenant, NOW + HOUR)
    assert [each.payload["event_action"] for each in pagerduty.requests] == [
        "trigger", "trigger", "trigger", "acknowledge",
    ]  # fmt: skip
    assert pagerduty.incidents == [(f"alert-{alert.id}", "acknowledged")]


def test_an_acknowledgement_of_an_old_alert_is_tried_again(tenant: Tenant, pagerduty: PagerDutyServer) -> None:
    _, alert = errors(tenant)
    late = NOW + timedelta(days=3)
    with organization_scope(tenant.id):
        alert_acknowledge(alert=alert, actor=tenant.owner, now=late)
    pagerduty.answers.extend([Answer(503), Answer(503)])
    tell(tenant, late)
    assert pagerduty.incidents == [(f"alert-{alert.id}", "acknowledged")]


@pytest.mark.parametrize("quiet", ["muted", "snoozed"])
def test_what_recovers_while_nobody_is_told_closes_its_incident(
    tenant: Tenant, pagerduty: PagerDutyServer, quiet: str
) -> None:
    rule, alert = errors(tenant)
    with organization_scope(tenant.id):
        if quiet == "muted":
            rule.refresh_from_db()
            rule_mute(rule=rule, until=NOW + 72 * HOUR, actor=tenant.owner, now=NOW + HOUR)
        else:
            alert_snooze(alert=alert, until=NOW + 72 * HOUR, actor=tenant.owner, now=NOW + HOUR)
    for hours in (12, 14):
        evaluate_organization(tenant.id, NOW + hours * HOUR)
        tell(tenant, NOW + hours * HOUR)
    assert pagerduty.incidents == [(f"alert-{alert.id}", "resolved")]


def test_a_budget_s_incident_ends_with_its_period_or_with_the_budget(
    tenant: Tenant, pagerduty: PagerDutyServer
) -> None:
    daily = make_budget(tenant, "Daily", limit=USD, period="day", now=NOW - HOUR)
    monthly = make_budget(tenant, "Monthly", limit=USD, now=NOW - HOUR)
    use(tenant, spent(NOW - 10 * MINUTE, 1), now=NOW)
    tell(tenant, NOW)
    assert sorted(status for _, status in pagerduty.incidents) == ["triggered", "triggered"]
    with organization_scope(tenant.id):
        of = {alert.subject: f"alert-{alert.id}" for alert in Alert.objects.all()}
        budget_archive(organization=tenant.organization, budget=monthly, actor=tenant.owner, now=NOW + HOUR)
    tell(tenant, NOW + HOUR)
    assert dict(pagerduty.incidents) == {of[f"budget:{monthly.id}"]: "resolved", of[f"budget:{daily.id}"]: "triggered"}
    evaluate_organization(tenant.id, NOW + 7 * HOUR)
    tell(tenant, NOW + 7 * HOUR)
    assert {status for _, status in pagerduty.incidents} == {"resolved"}
    with organization_scope(tenant.id):
        notices = Delivery.objects.filter(alert__about__isnull=False)
        assert {each.channel.kind for each in notices.select_related("channel")} == {"pagerduty"}
        assert not Alert.objects.filter(about__isnull=True, recovered_at__isnull=True).exists()


def switched_off(tenant: Tenant, pagerduty: PagerDutyServer, now: datetime) -> Channel:
    """PagerDuty refuses the key at the next message, which is a test."""
    with organization_scope(tenant.id):
        channel = Channel.objects.get(kind=ChannelKind.PAGERDUTY)
        channel_test(channel=channel, actor=tenant.owner, now=now)
    pagerduty.answers.append(Answer(403))
    tell(tenant, now)
    with organization_scope(tenant.id):
        channel.refresh_from_db()
    assert not channel.enabled
    return channel


def switch_on(tenant: Tenant, channel: Channel, now: datetime) -> None:
    with organization_scope(tenant.id):
        channel_update(channel=channel, actor=tenant.owner, now=now, secret=KEY[::-1])
        channel_enable(channel=channel, actor=tenant.owner, now=now)
    tell(tenant, now)


@pytest.mark.parametrize(("over", "kind"), [("recovers", "recovery"), ("ends", "ended")])
def test_a_channel_that_is_on_again_closes_what_was_over_meanwhile(
    tenant: Tenant, pagerduty: PagerDutyServer, over: str, kind: str
) -> None:
    rule, alert = errors(tenant)
    channel = switched_off(tenant, pagerduty, NOW + HOUR)
    switch_on(tenant, channel, NOW + 2 * HOUR)
    assert pagerduty.incidents == [(f"alert-{alert.id}", "triggered")], "it still fires"
    channel = switched_off(tenant, pagerduty, NOW + 3 * HOUR)
    with organization_scope(tenant.id):
        alert.refresh_from_db()
        if over == "recovers":
            alert_recovers(alert, note="", now=NOW + 4 * HOUR)
        else:
            rule_delete(rule=rule, version=rule.version, actor=tenant.owner, now=NOW + 4 * HOUR)
    tell(tenant, NOW + 4 * HOUR)
    switch_on(tenant, channel, NOW + 5 * HOUR)
    assert pagerduty.incidents == [(f"alert-{alert.id}", "resolved")]
    switch_on(tenant, channel, NOW + 6 * HOUR)
    with organization_scope(tenant.id):
        told = Delivery.objects.filter(alert__about=alert, channel=channel)
        assert list(told.values_list("alert__kind", flat=True)) == [kind], "once"


def test_a_refused_resolve_is_sent_again_by_the_channel_that_is_on_again(
    tenant: Tenant, pagerduty: PagerDutyServer
) -> None:
    _, alert = errors(tenant)
    with organization_scope(tenant.id):
        alert.refresh_from_db()
        alert_recovers(alert, note="", now=NOW + HOUR)
    pagerduty.answers.append(Answer(403))
    tell(tenant, NOW + HOUR)
    with organization_scope(tenant.id):
        channel = Channel.objects.get(kind=ChannelKind.PAGERDUTY)
    assert (channel.enabled, pagerduty.incidents) == (False, [(f"alert-{alert.id}", "triggered")])
    switch_on(tenant, channel, NOW + 2 * HOUR)
    assert pagerduty.incidents == [(f"alert-{alert.id}", "resolved")]


def test_a_trigger_that_is_tried_again_is_not_gathered_away(tenant: Tenant, pagerduty: PagerDutyServer) -> None:
    with organization_scope(tenant.id):
        channel = Channel.objects.get(kind=ChannelKind.PAGERDUTY)
        channel_update(channel=channel, actor=tenant.owner, now=NOW, hourly_limit=1)
    # What it answers says nothing of whether it took the event.
    first = fired(tenant, NOW, key="first", severity="warning")
    pagerduty.answers.append(Answer(503))
    deliver_due(clock=lambda: NOW)
    # Another one takes the hour's room meanwhile.
    fired(tenant, NOW, key="second", severity="critical")
    deliver_due(clock=lambda: NOW)
    tell(tenant, NOW + MINUTE)
    with organization_scope(tenant.id):
        assert Delivery.objects.get(alert=first, channel=channel).status == "sent"
        first.refresh_from_db()
        alert_recovers(first, note="", now=NOW + HOUR)
    tell(tenant, NOW + HOUR)
    assert (f"alert-{first.id}", "resolved") in pagerduty.incidents
