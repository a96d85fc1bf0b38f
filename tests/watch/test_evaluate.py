"""Rules of a real organization, read over real rollups: each alert once, whoever reads how often."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from alerts.kinds import AlertKind
from alerts.locks import try_lock_rules
from alerts.models import Alert, AlertEvent, AlertRule, Delivery, RuleStanding
from alerts.rule_kinds import KINDS, RuleKind
from alerts.rules import RuleDraft, RuleScope, rule_create, rule_delete, rule_mute, rule_update
from alerts.services import alert_acknowledge, alert_snooze
from ingest import inbox
from ingest.schema import parse_events
from tenants.access import organization_scope
from tests.alerts.conftest import make_email_channel
from tests.budgets.support import USD, make_budget, use
from tests.factories import Tenant, make_team
from tests.ingest.payloads import event
from watch.evaluate import READERS, evaluate, evaluate_organization

NOW = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Of gpt-4.1-nano: ten cents a million.
DOLLAR = 10_000_000


@pytest.fixture
def ruled(tenant: Tenant, prices: None) -> Tenant:
    make_email_channel(tenant)
    return tenant


def make_rule(
    tenant: Tenant, kind: RuleKind, scope: str = "", *, channels: tuple[int, ...] = (), **given: Any
) -> AlertRule:
    """The one rule of the organization; `scope` as "type:value"."""
    name, _, value = (scope or KINDS[kind].scopes[0].value).partition(":")
    with organization_scope(tenant.id):
        severity = "" if kind is RuleKind.BUDGET_THRESHOLD else "warning"
        draft = RuleDraft("The rule", RuleScope(name, value), severity, given, channels)
        return rule_create(organization=tenant.organization, kind=kind, draft=draft, actor=tenant.owner, now=NOW)


def spent(at: datetime, dollars: int, **fields: Any) -> dict[str, Any]:
    tokens = {"input_tokens": dollars * DOLLAR, "output_tokens": 0}
    return event(time=at.isoformat(), **({"usage": tokens} | fields))


def month(dollars: int, **fields: Any) -> list[dict[str, Any]]:
    """The same spend at 15:30 every day, from yesterday back for 34 days."""
    return [spent(NOW - 160 * timedelta(minutes=1) - DAY * back, dollars, **fields) for back in range(1, 34)]


def read(tenant: Tenant, now: datetime = NOW) -> int:
    return evaluate_organization(tenant.id, now)


def alerts(tenant: Tenant) -> list[Alert]:
    with organization_scope(tenant.id):
        return list(Alert.objects.order_by("id"))


def history(tenant: Tenant) -> list[str]:
    with organization_scope(tenant.id):
        return list(AlertEvent.objects.order_by("at", "id").values_list("kind", flat=True))


def kinds(tenant: Tenant) -> list[str]:
    return [alert.kind for alert in alerts(tenant)]


def test_unusual_spend_fires_once_recovers_and_says_so(ruled: Tenant) -> None:
    make_rule(ruled, RuleKind.SPEND_ANOMALY)
    use(ruled, *month(10), spent(NOW - 2 * HOUR, 40), now=NOW)
    # It must hold for an hour before anybody is woken.
    assert [read(ruled), read(ruled), read(ruled, NOW + 10 * timedelta(minutes=1))] == [0, 0, 0]
    assert [read(ruled, NOW + HOUR), read(ruled, NOW + HOUR), read(ruled, NOW + HOUR + timedelta(minutes=1))] == [
        1,
        0,
        0,
    ]
    (alert,) = alerts(ruled)
    assert (alert.kind, alert.severity, alert.state, alert.subject) == (
        "spend_anomaly",
        "warning",
        "firing",
        "organization",
    )
    assert alert.title == "Acme: $40.00 in 6 hours, 4.0× its usual"
    assert (alert.facts["spent"], alert.facts["usual"]) == ("40.000000000", "10.000000000")
    with organization_scope(ruled.id):
        assert Delivery.objects.count() == 1
        assert alert_acknowledge(alert=alert, actor=ruled.owner, now=NOW + HOUR)
    for hours in range(2, 40):
        read(ruled, NOW + HOUR * hours)
    alert, notice = alerts(ruled)
    assert (alert.state, notice.kind, notice.about_id) == ("recovered", AlertKind.RECOVERY, alert.id)
    assert history(ruled) == ["acknowledged", "recovered"]
    with organization_scope(ruled.id):
        assert Delivery.objects.filter(alert=notice).count() == 1


def test_each_team_is_a_subject_and_counts_what_is_below_it(ruled: Tenant) -> None:
    below = make_team(ruled, "Below", ruled.team)
    make_team(ruled, "Idle")
    make_rule(ruled, RuleKind.SPEND_ANOMALY, "team")
    use(ruled, *month(10), spent(NOW - 2 * HOUR, 40), now=NOW)
    read(ruled)
    read(ruled, NOW + HOUR)
    assert [alert.subject for alert in alerts(ruled)] == [f"team:{ruled.team.id}"]
    assert f"team:{below.id}" not in [alert.subject for alert in alerts(ruled)]


def test_two_workers_at_once_make_one_alert(committed_tenant: Tenant, committed_prices: None) -> None:
    ruled = committed_tenant
    make_rule(ruled, RuleKind.ERROR_SPEND)
    use(ruled, spent(NOW - HOUR, 10, status="error"), now=NOW)
    read(ruled)

    def work(_: int) -> int:
        try:
            return read(ruled, NOW + 20 * timedelta(minutes=1))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(8))) == 1
    assert kinds(ruled) == ["error_spend"]
    assert alerts(ruled)[0].title == "Acme: $10.00 went to calls that failed today, 100% of all"


def test_a_rule_that_is_deleted_while_it_is_read_waits_its_turn(
    committed_tenant: Tenant, committed_prices: None
) -> None:
    ruled = committed_tenant
    rule = make_rule(ruled, RuleKind.ERROR_SPEND)
    use(ruled, spent(NOW - HOUR, 10, status="error"), now=NOW)
    read(ruled)

    def delete() -> None:
        try:
            with organization_scope(ruled.id):
                rule_delete(rule=rule, version=1, actor=None, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with organization_scope(ruled.id):
            # What reading takes, in its order.
            assert try_lock_rules(ruled.id)
            assert RuleStanding.objects.select_for_update().get().rule_id == rule.id
            deleted = pool.submit(delete)
            wait_for_waiting()
            AlertRule.objects.filter(id=rule.id).update(evaluated_at=NOW)
        deleted.result()
    with organization_scope(ruled.id):
        assert not RuleStanding.objects.exists()


def wait_for_waiting() -> None:
    """Until another transaction waits for a lock."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise TimeoutError("nobody waits")


