"""What rules would have told in the last thirty days, kind by kind, against what they tell when they are read live."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import AlertRule
from alerts.rule_kinds import RuleKind
from alerts.rules import DEFAULTS
from tenants.access import organization_scope
from tests.budgets.support import use
from tests.factories import Tenant
from tests.watch.test_evaluate import DAY, HOUR, NOW, alerts, make_rule, read, spent
from watch.preview import PREVIEWED, WHY_NOT, Told, told_lately

# What happened two days ago, in the afternoon of a day like all others.
THEN = NOW - 2 * DAY


def told(tenant: Tenant, rule: AlertRule, now: datetime = NOW) -> list[Told]:
    with organization_scope(tenant.id):
        rule.refresh_from_db()
        _, found = told_lately(tenant.organization, rule, now)
        return found


def test_every_kind_can_be_tried_or_says_why_not() -> None:
    assert PREVIEWED | {kind.value for kind in WHY_NOT} == set(RuleKind.values)
    assert not PREVIEWED & {kind.value for kind in WHY_NOT}
    assert {kind for kind, *_ in DEFAULTS} == set(RuleKind)


def calls(at: datetime, tokens: int, **usage: int) -> dict[str, Any]:
    return spent(at, 1, usage={"input_tokens": tokens, "output_tokens": 0} | usage)


def _spikes(usual: list[datetime]) -> list[dict[str, Any]]:
    return [*(spent(at, 10) for at in usual), spent(THEN, 60)]


def _cached(usual: list[datetime]) -> list[dict[str, Any]]:
    before = (calls(at, 200_000, cache_read_input_tokens=150_000) for at in usual)
    return [*before, calls(THEN, 400_000)]


def _errors(usual: list[datetime]) -> list[dict[str, Any]]:
    return [*_spikes(usual), spent(THEN, 30, status="error")]


# Kind → parameters, what happened, and what it says of that.
CASES: dict[str, tuple[dict[str, Any], Callable[[list[datetime]], list[dict[str, Any]]], str]] = {
    "spend_anomaly": ({}, _spikes, "$60.00 in 6 hours, usually $10.00"),
    "cost_per_request_spike": ({"requests": 1}, _spikes, "A request costs $60.00, usually $10.00"),
    "cache_hit_drop": ({}, _cached, "0% of input comes from caches, usually 75%"),
    "error_spend": ({}, _errors, "$30.00 of $90.00 went to calls that failed"),
    "key_silent": ({"requests": 1}, lambda usual: [calls(at, 100) for at in usual],
                   "No request in 6 hours, where it usually is busy"),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(PREVIEWED))
def test_it_would_have_told_what_it_tells(tenant: Tenant, prices: None, kind: str) -> None:
    """Each kind over a month in which one thing goes wrong; read live at the same hours it fires there as well."""
    parameters, happened, said = CASES[kind]
    rule = make_rule(tenant, RuleKind(kind), "", **parameters)
    use(tenant, *happened([NOW - timedelta(minutes=160) - DAY * back for back in range(3, 34)]), now=NOW)
    found = told(tenant, rule)
    assert [each.said for each in found] == [said]
    # Everything has been settled by now: what failed today is seen before it happened.
    for minutes in range(0 if kind == "error_spend" else -120, 240, 30):
        read(tenant, THEN + timedelta(minutes=minutes))
    (alert,) = alerts(tenant)
    # Live, hours are read some minutes after they end, and errors within the hour.
    assert abs(alert.created_at - found[0].at) < HOUR


def test_failed_calls_of_a_customer_are_told_at_the_end_of_their_own_day(tenant: Tenant, prices: None) -> None:
    rule = make_rule(tenant, RuleKind.ERROR_SPEND, "customer")
    late = NOW.replace(hour=23, minute=30) - 3 * DAY
    use(tenant, spent(late, 8, status="error", customer="globex"), spent(late + HOUR, 9, customer="globex"), now=NOW)
    assert [(each.at, each.subject) for each in told(tenant, rule)] == [
        (late + timedelta(minutes=30), "Customer globex")
    ]
