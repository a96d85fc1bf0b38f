"""Which budgets apply to a key at a moment, where they stood, and whether a call would go through. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from budgets.applying import Applying, Subject, budgets_applying, usage_scope, window_of
from budgets.held import held_now
from budgets.limits import limit_at, limits_of
from budgets.models import Budget, BudgetAction, BudgetLimit, LimitKind
from budgets.reservations.models import ModelAllowance, RateLimit
from budgets.selectors import people_who_may_change
from budgets.standing import Used, used
from budgets.verdict import Ask, Standing, Verdict, judge, model_allowed
from common.periods import Period
from pricing.resolve import book_of
from pricing.terms import STANDARD
from pricing.usage_buckets import Buckets
from tenants.models import Membership, VirtualKey
from tenants.selectors import team_parents
from tenants.tree import ancestor_ids
from usage.retention import first_kept
from usage.scopes import ScopeSums, scope_sums

LIMITS_ONLY = (
    "Of a budget’s settings only the limit has a history; what it does at which part, and what it refuses, is as it"
    " is today."
)
NOT_HELD = "What calls in flight held at that moment is not kept."
HELD_NOW = "What calls in flight hold right now could not be read: less may be left."
HINDSIGHT = "Usage is what is known of that moment today: what was reported later counts as well."
NOT_TO_THE_MINUTE = "The events of that time are gone: usage is known to the hour at best."
AS_TODAY = "Teams are as they stand today: one that was moved counts where it is now."


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `at` is not after `now`. `input_tokens` and `max_output_tokens` are those of the call."""

    key: VirtualKey
    at: datetime
    now: datetime
    subject: Subject
    # As the caller writes it, canonical names are in `subject`; "": a call of no model in particular.
    model: str = ""
    input_tokens: int = 0
    max_output_tokens: int = 0

    @property
    def is_past(self) -> bool:
        return self.at < self.now


@dataclass(frozen=True, slots=True)
class Explanation:
    """`unknown` says in sentences what cannot be said of the moment."""

    question: Question
    standings: list[Standing]
    ask: Ask
    verdict: Verdict
    may_raise: list[Membership]
    rates: list[RateLimit]
    unknown: list[str]


def question_of(
    *,
    key: VirtualKey,
    at: datetime,
    now: datetime,
    provider: str = "",
    model: str = "",
    labels: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    input_tokens: int = 0,
    max_output_tokens: int = 0,
) -> Question:
    """`provider` and `model` as a caller writes them; `labels`: customer, feature, agent, user."""
    found = book_of(key.organization_id).resolve(provider, model, STANDARD, at) if model else None
    subject = Subject(
        team_id=key.team_id,
        virtual_key_id=key.id,
        model=found.model if found else "",
        provider=found.provider if found else "",
        tags=tags or {},
        **(labels or {}),
    )
    return Question(key, at, now, subject, model, input_tokens, max_output_tokens)


def explain(question: Question) -> Explanation:
    """Everything that is known of the question."""
    organization_id = question.key.organization_id
    teams = ancestor_ids(team_parents(organization_id), question.key.team_id)
    budgets = _applying(question)
    reserved = {} if question.is_past else held_now(organization_id, budgets, question.now)
    standings = standings_of(budgets, question, reserved)
    ask = ask_of(question)
    mine = Q(virtual_key_id=question.key.id) | Q(team_id__in=teams)
    return Explanation(
        question=question,
        standings=standings,
        ask=ask,
        verdict=judge(standings, ask, model_allowed=_model_allowed(question, mine)),
        may_raise=people_who_may_change(organization_id),
        rates=list(RateLimit.objects.filter(mine, organization_id=organization_id).select_related("team")),
        unknown=_unknown(question, standings),
    )


def standings_of(budgets: Sequence[Budget], question: Question, reserved: Mapping[int, int]) -> list[Standing]:
    """The budgets at the question's moment, in their order."""
    limits, actions = limits_of(budgets, question.at), _actions(budgets)
    amounts = _used_then(budgets, question.at) if question.is_past else used(budgets, question.now)
    return [
        Standing(
            budget=budget,
            at=question.at,
            window=window_of(budget).at(question.at),
            limit=limit_at(budget, limits[budget.id], question.at),
            extras=_extras(limits[budget.id], question.at),
            used=amounts.get(budget.id, Used()),
            reserved=reserved.get(budget.id),
            actions=actions[budget.id],
        )
        for budget in budgets
    ]


def ask_of(question: Question) -> Ask:
    """What the call would hold. Without a model nothing is known of its cost but that it has one."""
    tokens = question.input_tokens + question.max_output_tokens
    if not question.model:
        return Ask(cost=0, tokens=tokens, estimated=False)
    subject = question.subject
    found = book_of(question.key.organization_id).resolve(subject.provider, subject.model, STANDARD, question.at)
    rate = found.contract or found.rate
    buckets = Buckets(uncached_input=question.input_tokens, output=question.max_output_tokens)
    return Ask(cost=None if rate is None else rate.cost(buckets), tokens=tokens, estimated=tokens > 0)


def _applying(question: Question) -> list[Budget]:
    """The budgets that the call counts in, or counted in, widest first."""
    organization_id = question.key.organization_id
    if not question.is_past:
        return budgets_applying(organization_id, question.subject)
    there = Q(archived_at__isnull=True) | Q(archived_at__gt=question.at)
    budgets = Budget.objects.with_scope().filter(there, organization_id=organization_id, created_at__lte=question.at)
    return Applying(budgets, team_parents(organization_id)).of(question.subject)


def _used_then(budgets: Sequence[Budget], at: datetime) -> dict[int, Used]:
    """What each had counted up to then, which its ledger, a sum per window, does not tell."""
    return {budget.id: _used_until(budget, at) for budget in budgets}


def _used_until(budget: Budget, at: datetime) -> Used:
    counted = Period(max(window_of(budget).at(at).start, budget.counts_from), at)
    (sums,) = scope_sums(usage_scope(budget), [counted]) if counted.start < at else [ScopeSums()]
    return Used(sums.cost, sums.tokens, sums.requests, sums.unpriced_requests)


def _actions(budgets: Sequence[Budget]) -> dict[int, tuple[BudgetAction, ...]]:
    found: dict[int, tuple[BudgetAction, ...]] = {budget.id: () for budget in budgets}
    actions = BudgetAction.objects.filter(
        organization_id__in={budget.organization_id for budget in budgets}, budget_id__in=found
    )
    for action in actions.order_by("at_percent", "action"):
        found[action.budget_id] += (action,)
    return found


def _extras(limits: Sequence[BudgetLimit], at: datetime) -> tuple[BudgetLimit, ...]:
    return tuple(
        limit
        for limit in limits
        if limit.kind != LimitKind.BASE and limit.starts_at <= at and (limit.ends_at is None or at < limit.ends_at)
    )


def _model_allowed(question: Question, mine: Q) -> bool:
    """A key and every team above it may have a list; the model must be on each."""
    if not question.model:
        return True
    lists = ModelAllowance.objects.filter(mine, organization_id=question.key.organization_id)
    return model_allowed([question.model, question.subject.model], *lists.values_list("names", flat=True))


def _unknown(question: Question, standings: Sequence[Standing]) -> list[str]:
    if question.is_past:
        notes = [NOT_HELD, HINDSIGHT, LIMITS_ONLY, AS_TODAY]
        starts = [max(standing.window.start, standing.budget.counts_from) for standing in standings]
        return [*notes, NOT_TO_THE_MINUTE] if any(start < first_kept() for start in starts) else notes
    return [] if all(standing.reserved is not None for standing in standings) else [HELD_NOW]
