"""Abandoned authorizations: what nobody committed or released before its lease ended is charged, and its hold ends."""

from datetime import datetime

from budgets.reservations.charges import abandon
from budgets.reservations.counts import Outcome, counts
from budgets.reservations.engine import Ending
from budgets.reservations.settled import ORGANIZATIONS, bring_in, check, engine
from tenants.access import organization_scope

# The run of Redis in which all counters were compared last.
RUN = "budget:run"


def authorizing_organizations() -> list[int]:
    """Every organization that anything was authorized for. RedisError when Redis does not answer."""
    return sorted(map(int, engine().client.smembers(ORGANIZATIONS)))


def sweep(now: datetime) -> int:
    """Charges what was abandoned, in every organization; how many authorizations."""
    _check_after_a_restart(now)
    return sum(sweep_organization(organization_id, now) for organization_id in authorizing_organizations())


def _check_after_a_restart(now: datetime) -> None:
    """A Redis that was started again may have lost the latest of what it knew, and nothing else would bring that in
    before the next usage or the next check of all counters."""
    client = engine().client
    run = str(client.info("server").get("run_id", ""))
    if client.get(RUN) != run:
        check_all(now)
        client.set(RUN, run)


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
    return sum(check(organization_id, now) for organization_id in authorizing_organizations())
