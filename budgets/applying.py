"""Which budgets a call counts in."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Exists, F, Q

from budgets.models import VALUE_SCOPES, Budget, Scope
from budgets.windows import TOTAL, Window
from common.db import AnyOf
from common.periods import Period, PeriodKind
from tenants.models import Organization
from tenants.selectors import team_parents
from tenants.tree import Parents, ancestor_ids, subtree_ids
from usage.dimensions import TAG_PREFIX
from usage.questions import Dimension
from usage.scopes import UsageScope
from usage.watched import Watched

# Scope type, team or key, name of the tag, value: what a budget is found by.
_Place = tuple[str, int | None, str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose call, and of what. `model` and `provider` are canonical; an empty label is one that the call has not."""

    team_id: int
    virtual_key_id: int
    model: str = ""
    provider: str = ""
    customer: str = ""
    feature: str = ""
    agent: str = ""
    user: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def named(self) -> Iterator[tuple[Scope, str, str]]:
        """(scope, name of the tag, value) of every word that a budget could be set on."""
        labels = {
            Scope.CUSTOMER: self.customer,
            Scope.FEATURE: self.feature,
            Scope.AGENT: self.agent,
            Scope.USER: self.user,
            Scope.MODEL: self.model,
        }
        yield from ((scope, "", value) for scope, value in labels.items() if value)
        yield from ((Scope.TAG, name, value) for name, value in self.tags.items() if value)


@dataclass(frozen=True, slots=True)
class Calls:
    """What the budgets of some calls are looked up by: their teams, their keys, the values they name, and of tags the
    names beside the values. Whichever call named what."""

    teams: Collection[int]
    keys: Collection[int]
    values: Mapping[Scope, Collection[str]]
    tag_names: Collection[str] = ()

    @classmethod
    def of(cls, subject: Subject, scopes: Collection[Scope] = VALUE_SCOPES) -> "Calls":
        """Of one call; of what it names only what is of these scopes."""
        values: dict[Scope, list[str]] = defaultdict(list)
        for scope, _, value in subject.named():
            if scope in scopes:
                values[scope].append(value)
        return cls([subject.team_id], [subject.virtual_key_id], values, list(subject.tags))


class Applying:
    """Budgets by what they apply to. Finding those of a call costs the same however many there are."""

    def __init__(self, budgets: Iterable[Budget], parents: Parents) -> None:
        self.by_id = {budget.id: budget for budget in budgets}
        self._parents = parents
        self._at: dict[_Place, list[Budget]] = defaultdict(list)
        for budget in sorted(self.by_id.values(), key=lambda budget: (budget.name, budget.id)):
            self._at[_place(budget)].append(budget)
        self.watched = _watched(self.by_id.values())

    @classmethod
    def of_organization(cls, organization_id: int) -> "Applying":
        """All budgets in force, with the objects that they name. Call inside the organization's scope."""
        budgets = Budget.objects.in_force().with_scope().filter(organization_id=organization_id)
        return cls(budgets, team_parents(organization_id))

    @classmethod
    def of_ids(cls, organization_id: int, ids: Collection[int]) -> "Applying":
        """Those of these budgets that are in force. Call inside the organization's scope."""
        budgets = Budget.objects.in_force().with_scope().filter(organization_id=organization_id, id__in=ids)
        return cls(budgets, team_parents(organization_id))

    @classmethod
    def to_calls(cls, organization_id: int, calls: Calls, parents: Parents | None = None) -> "Applying":
        """Those in force that any of the calls may count in, read by what the calls name: at the same cost however many
        budgets there are. Call inside the organization's scope, with its teams where they are known."""
        parents = team_parents(organization_id) if parents is None else parents
        teams = {above for team_id in calls.teams for above in ancestor_ids(parents, team_id)}
        places = Q(scope_type=Scope.ORGANIZATION) | Q(scope_type=Scope.TEAM, team_id__in=teams)
        places |= Q(scope_type=Scope.VIRTUAL_KEY, virtual_key_id__in=calls.keys)
        for scope, values in calls.values.items():
            tagged = [AnyOf(F("tag_name"), calls.tag_names)] if scope == Scope.TAG else []
            places |= Q(*tagged, AnyOf(F("value"), values), scope_type=scope)
        return cls(Budget.objects.in_force().with_scope().filter(places, organization_id=organization_id), parents)

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def of(self, subject: Subject) -> list[Budget]:
        """Every budget in force that the call counts in, the widest first: a team's usage counts in those above it."""
        places = self._places(subject)
        return [budget for place in places if place in self._at for budget in self._at[place]]

    def _places(self, subject: Subject) -> Iterator[_Place]:
        downwards = ancestor_ids(self._parents, subject.team_id)[::-1]
        yield Scope.ORGANIZATION.value, None, "", ""
        yield from ((Scope.TEAM.value, team_id, "", "") for team_id in downwards)
        yield Scope.VIRTUAL_KEY.value, subject.virtual_key_id, "", ""
        if self.watched:
            for scope, tag_name, value in subject.named():
                yield from ((scope.value, team_id, tag_name, value) for team_id in (None, *downwards))


