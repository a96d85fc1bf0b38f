"""What migrations do to rows that were there before."""

from datetime import datetime
from importlib import import_module

from django.db import connections, transaction

from alerts.models import Alert
from alerts.rule_kinds import RuleKind
from alerts.rules import RuleDraft, RuleScope, rule_create, rule_test
from alerts.selectors import firing_by_rule, open_alert_count
from alerts.services import channel_test
from tenants.access import organization_scope
from tests.alerts.conftest import fired, make_email_channel
from tests.factories import Tenant

OLD_TESTS = import_module("alerts.migrations.0022_tests_acknowledged")


def test_tests_from_before_are_acknowledged_by_whoever_sent_them(committed_tenant: Tenant, now: datetime) -> None:
    acme = committed_tenant
    channel = make_email_channel(acme)
    with organization_scope(acme.id):
        draft = RuleDraft("Unpriced", RuleScope(), "warning", {})
        kind = RuleKind.UNPRICED_USAGE
        rule = rule_create(organization=acme.organization, kind=kind, draft=draft, actor=None, now=now)
        assert rule_test(rule=rule, actor=acme.owner, now=now)
        assert channel_test(channel=channel, actor=acme.owner, now=now)
        Alert.objects.update(acknowledged_at=None, acknowledged_by="")
    fired(acme, now, kind=kind, facts={})
    with organization_scope(acme.id):
        assert firing_by_rule(organization_id=acme.id) == {rule.id: 2}
    with transaction.atomic("owner"), connections["owner"].cursor() as cursor:
        for statement in OLD_TESTS.ACKNOWLEDGE_TESTS:
            cursor.execute(statement)
        cursor.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'alerts_alert'")
        assert cursor.fetchone() == (True,)
    with organization_scope(acme.id):
        assert firing_by_rule(organization_id=acme.id) == {rule.id: 1}
        assert open_alert_count(organization_id=acme.id) == 1
        tests = Alert.objects.exclude(kind=kind).values_list("acknowledged_by", "acknowledged_at")
        assert set(tests) == {(acme.owner.email, now)}
