"""A cost review: what was spent in a week or month, against the one before, and why. Reads; nano-USD."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from analytics.cost_drivers import Amounts, Drivers, Pair, drivers
from analytics.names import Directory, directory
from analytics.review_periods import ReviewPeriod
from budgets.selectors import BudgetState, Status, budget_states
from common.display import count
from tenants.models import Organization
from usage.questions import Dimension
from usage.selectors import Spend, SpendQuery, spend

TOP = 5
# (words, tone) of the budgets that a review names.
AT_RISK = {
    Status.OVER: ("Over the limit", "bad"),
    Status.NEAR: ("Nearly spent", "warn"),
    Status.AHEAD: ("Ahead of pace", "warn"),
}
DRIVER_WORDS = {
    "volume": "Volume: more or fewer requests",
    "tokens": "Tokens per request: longer or shorter calls",
    "mix": "Mix: dearer or cheaper models",
    "price": "Price: the same models at other prices",
    "other": "Fees and corrections",
}
_GROUP = (Dimension.TEAM, Dimension.PROVIDER, Dimension.MODEL)
Kind = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A part of the bill in both periods, and why it changed."""

    name: str
    now: int
    before: int
    requests: int
    why: Drivers
    team_id: int | None = None
    depth: int = 0

    @property
    def change(self) -> int:
        return self.now - self.before

    @property
    def because(self) -> str:
        """The biggest reason in a few words; "" when nothing changed."""
        if self.change and not (self.now and self.before):
            return "New" if self.now else "No longer used"
        return DRIVER_WORDS[self.why.biggest].partition(":")[0] if self.why.biggest else ""


@dataclass(frozen=True, slots=True)
class Review:
    """`total` is the organization's or a team's with everything below it; teams are those right under that."""

    period: ReviewPeriod
    total: Figure
    unpriced_requests: int
    teams: Sequence[Figure]
    models: Sequence[Figure]
    budgets: Sequence[BudgetState]

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """(words, nano-USD) of every part of the change; the last one only where there is something to it."""
        why = self.total.why
        parts = [(DRIVER_WORDS[name], getattr(why, name)) for name in DRIVER_WORDS]
        return parts if why.other else parts[:-1]

    @property
    def risks(self) -> list[tuple[BudgetState, str, str]]:
        """(budget, words, tone)"""
        return [(state, *AT_RISK[state.status]) for state in self.budgets]

    @property
    def unpriced_words(self) -> str:
        """What the bill leaves out; "" where it has everything."""
        if not self.unpriced_requests:
            return ""
        return f"{count(self.unpriced_requests)} requests have no price yet: the true spend is higher."


def review(organization: Organization, period: ReviewPeriod, *, now: datetime, team_id: int | None = None) -> Review:
    """The review of the organization or, with `team_id`, of a team and everything below it."""
    names = directory(organization)
    now_rows, before_rows = (_rows(organization.id, each, names, team_id) for each in (period, period.previous))
    kinds = {
        kind: Pair(_amounts(before_rows.get(kind)), _amounts(now_rows.get(kind)))
        for kind in sorted({*now_rows, *before_rows})
    }
    title = organization.name if team_id is None else names.team(team_id)
    return Review(
        period=period,
        total=_figure(title, kinds.values(), team_id=team_id),
        unpriced_requests=sum(row.unpriced_requests for row in now_rows.values()),
        teams=_teams(kinds, names, team_id),
        models=_models(kinds),
        budgets=_at_risk(organization.id, names, team_id, now),
    )


def _rows(organization_id: int, period: ReviewPeriod, names: Directory, team_id: int | None) -> dict[Kind, Spend]:
    filters: dict[str, list[str]] = {}
    if team_id is not None:
        filters = {Dimension.TEAM: [str(each) for each in sorted(names.below(team_id))]}
    whole = period.whole
    query = SpendQuery(
        organization_id, whole.start, whole.end, zone=period.zone, group_by=_GROUP, filters=filters, home=period.zone
    )
    found = {}
    for row in spend(query):
        team, provider, model = row.group.values()
        found[int(team), provider, model] = row.spend
    return found


def _amounts(sums: Spend | None) -> Amounts:
    """Usage without a price is no part of a bill: where nothing of a kind is priced, its tokens do not count."""
    if sums is None:
        return Amounts()
    priced = sums.requests - sums.unpriced_requests
    if sums.requests and not priced:
        return Amounts(cost=sums.cost)
    return Amounts(sums.cost, priced, sums.input_tokens + sums.output_tokens)


def _figure(name: str, pairs: Iterable[Pair], *, team_id: int | None = None) -> Figure:
    pairs = list(pairs)
    return Figure(
        name=name,
        now=sum(pair.now.cost for pair in pairs),
        before=sum(pair.before.cost for pair in pairs),
        requests=sum(pair.now.requests for pair in pairs),
        why=drivers(pairs),
        team_id=team_id,
    )


def _grouped(kinds: Mapping[Kind, Pair], group_of: Callable[[Kind], object]) -> dict[object, list[Pair]]:
    groups: dict[object, list[Pair]] = {}
    for kind, pair in kinds.items():
        groups.setdefault(group_of(kind), []).append(pair)
    return groups


def _teams(kinds: Mapping[Kind, Pair], names: Directory, top: int | None) -> list[Figure]:
    """The teams right under `top`, each with all below it, the dearest first; `top`'s own usage under its name."""
    figures = [
        _figure(names.team(branch), pairs, team_id=branch)
        for branch, pairs in _grouped(kinds, lambda kind: names.branch_of(kind[0], top)).items()
        if isinstance(branch, int)
    ]
    return sorted(figures, key=lambda each: (-each.now, -each.before, each.name))


def _models(kinds: Mapping[Kind, Pair]) -> list[Figure]:
    """The models whose cost changed most, up or down."""
    figures = [
        _figure(str(model) or "(no model)", pairs) for model, pairs in _grouped(kinds, lambda kind: kind[2]).items()
    ]
    moved = [figure for figure in figures if figure.change]
    return sorted(moved, key=lambda each: (-abs(each.change), each.name))[:TOP]


def _at_risk(organization_id: int, names: Directory, team_id: int | None, now: datetime) -> list[BudgetState]:
    """Budgets that are passed, nearly spent, or spent faster than their period passes, as they stand now."""
    states = [state for state in budget_states(organization_id, now) if state.status in AT_RISK]
    if team_id is None:
        return states
    below = names.below(team_id)
    return [
        state
        for state in states
        if state.budget.team_id in below
        or (state.budget.virtual_key is not None and state.budget.virtual_key.team_id in below)
    ]
