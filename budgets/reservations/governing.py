"""What governs a call: budgets with their limits and actions, rate limits, allowed models, prices.

Read from Postgres by what the call names, so that its cost grows with the budgets that apply and not with those that
exist, and believed for two seconds per process: a change is in force everywhere after that.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from budgets.applying import Applying, Calls, Subject, scopes_in_use, window_of
from budgets.limits import limit_at, limits_of
from budgets.models import Budget, BudgetAction, BudgetLimit, Enforcement, Scope
from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit
from common.periods import Period
from pricing.resolve import Book, book_of
from tenants.access import organization_scope
from tenants.models import Organization
from tenants.selectors import team_parents
from tenants.tree import Parents, ancestor_ids

BELIEVED_S = 2.0
REMEMBERED_ORGANIZATIONS = 1_000
REMEMBERED_SUBJECTS = 20_000
# A counter outlives its window by more than any lease, so that late usage still finds it.
KEPT_AFTER = timedelta(days=2)


@dataclass
class Governed:
    """A budget that applies, and what is known of it. `window` is cut once and cut again when it has passed."""

    budget: Budget
    limits: Sequence[BudgetLimit]
    actions: Sequence[BudgetAction]
    _window: Period | None = None
    _until: datetime | None = None

    def limit(self, now: datetime) -> int:
        return limit_at(self.budget, self.limits, now)

    def window(self, now: datetime) -> Period:
        if self._window is None or self._until is None or not self._window.start <= now < self._until:
            window = window_of(self.budget)
            self._window, self._until = window.at(now), window.slot_at(now).end
        return self._window

    def counter(self, now: datetime) -> str:
        return counter_name(self.budget.id, self.window(now).start)

    def may_refuse(self, now: datetime) -> bool:
        """Whether it does what it says: neither trying out nor paused nor counting only."""
        budget = self.budget
        paused = budget.paused_until is not None and now < budget.paused_until
        return not (budget.shadow or paused or budget.enforcement == Enforcement.NONE)


@dataclass(frozen=True, slots=True)
class Common:
    """What is the same for every call of an organization."""

    organization_id: int
    slug: str
    parents: Parents
    # The value scopes that some budget is set on: other words of a call need not be looked up.
    scopes: frozenset[Scope]
    rates: Mapping[tuple[str, int], RateLimit]
    allowances: Mapping[tuple[str, int], Sequence[str]]
    ladder: Mapping[str, str]
    book: Book
    until: float
    subjects: dict[tuple[object, ...], list[Governed]] = field(default_factory=dict)
    reading: threading.Lock = field(default_factory=threading.Lock)

    def grantees(self, team_id: int, virtual_key_id: int) -> list[tuple[str, int]]:
        """The key, its team and every team above it."""
        return [("key", virtual_key_id), *(("team", team) for team in ancestor_ids(self.parents, team_id))]

    def governing(self, subject: Subject) -> list[Governed]:
        """Every budget that applies, the widest first."""
        named = tuple(part for part in subject.named() if part[0] in self.scopes)
        key = (subject.team_id, subject.virtual_key_id, named)
        found = self.subjects.get(key)
        if found is None:
            with self.reading:
                found = self.subjects.get(key) or self._read(subject)
                if len(self.subjects) >= REMEMBERED_SUBJECTS:
                    self.subjects.clear()
                self.subjects[key] = found
        return found

    def _read(self, subject: Subject) -> list[Governed]:
        """By no more of the call than it is remembered by, or another call would be governed by what this one named."""
        with organization_scope(self.organization_id):
            calls = Calls.of(subject, self.scopes)
            return _governed(
                self.organization_id, Applying.to_calls(self.organization_id, calls, self.parents).of(subject)
            )


_known: dict[int, Common] = {}
_reading = threading.Lock()


def common_of(organization_id: int) -> Common:
    """As it was at most two seconds ago. One thread reads, the others wait for what it found."""
    found = _believed(organization_id)
    if found is None:
        with _reading:
            found = _believed(organization_id) or _read_common(organization_id)
            if len(_known) >= REMEMBERED_ORGANIZATIONS:
                _known.clear()
            _known[organization_id] = found
    return found


def _believed(organization_id: int) -> Common | None:
    found = _known.get(organization_id)
    return found if found is not None and time.monotonic() < found.until else None


def forget_governing() -> None:
    """Makes this process look everything up again."""
    _known.clear()


def counter_name(budget_id: int, window_start: datetime) -> str:
    return f"{budget_id}.{int(window_start.timestamp())}"


def forgotten_at(window: Period) -> int:
    """Milliseconds since 1970 after which the counter of this window may go."""
    return int((min(window.end, datetime(2200, 1, 1, tzinfo=window.end.tzinfo)) + KEPT_AFTER).timestamp()) * 1000


def _read_common(organization_id: int) -> Common:
    with organization_scope(organization_id):
        return Common(
            organization_id=organization_id,
            slug=Organization.objects.values_list("slug", flat=True).get(id=organization_id),
            parents=team_parents(organization_id),
            scopes=scopes_in_use(organization_id),
            rates={_grantee(row): row for row in RateLimit.objects.filter(organization_id=organization_id)},
            allowances={
                _grantee(row): row.names for row in ModelAllowance.objects.filter(organization_id=organization_id)
            },
            ladder=dict(
                LadderStep.objects.filter(organization_id=organization_id).values_list("from_model", "to_model")
            ),
            book=book_of(organization_id),
            until=time.monotonic() + BELIEVED_S,
        )


def _grantee(row: RateLimit | ModelAllowance) -> tuple[str, int]:
    return ("team", row.team_id) if row.team_id else ("key", row.virtual_key_id or 0)


def _governed(organization_id: int, budgets: Sequence[Budget]) -> list[Governed]:
    if not budgets:
        return []
    # With what rolled over into the present window; what rolls over into the next is there within `BELIEVED_S` of its
    # begin, and until then the limit is the lower one.
    limits = limits_of(budgets, timezone.now())
    actions: dict[int, list[BudgetAction]] = defaultdict(list)
    for action in BudgetAction.objects.filter(
        organization_id=organization_id, budget_id__in=[budget.id for budget in budgets]
    ).order_by("at_percent", "action"):
        actions[action.budget_id].append(action)
    return [Governed(budget, limits[budget.id], actions[budget.id]) for budget in budgets]
