"""Who decides on a request for more: by role, place in the tree, amount, and whose request it is."""

import pytest

from budgets.approvals.rule import Asked, Person, Policy, Verdict, verdict, whom_to_ask
from budgets.models import Unit
from tenants.roles import Role

# 1 holds 2, which holds 3; 4 stands beside 1.
PARENTS = {1: None, 2: 1, 3: 2, 4: None}
ASKER, OTHER = 7, 8
LIMIT = 1_000
SHARE, AMOUNT, NOTHING = Policy(manager_percent=20), Policy(manager_amount=150), Policy()


def asked(amount: int = 100, *, team: int | None = 3, unit: str = Unit.COST, added: int = 0) -> Asked:
    return Asked(amount=amount, limit=LIMIT, unit=unit, team_id=team, user_id=ASKER, added=added)


def manager(*teams: int, user: int = OTHER) -> Person:
    return Person(user, Role.MANAGER, teams)


@pytest.mark.parametrize(
    ("person", "request_", "policy", "expected"),
    [
        # Owners, admins and finance: any amount, any place.
        (Person(OTHER, Role.OWNER), asked(10**15, team=None), NOTHING, Verdict.YES),
        (Person(OTHER, Role.ADMIN), asked(10**15, team=None), NOTHING, Verdict.YES),
        (Person(OTHER, Role.FINANCE), asked(10**15, team=None), NOTHING, Verdict.YES),
        (Person(OTHER, Role.VIEWER), asked(1), SHARE, Verdict.ROLE),
        # One's own: owners only.
        (Person(ASKER, Role.OWNER), asked(), SHARE, Verdict.YES),
        (Person(ASKER, Role.ADMIN), asked(), SHARE, Verdict.OWN),
        (Person(ASKER, Role.FINANCE), asked(), SHARE, Verdict.OWN),
        (manager(3, user=ASKER), asked(), SHARE, Verdict.OWN),
        # Managers: of the team, of one above it, of none of these.
        (manager(3), asked(), SHARE, Verdict.YES),
        (manager(1), asked(), SHARE, Verdict.YES),
        (manager(4), asked(), SHARE, Verdict.OTHER_TEAM),
        (manager(3), asked(team=2), SHARE, Verdict.OTHER_TEAM),
        (manager(4, 2), asked(), SHARE, Verdict.YES),
        (manager(), asked(), SHARE, Verdict.OTHER_TEAM),
        (manager(1, 4), asked(team=None), SHARE, Verdict.NO_TEAM),
        # Up to the policy and not one more; what managers added of late counts.
        (manager(3), asked(200), SHARE, Verdict.YES),
        (manager(3), asked(201), SHARE, Verdict.TOO_MUCH),
        (manager(3), asked(100, added=100), SHARE, Verdict.YES),
        (manager(3), asked(100, added=101), SHARE, Verdict.TOO_MUCH),
        (manager(3), asked(150), AMOUNT, Verdict.YES),
        (manager(3), asked(151), AMOUNT, Verdict.TOO_MUCH),
        (manager(3), asked(1), NOTHING, Verdict.TOO_MUCH),
        # An amount of money says nothing of tokens; a share does.
        (manager(3), asked(1, unit=Unit.TOKENS), AMOUNT, Verdict.TOO_MUCH),
        (manager(3), asked(200, unit=Unit.TOKENS), SHARE, Verdict.YES),
        # A team that is gone from the tree has nobody above it.
        (manager(1), asked(team=99), SHARE, Verdict.OTHER_TEAM),
    ],
)
def test_who_may_decide(person: Person, request_: Asked, policy: Policy, expected: Verdict) -> None:
    assert verdict(person, request_, policy, PARENTS) is expected


BOSS, FINANCE, VIEWER = Person(20, Role.OWNER), Person(21, Role.FINANCE), Person(22, Role.VIEWER)
NEAR, FAR, BESIDE = manager(3, user=30), manager(1, user=31), manager(4, user=32)
EVERYBODY = [VIEWER, BOSS, FAR, FINANCE, BESIDE, NEAR]


@pytest.mark.parametrize(
    ("people", "request_", "expected"),
    [
        (EVERYBODY, asked(), [NEAR]),
        (EVERYBODY, asked(team=2), [FAR]),
        ([VIEWER, BOSS, FAR, FINANCE], asked(), [FAR]),
        (EVERYBODY, asked(201), [BOSS, FINANCE]),
        (EVERYBODY, asked(team=None), [BOSS, FINANCE]),
        ([*EVERYBODY, manager(3, 1, user=ASKER)], asked(), [NEAR]),
        ([Person(ASKER, Role.FINANCE), BOSS], asked(), [BOSS]),
        ([Person(ASKER, Role.OWNER)], asked(), [Person(ASKER, Role.OWNER)]),
        ([VIEWER], asked(), []),
    ],
)
def test_who_is_asked(people: list[Person], request_: Asked, expected: list[Person]) -> None:
    assert whom_to_ask(people, request_, SHARE, PARENTS) == expected