def test_an_organization_begins_with_rules_of_its_own_and_keeps_what_it_made_of_them(ruled: Tenant) -> None:
    evaluate(NOW)
    with organization_scope(ruled.id):
        made = list(AlertRule.objects.all())
        assert {rule.kind for rule in made} == set(RuleKind)
        for rule in made:
            rule_delete(rule=rule, version=rule.version, actor=ruled.owner, now=NOW)
    evaluate(NOW + timedelta(minutes=1))
    with organization_scope(ruled.id):
        assert not AlertRule.objects.present().exists()
        assert not Alert.objects.exists()


def test_every_kind_is_read_here_or_raised_at_settling() -> None:
    assert set(RuleKind) - set(READERS) == {RuleKind.BUDGET_THRESHOLD, RuleKind.UNPRICED_USAGE}


def test_budgets_on_course_for_an_overrun_and_running_out(ruled: Tenant) -> None:
    budget = make_budget(ruled, "Plan", limit=100 * USD, now=NOW - 23 * DAY, thresholds=())
    other = make_budget(ruled, "Roomy", limit=1000 * USD, now=NOW - 23 * DAY, thresholds=())
    make_rule(ruled, RuleKind.RUN_OUT, days=6)
    use(ruled, *[spent(NOW - DAY * back, 4) for back in range(21)], now=NOW)
    read(ruled)
    assert read(ruled, NOW + HOUR) == 1
    (alert,) = alerts(ruled)
    assert alert.title.startswith("Plan is used up by 29 Nov 2026")
    assert alert.subject == f"budget:{budget.id}"
    with organization_scope(ruled.id):
        (rule,) = AlertRule.objects.all()
        rule_delete(rule=rule, version=1, actor=ruled.owner, now=NOW)
    make_rule(ruled, RuleKind.FORECAST_OVERRUN, f"budget:{budget.id}")
    read(ruled, NOW + 2 * HOUR)
    assert read(ruled, NOW + 3 * HOUR) == 1
    assert alerts(ruled)[-1].title.startswith("Plan: on course for $10")
    assert str(other.id) not in " ".join(alert.subject for alert in alerts(ruled))


