"""Abandoned authorizations: what nobody committed or released before its lease ended is charged, and its hold ends."""

from datetime import datetime

from budgets.reservations.charges import abandon
from budgets.reservations.counts import Outcome, counts
from budgets.reservations.engine import Ending
from budgets.reservations.settled import ORGANIZATIONS, bring_in, check, engine
from tenants.access import organization_scope


def authorizing_organizations() -> list[int]:
    """Every organization that anything was authorized for. RedisError when Redis does not answer."""
    return sorted(map(int, engine().client.smembers(ORGANIZATIONS)))


def sweep(now: datetime) -> int:
    """Charges what was abandoned, in every organization; how many authorizations."""
    return sum(sweep_organization(organization_id, now) for organization_id in authorizing_organizations())


def sweep_organization(organization_id: int, now: datetime) -> int:
    """The charge is committed before the hold ends, and found again when this dies in between."""
    charged = 0
    while lapsed := engine().lapsed(organization_id):
        with organization_scope(organization_id):
            fresh = abandon(organization_id, lapsed, now)
            counts.note(organization_id, Outcome.ABANDONED, fresh)
        bring_in(organization_id, now, [Ending(hold.reference, hold.owner) for hold in lapsed], state="abandoned")
        charged += fresh
    return charged


def check_all(now: datetime) -> int:
    """Compares all counters with the ledger; how many were off."""
    return sum(check(organization_id, now) for organization_id in authorizing_organizations())
