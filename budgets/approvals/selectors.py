"""Reads of requests for more and of who may decide on them. Each runs inside `organization_scope`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Sum

from budgets.approvals.rule import MANAGER_DAYS, Asked, Person, Policy, Verdict, verdict, whom_to_ask
from budgets.limits import base_at, limits_of
from budgets.models import ApprovalPolicy, Budget, IncreaseRequest, RequestState
from tenants.models import Membership
from tenants.roles import Role
from tenants.selectors import team_parents
from tenants.tree import Parents


def increase_requests(organization_id: int) -> QuerySet[IncreaseRequest]:
    """All requests with what their pages and answers name."""
    return IncreaseRequest.objects.filter(organization_id=organization_id).select_related(
        "user", "organization", "budget", "budget__organization", "budget__team", "budget__virtual_key"
    )


def open_requests(organization_id: int, now: datetime) -> QuerySet[IncreaseRequest]:
    """Those that wait for a decision, oldest first."""
    waiting = increase_requests(organization_id).filter(state=RequestState.PENDING, expires_at__gt=now)
    return waiting.filter(budget__archived_at__isnull=True).order_by("asked_at", "id")


def closed_requests(organization_id: int, now: datetime, *, limit: int) -> list[IncreaseRequest]:
    """The others, newest first."""
    found = increase_requests(organization_id).exclude(id__in=open_requests(organization_id, now).values("id"))
    return list(found.order_by("-asked_at", "-id")[:limit])


def team_id_of(budget: Budget) -> int | None:
    """The team a budget belongs to; a key's budget belongs to the key's team. None: to the organization."""
    return budget.virtual_key.team_id if budget.virtual_key is not None else budget.team_id


def policy_of(organization_id: int) -> ApprovalPolicy:
    """The organization's policy; one that is not saved, and lets managers approve nothing, where none was set."""
    found = ApprovalPolicy.objects.filter(organization_id=organization_id).first()
    return found or ApprovalPolicy(organization_id=organization_id)


def person_of(member: Membership) -> Person:
    return Person(member.user_id, Role(member.role), tuple(member.team_ids))


@dataclass(frozen=True, slots=True)
class Desk:
    """All that it takes to say who decides on these requests."""

    parents: Parents
    policy: Policy
    bases: dict[int, int]
    added: dict[int, int]

    @classmethod
    def of(cls, organization_id: int, budgets: Sequence[Budget], now: datetime) -> "Desk":
        """Four queries, however many budgets there are."""
        history, policy = limits_of(budgets), policy_of(organization_id)
        return cls(
            parents=team_parents(organization_id),
            policy=Policy(policy.manager_amount, policy.manager_percent),
            bases={budget.id: base_at(budget, history[budget.id], now) for budget in budgets},
            added=_added_by_managers(organization_id, budgets, now),
        )

    def asked(self, request: IncreaseRequest) -> Asked:
        return Asked(
            amount=request.amount,
            limit=self.bases[request.budget_id],
            unit=request.budget.unit,
            team_id=team_id_of(request.budget),
            user_id=request.user_id,
            added=self.added.get(request.budget_id, 0),
        )

    def verdict(self, member: Membership, request: IncreaseRequest) -> Verdict:
        return verdict(person_of(member), self.asked(request), self.policy, self.parents)

    def whom_to_ask(self, members: Sequence[Membership], request: IncreaseRequest) -> list[Membership]:
        by_user = {member.user_id: member for member in members}
        people = [person_of(member) for member in members]
        chosen = whom_to_ask(people, self.asked(request), self.policy, self.parents)
        return [by_user[person.user_id] for person in chosen]


def _added_by_managers(organization_id: int, budgets: Sequence[Budget], now: datetime) -> dict[int, int]:
    """Budget id → what managers approved for it in the last days that the policy looks at."""
    approved = IncreaseRequest.objects.filter(
        organization_id=organization_id,
        budget_id__in=[budget.id for budget in budgets],
        state=RequestState.APPROVED,
        decided_as=Role.MANAGER,
        decided_at__gt=now - timedelta(days=MANAGER_DAYS),
    )
    return dict(approved.values("budget_id").annotate(sum=Sum("amount")).values_list("budget_id", "sum"))


def active_members(organization_id: int) -> list[Membership]:
    found = Membership.objects.filter(organization_id=organization_id, user__is_active=True)
    return list(found.select_related("user").order_by("id"))


def people_who_decide(request: IncreaseRequest, now: datetime) -> list[Membership]:
    """Whom a request is put before."""
    desk = Desk.of(request.organization_id, [request.budget], now)
    return desk.whom_to_ask(active_members(request.organization_id), request)