def test_a_new_model_is_news_once(ruled: Tenant) -> None:
    make_rule(ruled, RuleKind.NEW_MODEL)
    use(ruled, *month(1), now=NOW)
    read(ruled)
    use(ruled, spent(NOW, 1, model="gpt-4.1-mini"), now=NOW)
    for minutes in (20, 20, 40, 3000):
        read(ruled, NOW + minutes * timedelta(minutes=1))
    assert [alert.title for alert in alerts(ruled)] == ["gpt-4.1-mini is used for the first time"]


def test_a_busy_key_that_falls_silent(ruled: Tenant) -> None:
    make_rule(ruled, RuleKind.KEY_SILENT, hours=6, requests=1)
    use(ruled, *month(1), now=NOW)
    assert read(ruled) == 1
    assert alerts(ruled)[0].title == "Key first key is silent for 6 hours, where it usually is busy"
    use(ruled, spent(NOW, 1), now=NOW)
    assert read(ruled, NOW + HOUR) == 1
    assert alerts(ruled)[0].state == "recovered"


def test_dearer_requests_and_fewer_cache_hits(ruled: Tenant) -> None:
    make_rule(ruled, RuleKind.COST_PER_REQUEST_SPIKE, requests=1)
    with organization_scope(ruled.id):
        draft = RuleDraft("Cache", RuleScope(), "info", {"tokens": 1})
        rule_create(organization=ruled.organization, kind=RuleKind.CACHE_HIT_DROP, draft=draft, actor=None, now=NOW)
    cached = {"input_tokens": 4 * DOLLAR, "cache_read_input_tokens": 2 * DOLLAR, "output_tokens": 0}
    use(ruled, *month(1, usage=cached), spent(NOW - 2 * HOUR, 20), now=NOW)
    read(ruled)
    assert read(ruled, NOW + HOUR) == 2
    assert {alert.kind: alert.title for alert in alerts(ruled)} == {
        "cost_per_request_spike": "Acme: a request costs $20.00, usually $2.50",
        "cache_hit_drop": "Acme: 0% of input comes from caches, usually 50%",
    }


def test_usage_that_waits(ruled: Tenant) -> None:
    make_rule(ruled, RuleKind.INGESTION_STALLED, minutes=10)
    _, reported = parse_events([event(time=NOW.isoformat())], pointers=[""], now=NOW)
    with organization_scope(ruled.id):
        inbox.accept(organization_id=ruled.id, events={ruled.key.id: reported}, now=NOW)
    assert read(ruled, NOW + 9 * timedelta(minutes=1)) == 0
    assert read(ruled, NOW + 10 * timedelta(minutes=1)) == 1
    assert alerts(ruled)[0].title == "Usage waits to be counted for 10 min"


def test_muted_alerts_are_written_down_and_nobody_is_told(ruled: Tenant) -> None:
    rule = make_rule(ruled, RuleKind.ERROR_SPEND)
    with organization_scope(ruled.id):
        rule_mute(rule=rule, until=NOW + DAY, actor=ruled.owner, now=NOW)
    use(ruled, spent(NOW - HOUR, 10, status="error"), now=NOW)
    read(ruled)
    assert read(ruled, NOW + 20 * timedelta(minutes=1)) == 1
    with organization_scope(ruled.id):
        assert (Alert.objects.count(), Delivery.objects.count()) == (1, 0)


