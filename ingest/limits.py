"""How much usage a credential and its organization may report per second; the caller is always told where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from django.conf import settings

from common.problems import Problem
from common.quotas import Quota, Standing
from common.rate_counters import Ask, counters
from ingest.pressure import refuse_when_overloaded
from ingest.turned_away import turned_away
from tenants.authentication import Caller


@dataclass(frozen=True, slots=True)
class Admission:
    """`headers` belong on the answer, whatever else becomes of the request."""

    headers: dict[str, str]


def admit(caller: Caller, events: int, now: datetime) -> Admission:
    """Counts a request of so many events. Problem 429 when a quota is used up, 503 when the inbox is full.

    Call once per request, before anything is stored.
    """
    admission = _count(caller, events)
    refuse_when_overloaded(organization_id=caller.organization_id, now=now, headers=admission.headers)
    return admission


def refused(problem: Problem, *, caller: Caller, source: str, now: datetime) -> Problem:
    """Notes a refusal and says where the caller stands: the problem to answer with.

    What never got to `admit` counts as a request too, so that a flood of bodies nobody can read is limited as well.
    """
    if "RateLimit" not in problem.headers:
        try:
            problem.headers |= _count(caller, 0).headers
        except Problem as limited:
            problem = limited
    turned_away.note(
        organization_id=caller.organization_id, source=source, credential_id=caller.credential_id,
        reason=problem.slug, now=now,
    )  # fmt: skip
    return problem


def _count(caller: Caller, events: int) -> Admission:
    quotas = _quotas()
    # The hash tag in braces keeps an organization's buckets on one node of a Redis cluster.
    own = f"rate:{{{caller.organization_id}}}"
    fits, standings = counters().take(
        (
            Ask(f"{own}:{caller.credential_id}:requests", quotas[0], 1),
            Ask(f"{own}:{caller.credential_id}:events", quotas[1], events),
            Ask(f"{own}:requests", quotas[2], 1),
            Ask(f"{own}:events", quotas[3], events),
        )
    )
    headers = {"RateLimit-Policy": _policy(), "RateLimit": ", ".join(standing.limit for standing in standings)}
    if not fits:
        raise _limited(standings, headers)
    return Admission(headers)


def _limited(standings: Sequence[Standing], headers: dict[str, str]) -> Problem:
    worst = max(standings, key=lambda standing: standing.short)
    quota = worst.quota
    return Problem(
        "rate-limited",
        f"The limit {quota.name} is used up: {quota.amount} {quota.unit} in {quota.seconds} s.",
        headers=headers | {"Retry-After": str(worst.retry_after)},
        extra={"limit": quota.name},
    )


@cache
def _quotas() -> tuple[Quota, Quota, Quota, Quota]:
    """Of a key or token, then of its organization; each for requests and for events."""
    return (
        Quota("key-requests", settings.INGEST_KEY_REQUESTS_PER_SECOND),
        Quota("key-events", settings.INGEST_KEY_EVENTS_PER_SECOND, "events"),
        Quota("organization-requests", settings.INGEST_ORGANIZATION_REQUESTS_PER_SECOND),
        Quota("organization-events", settings.INGEST_ORGANIZATION_EVENTS_PER_SECOND, "events"),
    )


@cache
def _policy() -> str:
    return ", ".join(quota.policy for quota in _quotas())
