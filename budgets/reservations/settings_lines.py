"""Reads for the page of call limits: what is set, on whom, and what to be careful about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from budgets.reservations.ladder import EMPTY_LIST, step_cautions
from budgets.reservations.models import Grantee, LadderStep, ModelAllowance, RateLimit
from pricing.selectors import priced_names
from tenants.models import Team, VirtualKey
from tenants.selectors import team_parents
from tenants.tree import ancestor_ids

# Names of a list that the page shows before it folds the rest away.
SHOWN_NAMES = 12

AnyGrantee = TypeVar("AnyGrantee", RateLimit, ModelAllowance)


@dataclass(frozen=True, slots=True)
class Line:
    """A setting, whose it is and what to be careful about."""

    setting: Any
    owner: str = ""
    # What `owner` is: a team, or a key of which team.
    kind: str = ""
    cautions: Sequence[str] = ()

    @property
    def first_names(self) -> Sequence[str]:
        return list(self.setting.names[:SHOWN_NAMES])

    @property
    def more_names(self) -> Sequence[str]:
        return list(self.setting.names[SHOWN_NAMES:])


@dataclass(frozen=True, slots=True)
class CallLimits:
    rates: list[Line]
    allowances: list[Line]
    steps: list[Line]


def call_limits(organization_id: int, *, about: Team | VirtualKey | None, now: datetime) -> CallLimits:
    """All that is set, teams first; `about` leaves what holds for the calls of that key or team. The ladder holds for
    everybody."""
    lists = _with_owners(ModelAllowance.objects.filter(organization_id=organization_id))
    bearing = _bearing(organization_id, about)
    allowances = _with_owners(ModelAllowance.objects.filter(bearing, organization_id=organization_id))
    return CallLimits(
        rates=[_line(row) for row in _with_owners(RateLimit.objects.filter(bearing, organization_id=organization_id))],
        allowances=[_line(row, [] if row.names else [EMPTY_LIST]) for row in allowances],
        steps=_steps(organization_id, [(owner_of(row), row.names) for row in lists], now),
    )


def owner_of(row: Grantee) -> str:
    return str((row.team or row.virtual_key).name)


def _bearing(organization_id: int, about: Team | VirtualKey | None) -> Q:
    if about is None:
        return Q()
    team_id, own = (about.id, Q()) if isinstance(about, Team) else (about.team_id, Q(virtual_key_id=about.id))
    return own | Q(team_id__in=ancestor_ids(team_parents(organization_id), team_id))


def _with_owners(rows: QuerySet[AnyGrantee]) -> list[AnyGrantee]:
    found = rows.select_related("team", "virtual_key__team")
    return sorted(found, key=lambda row: (row.team_id is None, owner_of(row).lower(), row.id))


def _line(row: Grantee, cautions: Sequence[str] = ()) -> Line:
    key = row.virtual_key
    if key is None:
        return Line(row, owner_of(row), "Team, with all below it", cautions)
    return Line(row, owner_of(row), f"{'Revoked key' if key.revoked_at else 'Key'} of {key.team.name}", cautions)


def _steps(organization_id: int, lists: Sequence[tuple[str, Sequence[str]]], now: datetime) -> list[Line]:
    steps = list(LadderStep.objects.filter(organization_id=organization_id).order_by("from_model"))
    names = {name for step in steps for name in (step.from_model, step.to_model)}
    priced = priced_names(organization_id, names, now) if names else frozenset()
    return [
        Line(step, cautions=step_cautions(step.from_model, step.to_model, lists=lists, priced=priced))
        for step in steps
    ]  # fmt: skip
