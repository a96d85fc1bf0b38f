"""May this call be made? All budgets that apply, the rates and the lists of models say so in one step.

The one way in for the API and for a gateway in the same process. Call outside of any transaction: what is refused is
written down whatever becomes of the caller's own work.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import redis
from django.conf import settings

from budgets.applying import Subject
from budgets.models import WhenUnavailable
from budgets.reservations.call import Call, Granted, Terms, instant
from budgets.reservations.claims import Demand, Limit, demand, limits, refuses_unpriced
from budgets.reservations.counts import Outcome, counts
from budgets.reservations.engine import Conflict, Held, Missing, Refused
from budgets.reservations.estimate import MAX_HELD, Worth, dearest, worth
from budgets.reservations.governing import Common, common_of
from budgets.reservations.models import Reason
from budgets.reservations.outage import Outage
from budgets.reservations.reference import Reference
from budgets.reservations.refusals import Why, budget_problem, rate_problem, record, why_of, whys_of
from budgets.reservations.settled import Counted, engine, open_counters
from budgets.verdict import model_allowed
from common.problems import Fault, Problem, invalid
from pricing.book import Resolution

LEASE_MS = settings.AUTHORIZATION_LEASE_SECONDS * 1000
# Counters may vanish between being made and being asked; more often than this there is no Redis to speak of.
TRIES = 3

log = logging.getLogger(__name__)
outage = Outage()


@dataclass(frozen=True, slots=True)
class _Case:
    """A call with all that bears on it."""

    organization_id: int
    call: Call
    # A hold that was placed although no answer came is ended by this name too.
    reference: Reference
    subject: Subject
    worth: Worth
    demands: Sequence[Demand]
    limits: Sequence[Limit]
    terms: Terms
    request_id: str
    now: datetime

    def refuse(self, whys: Sequence[Why], problem: Problem, *, shadow: bool = False) -> Problem:
        self.note(whys, shadow=shadow)
        return problem

    def note(self, whys: Sequence[Why], *, shadow: bool = False) -> None:
        record(
            self.organization_id, call=self.call, subject=self.subject, whys=whys, request_id=self.request_id,
            now=self.now, shadow=shadow,
        )  # fmt: skip


def authorize(*, organization_id: int, call: Call, request_id: str, now: datetime, lease_ms: int = LEASE_MS) -> Granted:
    """Holds what the call may cost until it is committed, released or abandoned.

    Problem 402 when a budget refuses, 403 for a model that is not allowed, 409 for an id with other content or one that
    has ended, 429 for a rate, 503 when the counters cannot be asked and a budget does not want to go on without them.
    """
    common = common_of(organization_id)
    found = common.book.resolve(call.provider, call.model, call.service_tier, now)
    case = _case(common, call, found, request_id, now)
    if not _model_allowed(common, call, found):
        raise case.refuse(
            [Why(Reason.MODEL, details={"model": found.model})],
            Problem("model-not-allowed", "The model is not on the list of models that this key may use."),
        )
    unpriced = _unpriced(case, common, found)
    if unpriced:
        raise case.refuse(unpriced, budget_problem(organization_id, unpriced))
    if outage.rests:
        return _without_counters(case)
    try:
        answer = _reserve(case, lease_ms)
    except redis.RedisError as error:
        log.warning("the counters of organization %s cannot be asked: %s", organization_id, error)
        outage.failed()
        return _without_counters(case)
    outage.over()
    return _granted(case, answer)


def _model_allowed(common: Common, call: Call, found: Resolution) -> bool:
    """Whether every list that is set on the key or a team above it names the model."""
    lists = (common.allowances.get(grantee) for grantee in common.grantees(call.team_id, call.virtual_key_id))
    return model_allowed([call.model, found.model], *lists)


def _case(common: Common, call: Call, found: Resolution, request_id: str, now: datetime) -> _Case:
    subject = call.subject(found)
    own = worth(found, call.asked)
    if own.full.cost is not None and own.full.cost > MAX_HELD:
        raise invalid(Fault("/estimate", "out_of_range", "is more than a million USD for one call"))
    other = _dearest(common, call, now) if own.full.cost is None else None
    demands = [demand(each, own, other, now) for each in common.governing(subject)]
    costs = [each.claim.amount for each in demands if each.claim.unit == "cost"]
    terms = Terms(
        held=own.full.cost if own.full.cost is not None else max(costs, default=None),
        max_output_tokens=call.asked.output,
        applies=[each.applied for each in demands],
        cheaper=common.ladder.get(found.model, ""),
    )
    kept = limits(demands, common.grantees(call.team_id, call.virtual_key_id), common.rates, own, now)
    reference = Reference.new(virtual_key_id=call.virtual_key_id, caller_id=call.id)
    return _Case(common.organization_id, call, reference, subject, own, demands, kept, terms, request_id, now)


def _dearest(common: Common, call: Call, now: datetime) -> Worth | None:
    return dearest(common.book.rates_of(call.provider, now), call.asked)


def _unpriced(case: _Case, common: Common, found: Resolution) -> list[Why]:
    """The budgets that refuse because no price is known; what shadow ones would have refused is noted."""
    if case.worth.full.cost is not None:
        return []
    other = _dearest(common, case.call, case.now)
    whys = [
        Why(Reason.UNPRICED, each, {"model": found.model, "unpriced_reason": found.reason or ""})
        for each in case.demands
        if refuses_unpriced(each.governed, case.worth, other)
    ]
    shadows = [why for why in whys if why.demand and why.demand.governed.budget.shadow]
    if shadows:
        case.note(shadows, shadow=True)
    return [why for why in whys if why.demand and why.demand.governed.may_refuse(case.now)]


def _reserve(case: _Case, lease_ms: int) -> Held | Refused | Conflict:
    """RedisError when Redis does not answer, or does not keep what it was told."""
    for _ in range(TRIES):
        answer = engine().reserve(
            case.organization_id,
            reference=case.reference,
            owner=case.call.virtual_key_id,
            digest=case.call.digest,
            claims=[each.claim for each in case.demands],
            rates=[each.rate for each in case.limits],
            lease_ms=lease_ms,
            answer=case.terms.dumps(),
            record=_record(case),
        )
        if not isinstance(answer, Missing):
            return answer
        missing = [case.demands[index].governed for index in answer.indexes]
        open_counters(case.organization_id, [Counted(each.budget, each.window(case.now)) for each in missing], case.now)
    raise redis.RedisError("counters do not stay")


def _record(case: _Case) -> str:
    """What the sweep needs to know of an abandoned call."""
    subject = case.subject
    labels = {name: getattr(subject, name) for name in ("model", "provider", "customer", "feature", "agent", "user")}
    return json.dumps({"at": int(case.now.timestamp()), "subject": {"id": case.call.id} | labels})


def _granted(case: _Case, answer: Held | Refused | Conflict) -> Granted:
    if isinstance(answer, Conflict):
        raise Problem("authorization-conflict", "This id was used for another call; use one id for each attempt.")
    if isinstance(answer, Refused):
        raise _refusal(case, answer)
    if answer.repeated and answer.state != "held":
        raise ended(str(answer.reference), answer.state)
    terms = Terms.loads(answer.answer) if answer.repeated else case.terms
    granted = Granted(
        str(answer.reference), terms, answer.lefts, instant(answer.expires_ms), answer.state, answer.repeated
    )
    if not answer.repeated:
        _note_shadows(case, answer)
        counts.note(case.organization_id, Outcome.DEGRADED if granted.degraded else Outcome.ALLOWED)
    return granted


def ended(reference: str, state: str) -> Problem:
    """The 409 of what is done with an authorization that is over."""
    return Problem(
        "authorization-ended",
        f"This authorization is {'over: its lease ended' if state in ('lapsed', 'abandoned') else state}."
        " Use a new id for another attempt.",
        extra={"authorization": reference, "state": state},
    )


def _refusal(case: _Case, refused: Refused) -> Problem:
    whys = whys_of(case.demands, refused, case.now)
    if whys:
        return case.refuse(whys, budget_problem(case.organization_id, whys))
    limit, wait = max(zip(case.limits, refused.waits, strict=True), key=lambda pair: pair[1])
    by_budget = [each for each in case.demands if limit.scope == "budget" and each.governed.budget.id == limit.id]
    details = {"scope": limit.scope, "id": str(limit.id), "unit": limit.unit, "per_minute": str(limit.per_minute)}
    return case.refuse([Why(Reason.RATE, by_budget[0] if by_budget else None, details)], rate_problem(limit, wait))


def _note_shadows(case: _Case, answer: Held) -> None:
    """What budgets that only try out would have refused."""
    whys = [
        why_of(each, left, settled, case.now)
        for each, left, settled in zip(case.demands, answer.lefts, answer.settled, strict=True)
        if each.applied.would_refuse(left)
    ]
    found = [why for why in whys if why is not None]
    if found:
        case.note(found, shadow=True)


def _without_counters(case: _Case) -> Granted:
    """Each budget says what becomes of calls that nobody can count: refused, or let through for a while."""
    refusing = [each for each in case.demands if each.governed.may_refuse(case.now)]
    stopped = [each for each in refusing if not _goes_on(each)]
    if stopped:
        budget = stopped[0].governed.budget
        problem = Problem(
            "budget-unavailable",
            f"The budget “{budget.name}” cannot be checked right now and allows nothing unchecked.",
            headers={"Retry-After": "2"},
            extra={"budget": {"id": str(budget.id), "name": budget.name}},
        )
        raise case.refuse([Why(Reason.UNAVAILABLE, each) for each in stopped], problem)
    counts.note(case.organization_id, Outcome.UNCOUNTED)
    return Granted(str(case.reference), Terms(0, case.terms.max_output_tokens, ()), (), None, "uncounted")


def _goes_on(each: Demand) -> bool:
    budget = each.governed.budget
    return budget.when_unavailable == WhenUnavailable.OPEN and outage.seconds <= budget.grace_seconds
