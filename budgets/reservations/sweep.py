"""Abandoned authorizations: what nobody committed or released before its lease ended is charged, and its hold ends."""

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import DatabaseError

from budgets.reservations.charges import abandon
from budgets.reservations.counts import Outcome, counts
from budgets.reservations.engine import Ending
from budgets.reservations.settled import ORGANIZATIONS, bring_in, check, engine
from tenants.access import organization_scope
from tenants.models import Organization

# The run of Redis in which all counters were compared last.
RUN = "budget:run"
CHECKING_S = 15

log = logging.getLogger(__name__)


def authorizing_organizations() -> list[int]:
    """Every organization that anything was authorized for. RedisError when Redis does not answer."""
    return sorted(map(int, engine().client.smembers(ORGANIZATIONS)))


def sweep(now: datetime) -> int:
    """Charges what was abandoned, in every organization; how many authorizations."""
    charged = _of_each(sweep_organization, now)
    _check_after_a_restart(now)
    return charged


def _check_after_a_restart(now: datetime) -> None:
    """A Redis that was started again may have lost the latest of what it knew, and nothing else would bring that in
    before the next usage or the next check of all counters. One worker sees to it, and another should it die."""
    client = engine().client
    run = str(client.info("server").get("run_id", ""))
    claim = f"{RUN}:{run}"
    if client.get(RUN) != run and client.set(claim, "1", nx=True, ex=CHECKING_S):
        check_all(now)
        client.set(RUN, run)
        client.delete(claim)


def _of_each(step: Callable[[int, datetime], int], now: datetime) -> int:
    """The sum over organizations; what fails in one of them holds no other up."""
    done = 0
    for organization_id in authorizing_organizations():
        try:
            done += step(organization_id, now) if _is_there(organization_id) else 0
        except DatabaseError:
            log.exception("the counters of organization %s are left to the next time", organization_id)
    return done


def _is_there(organization_id: int) -> bool:
    """One that was deleted is asked for no more; its keys are left to their ends."""
    with organization_scope(organization_id):
        there = Organization.objects.filter(id=organization_id).exists()
    if not there:
        engine().client.srem(ORGANIZATIONS, organization_id)
    return there


def sweep_organization(organization_id: int, now: datetime) -> int:
    """The charge is committed before the hold ends, and found again when this dies in between. What cannot be ended now
    is left to the next sweep."""
    charged = 0
    while lapsed := engine().lapsed(organization_id):
        with organization_scope(organization_id):
            fresh = abandon(organization_id, lapsed, now)
            counts.note(organization_id, Outcome.ABANDONED, fresh)
        charged += fresh
        endings = [Ending(hold.reference, hold.owner) for hold in lapsed]
        if not any(ended.state for ended in bring_in(organization_id, now, endings, state="abandoned")):
            break
    return charged


def check_all(now: datetime) -> int:
    """Compares all counters with the ledger; how many were off."""
    return _of_each(check, now)