def budgets_applying(organization_id: int, subject: Subject) -> list[Budget]:
    """The budgets in force that a call counts in, the widest first. Call inside the organization's scope."""
    return Applying.to_calls(organization_id, Calls.of(subject)).of(subject)


def scopes_in_use(organization_id: int) -> frozenset[Scope]:
    """The value scopes that some budget in force is set on: what else calls name need not be looked up."""
    budgets = Budget.objects.in_force().filter(organization_id=organization_id)
    asked = [Exists(budgets.filter(scope_type=scope)) for scope in VALUE_SCOPES]
    (found,) = Organization.objects.filter(id=organization_id).values_list(*asked)
    return frozenset(scope for scope, used in zip(VALUE_SCOPES, found, strict=True) if used)


def _watched(budgets: Iterable[Budget]) -> Watched:
    values: dict[str, set[str]] = defaultdict(set)
    for budget in budgets:
        if budget.scope_type in VALUE_SCOPES and budget.scope_type != Scope.TAG:
            values[str(budget.scope_type)].add(budget.value)
    return Watched(
        {name: frozenset(found) for name, found in values.items()},
        frozenset((budget.tag_name, budget.value) for budget in budgets if budget.scope_type == Scope.TAG),
    )


def _place(budget: Budget) -> _Place:
    return budget.scope_type, budget.team_id or budget.virtual_key_id, budget.tag_name, budget.value


def window_of(budget: Budget) -> Window:
    """When the budget's usage counts."""
    return Window(
        kind=budget.period,
        zone=budget.zone,
        week_start=budget.first_weekday,
        fiscal_start=budget.fiscal_year_start_month,
        days=budget.rolling_days or 0,
    )


def usage_scope(budget: Budget) -> UsageScope:
    """The usage that counts in the budget, whenever it was."""
    by_value = budget.scope_type in VALUE_SCOPES
    return UsageScope(
        organization_id=budget.organization_id,
        team_id=budget.team_id,
        virtual_key_id=budget.virtual_key_id,
        dimension=budget.scope_type if by_value else "",
        value=budget.value,
        tag_name=budget.tag_name,
    )


def first_counted(budget: Budget, now: datetime) -> datetime:
    """The first instant that a budget made now counts: the start of its window, or without one of its first day."""
    window = window_of(budget)
    return replace(window, kind=PeriodKind.DAY.value).at(now).start if window.kind == TOTAL else window.at(now).start


def counted(budget: Budget, slot: Period) -> Period:
    """The part of a slot from which on usage counts in the budget."""
    return Period(max(slot.start, budget.counts_from), slot.end)


def filters_of(budget: Budget) -> dict[str, list[str]]:
    """The dimensions of spend that the budget's scope picks, with the values it picks of each."""
    filters: dict[str, list[str]] = {}
    if budget.team_id is not None:
        below = subtree_ids(team_parents(budget.organization_id), [budget.team_id])
        filters[Dimension.TEAM] = [str(team_id) for team_id in sorted(below)]
    if budget.virtual_key_id is not None:
        filters[Dimension.VIRTUAL_KEY] = [str(budget.virtual_key_id)]
    if budget.scope_type in VALUE_SCOPES:
        name = f"{TAG_PREFIX}{budget.tag_name}" if budget.scope_type == Scope.TAG else budget.scope_type
        filters[name] = [budget.value]
    return filters
