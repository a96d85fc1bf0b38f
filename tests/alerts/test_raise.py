"""An alert fires once per dedup key, and commits together with what is to be delivered."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import IntegrityError, ProgrammingError

from alerts.models import Alert, Attempt, Channel, Delivery
from alerts.selectors import open_alert_count
from alerts.services import alert_acknowledge, channel_disable
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.alerts.conftest import deliveries, fire, fired, make_email_channel, make_slack_channel
from tests.factories import Tenant

SLACK_URL = "https://hooks.slack.com/services/T0/B0/x"


def test_an_alert_comes_with_a_delivery_for_every_channel_that_is_on(tenant: Tenant, now: datetime) -> None:
    make_email_channel(tenant)
    make_slack_channel(tenant, SLACK_URL)
    off = make_email_channel(tenant, name="Off")
    with organization_scope(tenant.id):
        channel_disable(channel=off, reason="not wanted", actor=tenant.owner, now=now)
    alert = fired(tenant, now)
    waiting = deliveries(tenant)
    assert {delivery.channel.name for delivery in waiting} == {"Finance", "Slack"}
    assert {(each.alert_id, each.status, each.attempts, each.next_attempt_at) for each in waiting} == {
        (alert.id, "pending", 0, now)
    }


def test_without_a_channel_the_alert_is_still_there(tenant: Tenant, now: datetime) -> None:
    fired(tenant, now)
    with organization_scope(tenant.id):
        assert (open_alert_count(organization_id=tenant.id), Delivery.objects.count()) == (1, 0)


def test_it_fires_once_per_dedup_key(tenant: Tenant, now: datetime) -> None:
    make_email_channel(tenant)
    fired(tenant, now)
    assert fire(tenant, now + timedelta(hours=1), title="Again") is None
    assert fire(tenant, now, key="budget:2") is not None
    with organization_scope(tenant.id):
        assert (Alert.objects.count(), Delivery.objects.count()) == (2, 2)
        assert not Alert.objects.filter(title="Again").exists()


def test_the_same_key_of_another_organization_is_another_alert(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    fired(tenant, now)
    fired(stranger, now)
    with organization_scope(stranger.id):
        assert {alert.organization_id for alert in Alert.objects.all()} == {stranger.id}


def test_a_transaction_that_fails_leaves_neither_alert_nor_delivery(tenant: Tenant, now: datetime) -> None:
    make_email_channel(tenant)

    def settle() -> None:
        with organization_scope(tenant.id):
            fired(tenant, now, key="k")
            raise RuntimeError("the batch could not be settled")

    with pytest.raises(RuntimeError):
        settle()
    assert deliveries(tenant) == []
    assert fire(tenant, now, key="k") is not None


def test_long_keys_and_titles_made_of_names_fit(tenant: Tenant, now: datetime) -> None:
    first = fired(tenant, now, key="unpriced:" + "a" * 500 + "1", title="No price for " + "m" * 500)
    second = fired(tenant, now, key="unpriced:" + "a" * 500 + "2")
    assert first.dedup_key != second.dedup_key
    assert max(len(first.dedup_key), len(second.dedup_key), len(first.title)) == 200
    assert fire(tenant, now, key="unpriced:" + "a" * 500 + "1") is None


def test_text_that_postgres_cannot_hold_is_cleaned(tenant: Tenant, now: datetime) -> None:
    alert = fired(tenant, now, title="a\x00b", facts={"model": "m\x00\ud800"})
    assert (alert.title, alert.facts) == ("a b", {"model": "m"})


@pytest.mark.parametrize("changes", [{"severity": "loud"}, {"facts": {"spent": 0.1}}])
def test_a_caller_that_errs_is_told(tenant: Tenant, now: datetime, changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        fire(tenant, now, **changes)


def test_eight_at_once_fire_one_alert(committed_tenant: Tenant, now: datetime) -> None:
    make_email_channel(committed_tenant)
    barrier = threading.Barrier(8)
    results: list[Alert | None] = []

    def race() -> None:
        try:
            barrier.wait(10)
            results.append(fire(committed_tenant, now))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(result is None for result in results) == [False] + [True] * 7
    assert len(deliveries(committed_tenant)) == 1


def test_workers_are_woken_once_and_only_after_the_commit(
    tenant: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[str] = []
    monkeypatch.setattr("alerts.waking.current_app.send_task", lambda name, **_: woken.append(name))
    with django_capture_on_commit_callbacks() as callbacks:
        fired(tenant, now)
        fired(tenant, now, key="another")
    assert (len(callbacks), woken) == (1, [])
    callbacks[0]()
    assert woken == ["alerts.deliver"]


def test_acknowledging_names_the_first_who_did(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    alert = fired(tenant, now)
    with organization_scope(tenant.id):
        assert alert_acknowledge(alert=alert, actor=tenant.owner, now=now)
        assert not alert_acknowledge(alert=alert, actor=stranger.owner, now=now + timedelta(hours=1))
        alert.refresh_from_db()
        assert (alert.acknowledged_at, alert.acknowledged_by) == (now, tenant.owner.email)
        assert AuditEntry.objects.filter(action="alert.acknowledged").count() == 1
        assert open_alert_count(organization_id=tenant.id) == 0


def test_nothing_of_alerts_is_seen_from_outside(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    make_email_channel(tenant)
    fired(tenant, now)
    for model in (Alert, Channel, Delivery, Attempt):
        assert not model._default_manager.exists()
        with organization_scope(stranger.id):
            assert not model._default_manager.exists()


def test_a_delivery_cannot_point_into_another_organization(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    channel, alert = make_email_channel(tenant), fired(stranger, now)
    with pytest.raises(IntegrityError, match="same_organization"), organization_scope(stranger.id):
        Delivery.objects.create(organization=stranger.organization, alert=alert, channel=channel, next_attempt_at=now)


def test_attempts_are_only_ever_appended(tenant: Tenant, now: datetime) -> None:
    make_email_channel(tenant)
    fired(tenant, now)
    (delivery,) = deliveries(tenant)
    with organization_scope(tenant.id):
        Attempt.objects.create(organization=tenant.organization, delivery=delivery, at=now, outcome="retry", detail="x")
        for change in (lambda: Attempt.objects.all().delete(), lambda: Attempt.objects.update(detail="y")):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                change()


def test_the_door_tells_ids_of_organizations_and_nothing_else(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    for each in (tenant, stranger):
        make_email_channel(each)
    fired(tenant, now)
    fired(stranger, now + timedelta(minutes=1))
    with connection.cursor() as cursor:
        for moment, most, expected in (
            (now - timedelta(seconds=1), 10, []),
            (now, 10, [(tenant.id,)]),
            (now + timedelta(minutes=1), 10, [(tenant.id,), (stranger.id,)]),
            (now + timedelta(minutes=1), 1, [(tenant.id,)]),
        ):
            cursor.execute("SELECT * FROM alerts_organizations_with_due_deliveries(%s, %s)", [moment, most])
            assert cursor.fetchall() == expected
