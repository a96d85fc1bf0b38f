"""The unpriced inbox: who used what, the nearest price, one click, and prices that arrive late by themselves."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from alerts.endings import alerts_end, open_alerts
from alerts.models import Alert, AlertRule, Delivery
from alerts.rules import RuleDraft, RuleScope, default_rules_create, rule_create, rule_delete
from corrections.late_prices import reprice_late
from corrections.models import PriceWatch, RepriceRun, RunState
from corrections.tasks import organizations_at_work
from pricing.catalog import catalog_load
from pricing.models import PriceRule
from pricing.price_source import SourceModel, SourcePeriod, SourceProvider, read_source
from pricing.terms import Terms
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tenants.roles import Role
from tests.alerts.conftest import make_email_channel
from tests.analytics.support import at, settle, signed_in, text
from tests.corrections.support import applied, assert_sums_agree, spent, undo, work
from tests.corrections.test_runs import CUSTOM
from tests.factories import Tenant, make_member
from tests.pricing.drafts import add_rule

NANO_COST = 1200 * 100 + 300 * 25 + 250 * 400  # nano-USD of `payloads.event` at gpt-4.1-nano's prices
NAME = "gpt-4.1-nano-preview"
PATH = f"/o/acme/unpriced/price?provider=openai&model={NAME}"
LIKE = {"like_provider": "openai", "like_model": "gpt-4.1-nano"}


@pytest.fixture
def usage(tenant: Tenant, prices: None, now: datetime) -> Tenant:
    settle(tenant, [at(now - timedelta(hours=hour), model=NAME) for hour in (1, 2)])
    settle(tenant, [at(now - timedelta(hours=3), model="house-model", provider="vllm")])
    return tenant


@pytest.fixture
def owner(usage: Tenant) -> Client:
    return signed_in(usage.owner)


def counts(tenant: Tenant) -> tuple[int, int]:
    with organization_scope(tenant.id):
        return PriceRule.objects.count(), RepriceRun.objects.count()


def test_the_inbox_says_who_used_what_and_what_it_is_like(usage: Tenant, owner: Client) -> None:
    page = text(owner.get("/o/acme/unpriced"))
    for said in (NAME, "house-model", "Price like gpt-4.1-nano", "No listed model is like it", usage.key.name):
        assert said in page
    assert "The price list has no provider of this name." in page


def test_one_click_prices_and_backfills(usage: Tenant, owner: Client, now: datetime) -> None:
    answer = owner.post(PATH, LIKE)
    with organization_scope(usage.id):
        run = RepriceRun.objects.get()
        rule = PriceRule.objects.get()
    assert answer["Location"] == f"/o/acme/repricing/{run.id}"
    assert (run.state, run.events_booked) == (RunState.APPLIED, 2), "a small backlog is booked in the request"
    assert (rule.kind, rule.model, rule.effective_from < now - timedelta(hours=1)) == ("custom", NAME, True)
    assert (spent(usage, now).cost, spent(usage, now).unpriced_requests) == (2 * NANO_COST, 1)
    assert NAME not in text(owner.get("/o/acme/unpriced"))
    settle(usage, [at(now, model=NAME)])
    assert spent(usage, now).cost == 3 * NANO_COST, "what comes later is priced as it comes"
    assert_sums_agree(usage)


def test_a_price_is_entered(usage: Tenant, owner: Client, now: datetime) -> None:
    path = "/o/acme/unpriced/price?provider=vllm&model=house-model"
    assert owner.post(path, {"unit_input": "a lot"}).status_code == 422
    assert owner.post(path, {}).status_code == 422
    assert counts(usage) == (0, 0)
    assert owner.post(path, {"unit_input": "1", "unit_output": "2"}).status_code == 302
    assert spent(usage, now).cost == 1500 * 1_000 + 250 * 2_000
    assert_sums_agree(usage)


def test_what_is_not_in_the_inbox_cannot_be_priced(usage: Tenant, owner: Client, stranger: Tenant) -> None:
    assert owner.post(f"{PATH}-2", LIKE).status_code == 404
    assert owner.get("/o/acme/unpriced/price").status_code == 404
    assert owner.post(PATH, LIKE | {"like_model": "none"}).status_code == 302
    for client, status in ((signed_in(make_member(usage, Role.VIEWER)), 403), (signed_in(stranger.owner), 404)):
        assert client.post(PATH, LIKE).status_code == status
        assert client.post(PATH, {"known": "1"}).status_code == status
        assert client.get("/o/acme/unpriced/price?provider=vllm&model=house-model").status_code == status
    assert signed_in(stranger.owner).get("/o/acme/unpriced").status_code == 404
    assert "Price like" not in text(signed_in(make_member(usage, Role.MANAGER)).get("/o/acme/unpriced"))
    assert counts(usage) == (0, 0)


def test_everybody_is_told_when_all_is_priced(tenant: Tenant) -> None:
    assert "Everything has a price" in text(signed_in(tenant.owner).get("/o/acme/unpriced"))


def test_names_stay_text(tenant: Tenant, now: datetime) -> None:
    settle(tenant, [at(now, model="</td><script>alert(1)</script>", provider="<b>x")])
    page = text(signed_in(tenant.owner).get("/o/acme/unpriced"))
    assert "<script>alert" not in page
    assert "<b>x" not in page


def test_a_price_that_arrives_late_is_booked_by_itself(usage: Tenant, now: datetime) -> None:
    assert reprice_late(now) == []
    add_rule(usage, now, **CUSTOM | {"model": NAME}, effective_from=now - timedelta(days=2))
    assert reprice_late(now) == [], "the list is the same as before"
    with organization_scope(usage.id):
        PriceWatch.objects.update(catalog_version=-1)
    (run,) = reprice_late(now)
    assert organizations_at_work() == [usage.id]
    work(usage, now)
    assert reprice_late(now) == []
    with organization_scope(usage.id):
        done = RepriceRun.objects.get(id=run.id)
        started = AuditEntry.objects.get(action="reprice_run.started")
    assert (done.state, done.events_booked, done.started_by) == (RunState.APPLIED, 2, "costhub")
    assert started.actor_type == "system"
    assert spent(usage, now).unpriced_requests == 1
    assert_sums_agree(usage)


def test_a_newer_list_that_knows_the_model_books_its_price(usage: Tenant, now: datetime) -> None:
    assert reprice_late(now) == []
    terms = Terms(units={"input": "1", "output": "2"})
    period = SourcePeriod(now - timedelta(days=9), True, terms)
    model = SourceModel("house-model", {"equals": "house-model"}, {"standard": (period,)})
    provider = SourceProvider("vllm", "vLLM", "https://vllm.example/prices", (), (model,))
    report = catalog_load(source=[*read_source(), provider], now=now, source_version="newer")
    assert (report.models_added, report.prices_added) == (1, 1)
    (run,) = reprice_late(now)
    work(usage, now)
    with organization_scope(usage.id):
        done = RepriceRun.objects.get(id=run.id)
    assert (done.state, done.events_booked, int(done.cost_booked)) == (RunState.APPLIED, 1, 1500 * 1000 + 250 * 2000)
    assert spent(usage, now).unpriced_requests == 2, "the list still does not know the others"
    assert reprice_late(now) == []
    assert_sums_agree(usage)


def test_the_page_offers_to_book_a_price_that_is_known_by_now(usage: Tenant, owner: Client, now: datetime) -> None:
    add_rule(usage, now, **CUSTOM | {"model": NAME}, effective_from=datetime(2026, 1, 1, tzinfo=UTC))
    assert "A price is known now" in text(owner.get("/o/acme/unpriced"))
    owner.post(PATH, {"known": "1"})
    assert spent(usage, now).unpriced_requests == 1


def alert_of(tenant: Tenant, model: str) -> Alert:
    with organization_scope(tenant.id):
        return Alert.objects.get(kind="unpriced_usage", facts__model=model)


def test_the_alert_recovers_when_all_of_it_has_a_price_and_fires_again(usage: Tenant, now: datetime) -> None:
    add_rule(usage, now, **CUSTOM | {"model": NAME}, effective_from=now - timedelta(hours=1, minutes=30))
    run = applied(usage, now)
    assert run.events_booked == 1
    assert alert_of(usage, NAME).state == "firing", "one of its two events has no price yet"
    add_rule(usage, now, **CUSTOM | {"model": NAME}, effective_from=now - timedelta(days=2))
    run = applied(usage, now)
    assert (alert_of(usage, NAME).state, alert_of(usage, "house-model").state) == ("recovered", "firing")
    undo(usage, run, now)
    work(usage, now)
    assert alert_of(usage, NAME).state == "firing"
    applied(usage, now + timedelta(minutes=1))
    settle(usage, [at(now - timedelta(days=3), model=NAME)])
    assert alert_of(usage, NAME).state == "firing", "usage from before the price opens it again"
    with organization_scope(usage.id):
        notices = Alert.objects.filter(about__isnull=False).order_by("id")
        assert [notice.kind for notice in notices] == ["recovery", "reminder", "recovery", "reminder"]


def test_a_rule_that_is_off_is_not_woken_by_usage_without_a_price(usage: Tenant, now: datetime) -> None:
    with organization_scope(usage.id):
        default_rules_create(organization=usage.organization, now=now)
        alerts_end(open_alerts(usage.id), why="The rule was changed.", now=now)
        AlertRule.objects.filter(kind="unpriced_usage").update(enabled=False)
    settle(usage, [at(now, model=NAME)])
    assert alert_of(usage, NAME).state == "recovered"


def ruled_unpriced(tenant: Tenant, now: datetime, severity: str, *channels: int) -> AlertRule:
    draft = RuleDraft(f"As {severity}", RuleScope(), severity, {}, channels)
    return rule_create(organization=tenant.organization, kind="unpriced_usage", draft=draft, actor=None, now=now)


def test_what_fires_again_answers_to_the_rule_of_today(tenant: Tenant, prices: None, now: datetime) -> None:
    everybody, named = make_email_channel(tenant), make_email_channel(tenant, name="Named")
    with organization_scope(tenant.id):
        first = ruled_unpriced(tenant, now, "warning")
    settle(tenant, [at(now, model=NAME)])
    with organization_scope(tenant.id):
        assert set(Delivery.objects.values_list("channel_id", flat=True)) == {everybody.id, named.id}
        rule_delete(rule=first, version=first.version, actor=tenant.owner, now=now)
        second = ruled_unpriced(tenant, now, "critical", named.id)
    settle(tenant, [at(now, model=NAME)])
    alert = alert_of(tenant, NAME)
    assert (alert.state, alert.rule_id, alert.severity) == ("firing", second.id, "critical")
    with organization_scope(tenant.id):
        again = Delivery.objects.filter(alert__about=alert)
        assert [(each.channel_id, each.alert.severity) for each in again] == [(named.id, "critical")]


def test_an_undone_repricing_wakes_what_it_had_priced_and_whose_rule_is_on(usage: Tenant, now: datetime) -> None:
    add_rule(usage, now, **CUSTOM | {"model": NAME}, effective_from=now - timedelta(days=2))
    run = applied(usage, now)
    with organization_scope(usage.id):
        rule = ruled_unpriced(usage, now, "info")
        alerts_end(open_alerts(usage.id), why="The rule was changed.", now=now)
    undo(usage, run, now)
    work(usage, now)
    assert alert_of(usage, NAME).severity == "info"
    assert (alert_of(usage, NAME).state, alert_of(usage, "house-model").state) == ("firing", "recovered")
    run = applied(usage, now + timedelta(minutes=1))
    with organization_scope(usage.id):
        AlertRule.objects.filter(id=rule.id).update(enabled=False)
    undo(usage, run, now + timedelta(minutes=2))
    work(usage, now + timedelta(minutes=2))
    assert alert_of(usage, NAME).state == "recovered"
