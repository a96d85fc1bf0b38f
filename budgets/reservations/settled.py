"""From the ledger to the counters: reading sums when a counter is made, and bringing in what has been settled since.

Every entry of the ledger gets a greater version with each change, so the sum of the versions in a window tells which of
two sums is the later one; the scripts never let an older one replace it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import redis
from django.conf import settings
from django.db import connection

from budgets.applying import window_of
from budgets.models import Budget, Unit
from budgets.reservations.engine import Ended, Ending, Engine, Settled, Standing, prefix_of
from budgets.reservations.governing import counter_name, forgotten_at
from budgets.reservations.models import CounterCheck
from budgets.reservations.outage import Outage
from budgets.windows import ROLLING
from common.db import server_cursor
from common.periods import Period
from tenants.access import organization_scope

log = logging.getLogger(__name__)

# Settling does not wait for a Redis that has just failed.
_outage = Outage()
# Every organization that anything was authorized for.
ORGANIZATIONS = "budget:organizations"
# Counters per script, so that none holds others up.
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Counted:
    """A budget in one of its windows: what a counter counts."""

    budget: Budget
    window: Period

    @property
    def name(self) -> str:
        return counter_name(self.budget.id, self.window.start)


@cache
def engine() -> Engine:
    """The counters of this process, connected when they are first used."""
    return Engine(settings.REDIS_URL)


def open_counters(organization_id: int, counted: Sequence[Counted], now: datetime) -> None:
    """Makes the counters and loads them from the ledger; their holds are counted anew."""
    opened = engine().open(organization_id, [(each.name, forgotten_at(each.window)) for each in counted])
    engine().client.sadd(ORGANIZATIONS, organization_id)
    with organization_scope(organization_id):
        sums = read_sums(organization_id, counted)
        made = sum(each.made for each in opened)
        # A new window is nothing to speak of; one that usage was counted in before has been lost.
        lost = sum(each.made and one.version > 0 for each, one in zip(opened, sums, strict=True))
        if lost:
            CounterCheck.objects.create(organization_id=organization_id, at=now, rebuilt=lost)
    engine().settle(organization_id, sums, [])
    log.info("%d counters of organization %s were made", made, organization_id)


def read_sums(organization_id: int, counted: Sequence[Counted]) -> list[Settled]:
    """What the ledger says of each, provisional charges included. Call inside the organization's scope."""
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT asked.place, coalesce(sum(entry.spent), 0), coalesce(sum(entry.tokens), 0),"
            " coalesce(sum(entry.requests), 0), coalesce(sum(entry.provisional), 0), coalesce(sum(entry.version), 0)"
            " FROM unnest(%(budgets)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])"
            " WITH ORDINALITY AS asked (budget_id, starts, ends, place)"
            " LEFT JOIN budgets_ledgerentry AS entry ON entry.organization_id = %(organization)s"
            " AND entry.budget_id = asked.budget_id AND entry.period_start >= asked.starts"
            " AND entry.period_start < asked.ends GROUP BY asked.place ORDER BY asked.place",
            {
                "organization": organization_id,
                "budgets": [each.budget.id for each in counted],
                "starts": [each.window.start for each in counted],
                "ends": [each.window.end for each in counted],
            },
        )
        return [
            Settled(each.name, int(sums[_UNITS.index(each.budget.unit)] + sums[3]), int(sums[4]))
            for each, (_, *sums) in zip(counted, cursor.fetchall(), strict=True)
        ]


_UNITS = (Unit.COST, Unit.TOKENS, Unit.REQUESTS)


def bring_in(
    organization_id: int, now: datetime, endings: Sequence[Ending] = (), *, state: str = "committed"
) -> list[Ended]:
    """After a commit: what the ledger says since the last time, and the holds that this ends, in one step.

    Without Redis nothing happens, and the holds count until their leases end: what was settled is found then.
    """
    if _outage.rests:
        return [Ended({}, "") for _ in endings]
    try:
        ended = _bring_in(organization_id, now, endings, state)
    except redis.RedisError as error:
        _outage.failed()
        log.warning(
            "Redis does not answer; counters of organization %s are brought up later: %s", organization_id, error
        )
        return [Ended({}, "") for _ in endings]
    _outage.over()
    return ended


