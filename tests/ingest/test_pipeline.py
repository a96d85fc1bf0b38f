"""Settling: what was accepted becomes events, sums and ledger entries, exactly once and to the nano-dollar."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from django.db import DataError

from alerts.models import Alert
from budgets.models import LedgerEntry
from budgets.services import budget_create
from budgets.terms import Measure
from ingest import inbox, pipeline
from ingest.models import InboxBatch
from ingest.schema import parse_events
from tenants.access import organization_scope
from tests.factories import Tenant, make_key, make_team
from tests.ingest.payloads import event
from usage import store
from usage.dimensions import COLUMNS
from usage.models import Cube, Rollup, RollupDay, UsageEvent
from usage.verify import differences

# gpt-4.1-nano: USD per million tokens.
INPUT, CACHED, OUTPUT = Decimal("0.10"), Decimal("0.025"), Decimal("0.40")


def accept(tenant: Tenant, events: Sequence[dict[str, Any]], now: datetime, key_id: int | None = None) -> None:
    _, reported = parse_events(list(events), pointers=[""] * len(events), now=now)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={key_id or tenant.key.id: reported}, now=now)


def nano(input_tokens: int, cached: int, output: int) -> int:
    usd = ((input_tokens - cached) * INPUT + cached * CACHED + output * OUTPUT) / 1_000_000
    return int((usd * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def test_an_event_ends_as_figures(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(customer="acme", tags={"env": "prod"}, cost="0.0002")], now)
    assert pipeline.settle_waiting(now) == 1
    cost = nano(1500, 300, 250)
    with organization_scope(tenant.id):
        assert not InboxBatch.objects.exists()
        stored = UsageEvent.objects.get()
        assert (stored.cost, stored.list_cost, stored.unpriced_reason) == (cost, cost, "")
        assert (stored.provider, stored.model) == ("openai", "gpt-4.1-nano")
        assert (stored.uncached_input, stored.cache_read, stored.output) == (1200, 300, 250)
        assert (stored.team_id, stored.virtual_key_id) == (tenant.team.id, tenant.key.id)
        assert (stored.customer, stored.tags, stored.reported_cost) == ("acme", {"env": "prod"}, 200_000_000)
        hourly = {row.dimension: int(row.cost) for row in Rollup.objects.all()}
        assert hourly == dict.fromkeys({"total", "tag.env", *COLUMNS} - {"session"}, cost)
        daily = {row.dimension: int(row.cost) for row in RollupDay.objects.all()}
        assert daily == hourly | {"session": cost}
        cell = Cube.objects.get()
        assert (int(cell.cost), cell.input_tokens) == (cost, 1500)


def test_settling_again_changes_nothing(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(), event()], now)
    assert pipeline.settle_waiting(now) == 2
    assert pipeline.settle_waiting(now) == 0
    with organization_scope(tenant.id):
        assert UsageEvent.objects.count() == 2
        assert Rollup.objects.get(dimension="total").events == 2


def test_an_unknown_model_is_not_zero(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(model="nobody-knows-this"), event()], now)
    pipeline.settle_waiting(now)
    with organization_scope(tenant.id):
        unpriced = UsageEvent.objects.get(reported_model="nobody-knows-this")
        assert (unpriced.cost, unpriced.list_cost, unpriced.price_id) == (None, None, None)
        assert unpriced.unpriced_reason == "unknown_model"
        assert Rollup.objects.get(dimension="total").unpriced_requests == 1
        alert = Alert.objects.get()
        assert (alert.kind, alert.facts["model"]) == ("unpriced_usage", "nobody-knows-this")


def test_an_answer_from_the_own_cache_costs_nothing(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(cache="hit"), event(cache="semantic", model="nobody-knows-this")], now)
    pipeline.settle_waiting(now)
    with organization_scope(tenant.id):
        assert list(UsageEvent.objects.values_list("cost", flat=True)) == [0, 0]


def test_spend_counts_in_every_budget_above_it(tenant: Tenant, prices: None, now: datetime) -> None:
    child = make_team(tenant, "Research", parent=tenant.team)
    sibling = make_team(tenant, "Sales")
    key, _ = make_key(tenant, "research key", child)
    with organization_scope(tenant.id):
        budgets = {
            name: budget_create(
                organization=tenant.organization, name=name, limit=10**9, thresholds=[50], actor=None, now=now,
                measure=Measure(scope, team, virtual_key, "month", "UTC"),
            )
            for name, scope, team, virtual_key in [
                ("all", "organization", None, None),
                ("parent", "team", tenant.team, None),
                ("child", "team", child, None),
                ("sibling", "team", sibling, None),
                ("key", "virtual_key", None, key),
                ("other key", "virtual_key", None, tenant.key),
            ]
        }  # fmt: skip
    accept(tenant, [event()], now, key_id=key.id)
    pipeline.settle_waiting(now)
    cost = nano(1500, 300, 250)
    with organization_scope(tenant.id):
        spent = {entry.budget_id: int(entry.spent) for entry in LedgerEntry.objects.all()}
        assert {name: spent[budget.id] for name, budget in budgets.items()} == {
            "all": cost, "parent": cost, "child": cost, "key": cost, "sibling": 0, "other key": 0,
        }  # fmt: skip
        assert differences(tenant.id) == []


def test_a_threshold_crossing_alerts_once_with_the_highest(tenant: Tenant, prices: None, now: datetime) -> None:
    cost = nano(1500, 300, 250)
    with organization_scope(tenant.id):
        budget_create(
            organization=tenant.organization, name="Tight", limit=cost * 10, thresholds=[10, 50, 80, 100], actor=None,
            now=now, measure=Measure("organization", None, None, "month", "UTC"),
        )  # fmt: skip

    def alerts() -> list[int]:
        with organization_scope(tenant.id):
            return [alert.facts["threshold"] for alert in Alert.objects.order_by("id")]

    accept(tenant, [event()], now)
    pipeline.settle_waiting(now)
    assert alerts() == [10]
    accept(tenant, [event() for _ in range(7)], now)
    pipeline.settle_waiting(now)
    assert alerts() == [10, 80]
    accept(tenant, [event()], now)
    pipeline.settle_waiting(now)
    assert alerts() == [10, 80]
    accept(tenant, [event()], now)
    pipeline.settle_waiting(now)
    assert alerts() == [10, 80, 100]
    accept(tenant, [event() for _ in range(20)], now)
    pipeline.settle_waiting(now)
    assert alerts() == [10, 80, 100]


def test_a_late_event_counts_in_the_period_of_its_time(tenant: Tenant, prices: None, now: datetime) -> None:
    with organization_scope(tenant.id):
        budget_create(
            organization=tenant.organization, name="Daily", limit=10**9, thresholds=[], actor=None,
            now=now - timedelta(days=3), measure=Measure("organization", None, None, "day", "Asia/Kathmandu"),
        )  # fmt: skip
    accept(tenant, [event(time=(now - timedelta(days=2)).isoformat()), event()], now)
    pipeline.settle_waiting(now)
    with organization_scope(tenant.id):
        entries = LedgerEntry.objects.filter(requests__gt=0)
        assert len(entries) == 2
        for entry, time in zip(entries.order_by("period_start"), [now - timedelta(days=2), now], strict=True):
            assert entry.period_start <= time < entry.period_end


def test_a_batch_that_fails_does_not_hold_up_the_others(
    tenant: Tenant, prices: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(tenant, [event(id="poison")], now)
    accept(tenant, [event(id="fine")], now)
    insert = store.events_store

    def failing(*, rows: Any, **others: Any) -> Any:
        if b"poison" in rows.content:
            raise DataError("boom")
        return insert(rows=rows, **others)

    monkeypatch.setattr(store, "events_store", failing)
    assert pipeline.settle_waiting(now) == 1
    with organization_scope(tenant.id):
        assert list(UsageEvent.objects.values_list("event_id", flat=True)) == ["fine"]
        left = InboxBatch.objects.get()
        assert (left.attempts, left.error) == (1, "DataError: boom")
        assert left.not_before > now
    monkeypatch.setattr(store, "events_store", insert)
    assert pipeline.settle_waiting(now) == 0
    assert pipeline.settle_waiting(left.not_before) == 1
    with organization_scope(tenant.id):
        assert UsageEvent.objects.count() == 2
        assert differences(tenant.id) == []


def test_organizations_are_settled_apart(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(id="same")], now)
    accept(stranger, [event(id="same"), event()], now)
    assert pipeline.settle_waiting(now) == 3
    for owner, count in ((tenant, 1), (stranger, 2)):
        with organization_scope(owner.id):
            assert UsageEvent.objects.count() == count
            assert Rollup.objects.get(dimension="total").events == count


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_rollups_and_ledgers_equal_the_events(tenant: Tenant, prices: None, now: datetime, zone: str) -> None:
    with organization_scope(tenant.id):
        tenant.organization.timezone = zone
        tenant.organization.save()
        for period in ("day", "week", "month"):
            budget_create(
                organization=tenant.organization, name=period, limit=10**12, thresholds=[50], actor=None,
                now=now - timedelta(days=30), measure=Measure("team", tenant.team, None, period, "America/St_Johns"),
            )  # fmt: skip
    for number in range(12):
        batch = [
            event(
                time=(now - timedelta(hours=number * 37 + step, minutes=step * 7)).isoformat(),
                model=("gpt-4.1-nano", "gpt-4o", "nobody-knows-this")[step % 3],
                status=("ok", "error")[step % 2],
            )
            for step in range(9)
        ]
        accept(tenant, batch, now)
    assert pipeline.settle_waiting(now) == 108
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []
        Rollup.objects.filter(dimension="model").delete()
        assert differences(tenant.id) != []
