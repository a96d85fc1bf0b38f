"""Budgets on every scope, unit and window: what settles, what corrects, what is proved and what is mended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.models import Budget, LedgerEntry
from budgets.posting import post_corrections, post_entries
from budgets.standing import Used, used
from budgets.verify import differences, rebuild
from tenants.access import organization_scope
from tests.budgets.support import make_budget, use
from tests.factories import Tenant, make_key, make_team
from tests.ingest.payloads import event
from usage.adjustments import Correction, Entry, Why
from usage.watched import Labels, Watched

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
COST, TOKENS = 227_500, 1_750  # of the event in tests.ingest.payloads
ONE = Used(COST, TOKENS, 1, 0)
NAMED = {"customer": "acme", "feature": "bot", "agent": "researcher", "user": "u1", "tags": {"env": "prod", "a": "b"}}
WINDOWS: dict[str, dict[str, Any]] = {
    "hour": {"period": "hour", "timezone": "Asia/Kathmandu"},
    "day": {"period": "day", "timezone": "Australia/Lord_Howe"},
    "week": {"period": "week", "week_start": "sunday"},
    "month": {"period": "month", "timezone": "Asia/Kolkata"},
    "quarter": {"period": "quarter", "fiscal_year_start_month": 2},
    "year": {"period": "year", "fiscal_year_start_month": 4, "timezone": "America/St_Johns"},
    "rolling": {"period": "rolling", "rolling_days": 7, "timezone": "Europe/Berlin"},
    "total": {"period": "total", "timezone": "Pacific/Chatham"},
}


def standing(tenant: Tenant, budgets: list[Budget], now: datetime = NOW) -> list[Used]:
    with organization_scope(tenant.id):
        assert differences(tenant.id) == []
        sums = used(budgets, now)
    return [sums[budget.id] for budget in budgets]


def on_values(tenant: Tenant, **options: Any) -> list[Budget]:
    """A budget on each kind of value that the events of NAMED carry."""
    values = {"customer": "acme", "feature": "bot", "agent": "researcher", "user": "u1", "model": "GPT-4.1-nano"}
    made = [make_budget(tenant, scope, on=scope, value=value, **options) for scope, value in values.items()]
    return [*made, make_budget(tenant, "tag", on="tag", tag_name="env", value="prod", **options)]


@pytest.mark.parametrize("first", ["budgets", "usage"])
def test_what_callers_name(tenant: Tenant, prices: None, first: str) -> None:
    """Whoever comes first: what was settled before a budget was made counts in it too."""
    other, below = make_team(tenant, "Other"), make_team(tenant, "Below", tenant.team)
    key, _ = make_key(tenant, "below", below)
    others = {"customer": "Acme", "feature": "", "user": "u2", "model": "gpt-4.1-mini", "tags": {"env": "test"}}
    batch = [event(time=NOW.isoformat(), **NAMED), event(time=NOW.isoformat(), **others)]
    if first == "usage":
        use(tenant, *batch, key=key, now=NOW)
    anywhere, inside = on_values(tenant, now=NOW), on_values(tenant, team=tenant.team, now=NOW)
    outside = on_values(tenant, team=other, now=NOW)
    if first == "budgets":
        use(tenant, *batch, key=key, now=NOW)
    assert standing(tenant, anywhere) == [ONE] * 6
    assert standing(tenant, inside) == [ONE] * 6
    assert standing(tenant, outside) == [Used()] * 6


@pytest.mark.parametrize("first", ["budgets", "usage"])
def test_every_window(tenant: Tenant, prices: None, first: str) -> None:
    """One event now, one that only the longer windows hold, one that none but the longest do, one before all."""
    ago = [timedelta(), timedelta(days=3), timedelta(days=20), timedelta(days=34)]
    batch = [event(time=(NOW - each).isoformat()) for each in ago]
    if first == "usage":
        use(tenant, *batch, now=NOW)
    made = {name: make_budget(tenant, name, now=NOW, **window) for name, window in WINDOWS.items()}
    if first == "budgets":
        use(tenant, *batch, now=NOW)
    counts = {name: sums.requests for name, sums in zip(made, standing(tenant, list(made.values())), strict=True)}
    assert counts == {
        "hour": 1, "day": 1, "week": 1, "month": 3, "quarter": 3, "year": 4, "rolling": 2, "total": 1,
    }  # fmt: skip


def test_units_are_counted_side_by_side(tenant: Tenant, prices: None) -> None:
    made = [make_budget(tenant, unit, unit=unit, limit=10**12, now=NOW) for unit in ("cost", "tokens", "requests")]
    usage = {"input_tokens": 100, "cache_read_input_tokens": 60, "output_tokens": 50, "reasoning_output_tokens": 20}
    use(
        tenant,
        event(time=NOW.isoformat(), usage=usage | {"requests": 3}),
        event(time=NOW.isoformat(), model="nobody-knows-this", usage={"input_tokens": 7}),
        now=NOW,
    )
    sums = standing(tenant, made)
    assert {(each.tokens, each.requests, each.unpriced_requests) for each in sums} == {(157, 4, 1)}
    assert [each.of(budget.unit) for each, budget in zip(sums, made, strict=True)] == [sums[0].cost, 157, 4]


def test_a_rolling_window_loses_its_oldest_day(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, period="rolling", rolling_days=3, now=NOW)
    for days in range(4):
        at = NOW + timedelta(days=days)
        use(tenant, event(time=at.isoformat()), now=at)
    found = [standing(tenant, [budget], NOW + timedelta(days=days))[0].requests for days in range(8)]
    assert found == [1, 2, 3, 3, 2, 1, 0, 0]


def test_a_correction_counts_where_its_event_does(tenant: Tenant, prices: None) -> None:
    made = [make_budget(tenant, "all", now=NOW), *on_values(tenant, now=NOW)]
    bystander = make_budget(tenant, "other", on="customer", value="globex", now=NOW)
    sent = event(time=NOW.isoformat(), **NAMED)
    use(tenant, sent, now=NOW)
    correction = Correction(NOW, sent["id"], {"cost": -7_500, "input_tokens": -50})
    with organization_scope(tenant.id):
        post_corrections(
            organization=tenant.organization, corrections=[correction], why=Why("correction", "test", "test", 1),
            now=NOW,
        )  # fmt: skip
    assert standing(tenant, made) == [Used(COST - 7_500, TOKENS - 50, 1, 0)] * 7
    assert standing(tenant, [bystander]) == [Used()]


def test_an_entry_without_an_event_counts_by_its_names(tenant: Tenant) -> None:
    made = [make_budget(tenant, name, on="customer", value=name, now=NOW) for name in ("acme", "globex")]
    entry = Entry(NOW, {"cost": 5}, tenant.team.id, "openai", "gpt-4.1-nano", others={"customer": "acme"})
    with organization_scope(tenant.id):
        post_entries(organization=tenant.organization, entries=[entry], why=Why("fee", "test", "test", 1), now=NOW)
    assert [each.cost for each in standing(tenant, made)] == [5, 0]


def test_a_ledger_that_is_wrong_is_mended(tenant: Tenant, prices: None) -> None:
    made = [make_budget(tenant, "rolling", now=NOW, **WINDOWS["rolling"])]
    made += [make_budget(tenant, "total", on="tag", tag_name="env", value="prod", now=NOW, **WINDOWS["total"])]
    use(tenant, event(time=NOW.isoformat(), **NAMED), now=NOW)
    with organization_scope(tenant.id):
        LedgerEntry.objects.filter(requests__gt=0).update(tokens=1)
        found = differences(tenant.id)
        assert [difference.events.tokens for difference in found] == [TOKENS] * 2
        rebuild(found, NOW)
    assert standing(tenant, made) == [ONE] * 2


WATCHED = Watched(
    {"customer": frozenset({"acme", "globex"}), "model": frozenset({"gpt"})}, frozenset({("env", "prod")})
)


@pytest.mark.parametrize(
    ("named", "tags", "labels"),
    [
        ({"customer": "acme", "user": "u1", "model": "gpt"}, {"env": "prod", "a": "b"},
         Labels(customer="acme", model="gpt", tags=(("env", "prod"),))),
        ({"customer": "Acme"}, {"env": "test", "prod": "env"}, Labels()),
        ({}, {}, Labels()),
    ],
)  # fmt: skip
def test_only_what_is_watched_is_told_apart(named: dict[str, str], tags: dict[str, str], labels: Labels) -> None:
    assert WATCHED.labels(named, tags) == labels


def test_nothing_watched_is_nothing() -> None:
    assert not Watched({})
    assert not Watched({"customer": frozenset()})
    assert Watched({}, frozenset({("env", "prod")}))
