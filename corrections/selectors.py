"""Reads of repricings, in words that pages and answers share. Inside the organization's scope."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from budgets.models import Budget
from common.money import NANO
from corrections.models import RepriceRun, RunState
from tenants.models import Team

TONES = {
    RunState.PREVIEWED: "warn",
    RunState.APPLIED: "good",
    RunState.FAILED: "bad",
    RunState.PREVIEWING: "info",
    RunState.APPLYING: "info",
    RunState.UNDOING: "info",
}
MOST_PARTS = 20


@dataclass(frozen=True, slots=True)
class Part:
    """What a preview finds about one team or model; nano-USD."""

    name: str
    events: int
    list_cost: int
    cost: int


@dataclass(frozen=True, slots=True)
class FlippedBudget:
    """Amounts in nano-USD; thresholds in percent of the limit, 0: none."""

    budget: Budget
    period_start: datetime
    spent: int
    would_be: int
    threshold: int
    would_reach: int


def runs_of(organization_id: int) -> QuerySet[RepriceRun]:
    """Newest first."""
    return RepriceRun.objects.filter(organization_id=organization_id).order_by("-id")


def team_parts(run: RepriceRun) -> list[Part]:
    """By team, the largest difference first."""
    names = dict(Team.objects.filter(organization_id=run.organization_id).values_list("id", "name"))
    return _parts((names.get(int(team), team), sums) for team, sums in run.by_team.items())


def model_parts(run: RepriceRun) -> list[Part]:
    return _parts(run.by_model.items())


def _parts(named: Iterable[tuple[str, list[int]]]) -> list[Part]:
    parts = [Part(name, *sums) for name, sums in named]
    return sorted(parts, key=lambda part: (-abs(part.cost), part.name))[:MOST_PARTS]


def flipped_budgets(run: RepriceRun) -> list[FlippedBudget]:
    """The budgets whose thresholds the preview would cross, either way."""
    ids = [int(flip["budget"]) for flip in run.flips]
    budgets = Budget.objects.with_scope().in_bulk(ids) if ids else {}
    return [
        FlippedBudget(
            budgets[int(flip["budget"])],
            datetime.fromisoformat(flip["period_start"]),
            _nano(flip["spent"]),
            _nano(flip["would_be"]),
            flip["threshold"],
            flip["would_reach"],
        )
        for flip in run.flips
        if int(flip["budget"]) in budgets
    ]


def _nano(usd: str) -> int:
    return int(Decimal(usd) * NANO)