def test_a_snoozed_alert_is_told_again_and_only_if_it_still_fires(ruled: Tenant) -> None:
    make_rule(ruled, RuleKind.ERROR_SPEND)
    use(ruled, spent(NOW - HOUR, 10, status="error"), now=NOW)
    read(ruled)
    fired_at = NOW + 20 * timedelta(minutes=1)
    read(ruled, fired_at)
    with organization_scope(ruled.id):
        alert_snooze(alert=Alert.objects.get(), until=fired_at + HOUR, actor=ruled.owner, now=fired_at)
    assert alerts(ruled)[0].state == "snoozed"
    assert read(ruled, fired_at + HOUR - timedelta(seconds=1)) == 0
    assert read(ruled, fired_at + HOUR) == 1
    alert, reminder = alerts(ruled)
    assert (alert.state, reminder.kind, history(ruled)) == ("firing", AlertKind.REMINDER, ["snoozed", "reminded"])
    assert reminder.title == f"Still firing: {alert.title}"


def test_another_scope_begins_anew(ruled: Tenant) -> None:
    rule = make_rule(ruled, RuleKind.ERROR_SPEND)
    use(ruled, spent(NOW - HOUR, 10, status="error"), now=NOW)
    read(ruled)
    read(ruled, NOW + 20 * timedelta(minutes=1))
    with organization_scope(ruled.id):
        draft = RuleDraft("The rule", RuleScope(), "warning", {"percent": 50})
        rule_update(rule=rule, version=1, draft=draft, actor=ruled.owner, now=NOW + HOUR)
        assert not RuleStanding.objects.exists()
    assert (alerts(ruled)[0].state, history(ruled)) == ("recovered", ["ended"])
    use(ruled, spent(NOW - HOUR, 20, status="error"), now=NOW)
    for minutes in (0, 10):
        read(ruled, NOW + HOUR + minutes * timedelta(minutes=1))
    alert, notice = alerts(ruled)
    assert (alert.state, notice.title) == ("firing", f"Again: {alert.title}")
    assert [each.facts["spent"] for each in (alert, notice)] == ["30.000000000"] * 2, "what is read now"


def test_a_rule_decides_about_thresholds_of_budgets(ruled: Tenant) -> None:
    one, two = (make_budget(ruled, name, limit=10 * USD, now=NOW) for name in ("One", "Two"))
    rule = make_rule(ruled, RuleKind.BUDGET_THRESHOLD, f"budget:{one.id}")
    with organization_scope(ruled.id):
        draft = RuleDraft("The rule", RuleScope("budget", str(one.id)), "info", {}, enabled=False)
        rule = rule_update(rule=rule, version=1, draft=draft, actor=ruled.owner, now=NOW)
    use(ruled, spent(NOW, 6), now=NOW)
    assert [(alert.facts["budget"], alert.severity) for alert in alerts(ruled)] == [("Two", "warning")]
    with organization_scope(ruled.id):
        draft = RuleDraft("The rule", RuleScope("budget"), "info", {})
        rule_update(rule=rule, version=2, draft=draft, actor=ruled.owner, now=NOW)
    use(ruled, spent(NOW, 3), now=NOW)
    assert [alert.severity for alert in alerts(ruled)] == ["warning", "info", "info"]
    assert {alert.subject for alert in alerts(ruled)} == {f"budget:{one.id}", f"budget:{two.id}"}
    read(ruled, datetime(2026, 12, 1, tzinfo=UTC))
    assert {alert.state for alert in alerts(ruled)} == {"recovered"}


def test_a_foreign_organization_s_rules_see_nothing_of_ours(ruled: Tenant, stranger: Tenant) -> None:
    make_rule(stranger, RuleKind.ERROR_SPEND)
    use(ruled, spent(NOW - HOUR, 10, status="error"), now=NOW)
    for minutes in (0, 20):
        read(stranger, NOW + minutes * timedelta(minutes=1))
    assert (alerts(stranger), alerts(ruled)) == ([], [])
