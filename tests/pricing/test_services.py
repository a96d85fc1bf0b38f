"""Price books: what may be written, what the database refuses, and what a rule does to an event."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from common.problems import Problem
from ingest import pipeline
from pricing.book import PriceBook
from pricing.models import PriceBookVersion, PriceRule
from pricing.resolve import book_of, price_book
from pricing.services import rule_end
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.factories import Tenant
from tests.ingest.payloads import event
from tests.ingest.test_pipeline import accept
from tests.pricing.drafts import DISCOUNT, FIXED, add_rule
from usage.models import Cube, UsageEvent

HOUR = timedelta(hours=1)


def end(tenant: Tenant, rule: PriceRule, now: datetime, at: datetime | None = None) -> PriceRule:
    with organization_scope(tenant.id):
        return rule_end(organization=tenant.organization, rule=rule, at=at, actor=tenant.owner, now=now)


def test_an_event_keeps_both_costs_and_the_rule(tenant: Tenant, prices: None, now: datetime) -> None:
    discount = add_rule(tenant, now - HOUR, **DISCOUNT)
    accept(tenant, [event()], now)
    pipeline.settle_waiting(now)
    with organization_scope(tenant.id):
        stored = UsageEvent.objects.get()
        # 227,500 nano-USD at list; 15 % less is 193,375.
        assert (stored.list_cost, stored.cost, stored.rule_id) == (227_500, 193_375, discount.id)
        assert stored.price_id is not None
        cell = Cube.objects.get()
        assert (int(cell.list_cost), int(cell.cost)) == (227_500, 193_375)


def test_a_rule_of_one_organization_is_nothing_to_another(
    tenant: Tenant, stranger: Tenant, prices: None, now: datetime
) -> None:
    add_rule(tenant, now - HOUR, **DISCOUNT)
    accept(stranger, [event()], now)
    pipeline.settle_waiting(now)
    with organization_scope(stranger.id):
        stored = UsageEvent.objects.get()
        assert (stored.list_cost, stored.cost, stored.rule_id) == (227_500, 227_500, None)
        assert not PriceRule.objects.exists()
        assert not PriceBookVersion.objects.exists()
        assert isinstance(book_of(stranger.id), PriceBook)


def test_rules_never_rewrite_what_was_charged(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(id="before")], now)
    pipeline.settle_waiting(now)
    rule = add_rule(tenant, now, **DISCOUNT, effective_from=now - timedelta(days=30))
    accept(tenant, [event(id="under-it")], now)
    pipeline.settle_waiting(now)
    end(tenant, rule, now)
    accept(tenant, [event(id="after", time=(now + timedelta(seconds=1)).isoformat())], now)
    pipeline.settle_waiting(now)
    with organization_scope(tenant.id):
        costs = dict(UsageEvent.objects.values_list("event_id", "cost"))
    assert costs == {"before": 227_500, "under-it": 193_375, "after": 227_500}


def test_the_book_is_read_anew_when_it_changed_and_only_then(tenant: Tenant, prices: None, now: datetime) -> None:
    with organization_scope(tenant.id):
        assert book_of(tenant.id) is price_book()
    rule = add_rule(tenant, now, **DISCOUNT)
    with organization_scope(tenant.id):
        first = book_of(tenant.id)
        assert book_of(tenant.id) is first
    end(tenant, rule, now, now + HOUR)
    with organization_scope(tenant.id):
        assert book_of(tenant.id) is not first


def test_a_change_that_is_rolled_back_is_forgotten(tenant: Tenant, prices: None, now: datetime) -> None:
    def rule_now() -> int | None:
        return book_of(tenant.id).resolve("openai", "gpt-4.1-nano", "standard", now).rule_id

    with organization_scope(tenant.id):
        with transaction.atomic():
            rule = add_rule(tenant, now, **DISCOUNT)
            assert rule_now() == rule.id
            transaction.set_rollback(True)
        assert rule_now() is None


def test_names_and_amounts_are_written_one_way(tenant: Tenant, prices: None, now: datetime) -> None:
    given = FIXED | {
        "provider": " OpenAI ",
        "model": "openai/GPT-4.1-nano",
        "units": {"input": "0.0800", "output": "3"},
    }
    tiers = [{"above_input_tokens": 200_000, "units": {"input": "0.16"}}]
    rule = add_rule(tenant, now, **given | {"tiers": tiers})
    assert (rule.provider, rule.model) == ("openai", "gpt-4.1-nano")
    assert rule.units == {"input": "0.08", "output": "3"}
    assert rule.tiers == [{"above_input_tokens": 200_000, "units": {"input": "0.16", "output": "3"}}]
    assert rule.effective_from == now


TIER = {"above_input_tokens": 1000, "units": {"input": "1"}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (DISCOUNT | {"percent": None}, "percent"),
    (DISCOUNT | {"percent": Decimal("-100.0001")}, "percent"),
    (DISCOUNT | {"percent": Decimal("10000.0001")}, "percent"),
    (DISCOUNT | {"percent": Decimal("1.00001")}, "percent"),
    (DISCOUNT | {"percent": Decimal("NaN")}, "percent"),
    (DISCOUNT | {"units": {"input": "1"}}, "units"),
    (DISCOUNT | {"provider": ""}, "provider"),
    (DISCOUNT | {"provider": "open*"}, "provider"),
    (DISCOUNT | {"model": " "}, "model"),
    (DISCOUNT | {"model": "a\x00b"}, "model"),
    (DISCOUNT | {"model": "x" * 201}, "model"),
    (DISCOUNT | {"tier": "gold"}, "tier"),
    (DISCOUNT | {"kind": "gift"}, "kind"),
    (DISCOUNT | {"name": "\u200b"}, "name"),
    (FIXED | {"units": {}}, "units"),
    (FIXED | {"units": {"input": "-1"}}, "units/input"),
    (FIXED | {"units": {"input": "1e3"}}, "units/input"),
    (FIXED | {"units": {"input": 1}}, "units/input"),
    (FIXED | {"units": {"input": "1000000001"}}, "units/input"),
    (FIXED | {"units": {"seconds": "1"}}, "units"),
    (FIXED | {"percent": Decimal(5)}, "percent"),
    (FIXED | {"tiers": [TIER, TIER]}, "tiers"),
    (FIXED | {"tiers": [TIER | {"above_input_tokens": 0}]}, "tiers"),
    (FIXED | {"tiers": [TIER | {"units": {"input": "x"}}]}, "tiers/0/units/input"),
    (FIXED | {"kind": "custom", "model": "gpt*"}, "model"),
    (FIXED | {"kind": "custom", "provider": "*"}, "model"),
]


@pytest.mark.parametrize(("given", "field"), REFUSED)
def test_what_cannot_be_is_refused_by_its_field(
    tenant: Tenant, prices: None, now: datetime, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        add_rule(tenant, now, confirmed=True, **given)
    assert set(refused.value.message_dict) == {field}
    with organization_scope(tenant.id):
        assert not PriceRule.objects.exists()


@pytest.mark.parametrize("shift", [timedelta(0), -HOUR])
def test_a_rule_ends_after_it_begins(tenant: Tenant, prices: None, now: datetime, shift: timedelta) -> None:
    with pytest.raises(ValidationError, match="later than the beginning"):
        add_rule(tenant, now, **DISCOUNT, effective_from=now, effective_to=now + shift)


def test_a_rule_is_ended_now_or_later_but_never_in_the_past(tenant: Tenant, prices: None, now: datetime) -> None:
    rule = add_rule(tenant, now - HOUR, **DISCOUNT)
    with pytest.raises(ValidationError, match="past"):
        end(tenant, rule, now, now - timedelta(seconds=1))
    assert end(tenant, rule, now, now + HOUR).effective_to == now + HOUR
    assert end(tenant, rule, now).effective_to == now  # an end that is still ahead may move
    with pytest.raises(Problem) as over:
        end(tenant, rule, now + timedelta(seconds=1))
    assert over.value.slug == "conflict"


def test_a_rule_that_is_ahead_is_withdrawn(tenant: Tenant, prices: None, now: datetime) -> None:
    rule = add_rule(tenant, now, **DISCOUNT, effective_from=now + HOUR)
    assert rule.state(now) == "ahead"
    assert end(tenant, rule, now).effective_to == now + HOUR
    assert rule.state(now) == "ended"
    with organization_scope(tenant.id):
        found = book_of(tenant.id).resolve("openai", "gpt-4.1-nano", "standard", now + 2 * HOUR)
    assert found.rule_id is None


def test_the_audit_trail_tells_who_changed_a_price(tenant: Tenant, prices: None, now: datetime) -> None:
    end(tenant, add_rule(tenant, now, **FIXED), now)
    with organization_scope(tenant.id):
        added, ended = AuditEntry.objects.filter(action__startswith="price_rule").order_by("id")
    assert (added.actor, added.action, ended.action) == (tenant.owner.email, "price_rule.added", "price_rule.ended")
    assert added.facts["price"] == "Input $0.08, Output $0.30 per million"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pricing_pricerule SET percent = -99",
        "UPDATE pricing_pricerule SET effective_from = now()",
        "DELETE FROM pricing_pricerule",
    ],
)
def test_the_application_may_not_change_a_rule(tenant: Tenant, prices: None, now: datetime, statement: str) -> None:
    add_rule(tenant, now, **DISCOUNT)
    with (
        organization_scope(tenant.id),
        pytest.raises(DatabaseError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_the_database_keeps_the_history_of_rules(tenant: Tenant, prices: None, now: datetime) -> None:
    rule = add_rule(tenant, now - 2 * HOUR, **DISCOUNT)
    with organization_scope(tenant.id):
        rules = PriceRule.objects.filter(id=rule.id)
        for past in (now - HOUR, None):
            with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
                rules.update(effective_to=past)
        rules.update(effective_to=now - timedelta(seconds=30))
        with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
            rules.update(effective_to=now + HOUR)  # it is over: another rule may follow, this one stays


def test_two_rules_at_the_same_moment_both_count_and_one_wins(committed_prices: None, committed_tenant: Tenant) -> None:
    now = committed_tenant.organization.created_at

    def add(percent: int) -> int:
        try:
            return add_rule(committed_tenant, now, **DISCOUNT | {"percent": Decimal(percent)}).id
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(add, range(-8, 0)))
    with organization_scope(committed_tenant.id):
        assert PriceRule.objects.count() == 8
        assert PriceBookVersion.objects.count() == 1
        found = book_of(committed_tenant.id).resolve("openai", "gpt-4.1-nano", "standard", now)
    assert found.rule_id == max(added)