def _bring_in(organization_id: int, now: datetime, endings: Sequence[Ending], state: str) -> list[Ended]:
    client, prefix = engine().client, prefix_of(organization_id)
    cursor = client.get(f"{prefix}cursor")
    if not endings and not client.exists(f"{prefix}counters"):
        return []
    if cursor is None:
        # Whoever made the counters may have died before the sweep could know of the organization.
        client.sadd(ORGANIZATIONS, organization_id)
    with organization_scope(organization_id):
        # Read first: what commits after this is left to the one who committed it, and not passed over.
        latest = _latest_version(organization_id)
        if cursor is None:
            counted = _named(organization_id, engine().counters(organization_id))
        else:
            counted = _changed(organization_id, int(cursor), now)
        sums = read_sums(organization_id, counted) if counted else []
    while len(sums) > CHUNK:
        engine().settle(organization_id, sums[:CHUNK], [])
        sums = sums[CHUNK:]
    ended = engine().settle(organization_id, sums, endings, state=state)
    client.set(f"{prefix}cursor", latest)
    return ended


def _latest_version(organization_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(version), 0) FROM budgets_ledgerentry WHERE organization_id = %s", [organization_id]
        )
        (latest,) = cursor.fetchone()
        return int(latest)


def _changed(organization_id: int, version: int, now: datetime) -> list[Counted]:
    """The windows that hold an entry of a later version; of rolling ones the one that counts now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT budget_id, period_start, period_end FROM budgets_ledgerentry"
            " WHERE organization_id = %s AND version > %s",
            [organization_id, version],
        )
        entries = cursor.fetchall()
    budgets = Budget.objects.filter(organization_id=organization_id).in_bulk({entry[0] for entry in entries})
    found = {
        Counted(budget, window_of(budget).at(now) if budget.period == ROLLING else Period(start, end))
        for budget_id, start, end in entries
        for budget in (budgets[budget_id],)
    }
    return sorted(found, key=lambda each: each.name)


def _named(organization_id: int, names: Sequence[str]) -> list[Counted]:
    """The counters of these names, as far as their budgets are there."""
    parts = [(int(budget_id), int(start)) for budget_id, _, start in (name.partition(".") for name in names)]
    budgets = Budget.objects.filter(organization_id=organization_id).in_bulk({budget_id for budget_id, _ in parts})
    return [
        Counted(budgets[budget_id], _window_from(budgets[budget_id], datetime.fromtimestamp(start, UTC)))
        for budget_id, start in parts
        if budget_id in budgets
    ]


def _window_from(budget: Budget, start: datetime) -> Period:
    """The window that begins then. Noon of its last day lies in it, whatever clocks do."""
    days = (budget.rolling_days or 1) - 1 if budget.period == ROLLING else 0
    return window_of(budget).at(start + timedelta(days=days, hours=12 if days else 0))


def check(organization_id: int, now: datetime) -> int:
    """Brings every counter up to the ledger, compares it with that and with its holds, and puts right what differs; how
    many did."""
    bring_in(organization_id, now)
    names = engine().counters(organization_id)
    standings = engine().standing(organization_id, names)
    engine().forget(organization_id, [name for name, kept in zip(names, standings, strict=True) if kept is None])
    # One that is being loaded is right, and the next check's.
    names = [name for name, kept in zip(names, standings, strict=True) if kept is not None]
    off: list[int] = []
    with organization_scope(organization_id):
        for at in range(0, len(names), CHUNK):
            off += _put_right(organization_id, _named(organization_id, names[at : at + CHUNK]))
        drifted = [difference for difference in off if difference]
        if drifted:
            CounterCheck.objects.create(
                organization_id=organization_id, at=now, drifted=len(drifted), largest=max(drifted)
            )
    return len(drifted)


def _put_right(organization_id: int, counted: Sequence[Counted]) -> list[int]:
    """By how much each counter was off: in what is held, and in what it says of the same version of the ledger."""
    names = [each.name for each in counted]
    opened = engine().open(organization_id, [(each.name, forgotten_at(each.window)) for each in counted])
    before = engine().standing(organization_id, names)
    sums = read_sums(organization_id, counted) if counted else []
    wrong = [_difference(one, kept) for one, kept in zip(sums, before, strict=True)]
    doubted = [each for each, difference in zip(counted, wrong, strict=True) if difference]
    engine().doubt(organization_id, [each.name for each in doubted])
    # Read again after that: what is settled from then on reaches them, and what was before is in these sums.
    engine().settle(organization_id, [*sums, *read_sums(organization_id, doubted)] if doubted else sums, [])
    return [max(abs(one.before - one.after), difference) for one, difference in zip(opened, wrong, strict=True)]


def _difference(ledger: Settled, kept: Standing | None) -> int:
    """By how much the counter is off, when it is not just behind. The ledger was read later, so a counter that is ahead
    of it counts what a restored database has forgotten: that is off by 1 at least, or it would take in nothing more."""
    if kept is None or kept.version < ledger.version:
        return 0
    return max(abs(ledger.amount - kept.settled), int(kept.version > ledger.version))
