"""Reads every rule of every organization, one organization after the other, each in a transaction of its own.

Two workers may do so at the same time: an organization that another one is at is left to it. What a round does not get
to comes first in the next one.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import DatabaseError, connection

from alerts.locks import try_lock_rules
from alerts.models import AlertRule
from alerts.rule_kinds import RuleKind
from alerts.rules import default_rules_create
from alerts.selectors import rule_list
from alerts.watching import Reading, periods_end, readings_apply, snoozes_end
from tenants.access import organization_scope
from tenants.models import Organization
from tenants.selectors import organization_ids
from watch.budget_readers import read_forecasts, read_run_outs
from watch.event_readers import read_ingestion, read_new_models, read_price_changes
from watch.key_readers import read_key_networks
from watch.place import Place
from watch.usage_readers import read_cache_hits, read_cost_per_request, read_errors, read_silent_keys, read_spend

log = logging.getLogger(__name__)

ROUND_SECONDS = 45
STATEMENT_SECONDS = 10
SLOW = timedelta(minutes=10)

READERS: dict[RuleKind, Callable[[Place], Iterator[Reading]]] = {
    RuleKind.FORECAST_OVERRUN: read_forecasts,
    RuleKind.RUN_OUT: read_run_outs,
    RuleKind.SPEND_ANOMALY: read_spend,
    RuleKind.COST_PER_REQUEST_SPIKE: read_cost_per_request,
    RuleKind.CACHE_HIT_DROP: read_cache_hits,
    RuleKind.ERROR_SPEND: read_errors,
    RuleKind.NEW_MODEL: read_new_models,
    RuleKind.KEY_SILENT: read_silent_keys,
    RuleKind.KEY_NEW_NETWORK: read_key_networks,
    RuleKind.INGESTION_STALLED: read_ingestion,
    RuleKind.PRICE_CHANGED: read_price_changes,
}
# What looks at whole hours is read once for each of them.
HOURLY = frozenset(
    {RuleKind.SPEND_ANOMALY, RuleKind.COST_PER_REQUEST_SPIKE, RuleKind.CACHE_HIT_DROP, RuleKind.KEY_SILENT}
)
UNHURRIED = frozenset({RuleKind.ERROR_SPEND, RuleKind.NEW_MODEL, RuleKind.PRICE_CHANGED})


def evaluate(now: datetime, *, seconds: float = ROUND_SECONDS) -> int:
    """Every organization once, as far as the time goes; how many alerts fired or recovered."""
    told, end = 0, time.monotonic() + seconds
    for organization_id in _in_turn(organization_ids(), now):
        if time.monotonic() > end:
            break
        try:
            told += evaluate_organization(organization_id, now)
        except DatabaseError:
            # One organization's trouble is not its neighbours'; nothing of it was written, the next round tries again.
            log.exception("rules could not be evaluated", extra={"organization": organization_id})
    return told


def _in_turn(ids: list[int], now: datetime) -> list[int]:
    """Beginning elsewhere every minute, so that whoever comes last is not always the same."""
    first = int(now.timestamp() // 60) % len(ids) if ids else 0
    return ids[first:] + ids[:first]


def evaluate_organization(organization_id: int, now: datetime) -> int:
    """Every rule that is due; how many alerts fired or recovered. None while another worker is at it."""
    with organization_scope(organization_id):
        if not try_lock_rules(organization_id):
            return 0
        _bound_statements()
        organization = Organization.objects.get(id=organization_id)
        default_rules_create(organization=organization, now=now)
        told = snoozes_end(organization_id=organization_id, now=now)
        periods_end(organization_id=organization_id, now=now)
        return told + sum(
            _evaluate(Place(organization, rule, now)) for rule in rule_list(organization_id=organization_id)
        )


def _bound_statements() -> None:
    """For the rest of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_SECONDS}s"])


def _evaluate(place: Place) -> int:
    rule = place.rule
    reader = READERS.get(RuleKind(rule.kind))
    if reader is None or not rule.enabled or not _due(place):
        return 0
    at = place.hour if rule.kind in HOURLY else place.now
    told = readings_apply(rule=rule, readings=list(reader(place)), at=at, now=place.now)
    AlertRule.objects.filter(organization=place.organization, id=rule.id).update(evaluated_at=place.now)
    return told


def _due(place: Place) -> bool:
    last = place.rule.evaluated_at
    if last is None:
        return True
    if place.rule.kind in HOURLY:
        return Place(place.organization, place.rule, last).hour < place.hour
    return place.now - last >= SLOW if place.rule.kind in UNHURRIED else place.now > last
