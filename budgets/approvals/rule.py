"""Who decides on a request for more, by its amount and its place in the tree of teams. Pure.

- Managers of the budget's team, or of a team above it, decide up to what the organization's policy lets managers add
  to one budget within `MANAGER_DAYS`, so that many small requests are as much as one large one.
- Owners, admins and finance decide on every request; for budgets of the whole organization nobody else does.
- Nobody decides on a request of their own, unless they are an owner: there is nobody above an owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from budgets.models import Unit
from tenants.roles import Permission, Role, may
from tenants.tree import Parents, ancestor_ids

MANAGER_DAYS = 30


@dataclass(frozen=True, slots=True)
class Policy:
    """What managers may add: nano-USD to budgets in cost, or percent of the limit to any; neither: nothing."""

    manager_amount: int | None = None
    manager_percent: int | None = None

    def most(self, *, unit: str, limit: int) -> int:
        """The most that managers may add to a budget of this unit and limit, in its unit."""
        if self.manager_percent is not None:
            return limit * self.manager_percent // 100
        return self.manager_amount or 0 if unit == Unit.COST else 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, in the budget's unit. `limit` is the limit itself, without what was added for a while."""

    amount: int
    limit: int
    unit: str
    # The team that the budget, or its key, belongs to; None: the whole organization.
    team_id: int | None
    # None: a virtual key or an access token asks.
    user_id: int | None
    # What managers have added to the budget in the last MANAGER_DAYS.
    added: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """A member; `team_ids` are the teams a manager looks after."""

    user_id: int
    role: Role
    team_ids: Sequence[int] = ()


class Verdict(StrEnum):
    """Whether somebody may decide, and if not why, in words for that person."""

    YES = ""
    OWN = "Nobody but an owner decides on a request of their own."
    ROLE = "Owners, admins, finance and the team's managers decide on this."
    NO_TEAM = "A budget of the whole organization is for owners, admins and finance."
    OTHER_TEAM = "This budget is of a team that you do not manage."
    TOO_MUCH = "This is more than managers may approve here; owners, admins and finance may."


def verdict(person: Person, asked: Asked, policy: Policy, parents: Parents) -> Verdict:
    """Whether the person may decide, either way: whoever may not approve does not deny."""
    if person.user_id == asked.user_id and person.role is not Role.OWNER:
        return Verdict.OWN
    if may(person.role, Permission.EDIT_BUDGETS):
        return Verdict.YES
    if person.role is not Role.MANAGER:
        return Verdict.ROLE
    if asked.team_id is None:
        return Verdict.NO_TEAM
    if not set(person.team_ids) & set(ancestor_ids(parents, asked.team_id)):
        return Verdict.OTHER_TEAM
    if asked.amount + asked.added > policy.most(unit=asked.unit, limit=asked.limit):
        return Verdict.TOO_MUCH
    return Verdict.YES


def whom_to_ask(people: Sequence[Person], asked: Asked, policy: Policy, parents: Parents) -> list[Person]:
    """Of those who may decide: the managers nearest to the budget in the tree, or else owners, admins and finance."""
    able = [person for person in people if verdict(person, asked, policy, parents) is Verdict.YES]
    managers = [person for person in able if person.role is Role.MANAGER]
    upwards = ancestor_ids(parents, asked.team_id) if asked.team_id is not None else ()
    for team_id in upwards:
        nearest = [person for person in managers if team_id in person.team_ids]
        if nearest:
            return nearest
    return [person for person in able if person.role is not Role.MANAGER]
