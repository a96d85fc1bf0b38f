"""Which budgets a call counts in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from budgets.models import VALUE_SCOPES, Budget, Scope
from budgets.windows import Window
from tenants.selectors import team_parents
from tenants.tree import Parents, ancestor_ids

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


class Applying:
    """Budgets by what they apply to. Finding those of a call costs the same however many there are."""

    def __init__(self, budgets: Iterable[Budget], parents: Parents) -> None:
        self.by_id = {budget.id: budget for budget in budgets}
        self._parents = parents
        self._at: dict[_Place, list[Budget]] = defaultdict(list)
        for budget in sorted(self.by_id.values(), key=lambda budget: (budget.name, budget.id)):
            self._at[_place(budget)].append(budget)
        self.watches_values = any(budget.scope_type in VALUE_SCOPES for budget in self.by_id.values())

    @classmethod
    def of_organization(cls, organization_id: int) -> "Applying":
        """All budgets in force, with the objects that they name. Call inside the organization's scope."""
        budgets = Budget.objects.in_force().with_scope().filter(organization_id=organization_id)
        return cls(budgets, team_parents(organization_id))

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
        if self.watches_values:
            for scope, tag_name, value in subject.named():
                yield from ((scope.value, team_id, tag_name, value) for team_id in (None, *downwards))


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
