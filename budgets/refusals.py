"""Reads of what was refused. Each runs inside `organization_scope`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from budgets.models import Budget
from budgets.reasons import Numbers, why
from budgets.reservations.models import Reason, Refusal
from common.api import decode_cursor, encode_cursor
from common.problems import Fault, Problem
from tenants.models import VirtualKey

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_LARGEST_ID = 2**63 - 1
# A request id is a ULID; nothing longer was ever given out.
MAX_REQUEST_ID = 40
Position = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class RefusalFilter:
    """None: whatever it is."""

    reason: str | None = None
    virtual_key_id: int | None = None
    budget_id: int | None = None
    shadow: bool | None = None

    @property
    def condition(self) -> Q:
        wanted = {name: getattr(self, name) for name in self.__slots__}
        return Q(**{name: value for name, value in wanted.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal with what it names. `key`: None when it was deleted since."""

    refusal: Refusal
    budget: Budget | None
    key: VirtualKey | None

    @property
    def reason(self) -> Reason:
        return Reason(self.refusal.reason)

    @property
    def numbers(self) -> Numbers:
        return Numbers.of(self.refusal.details)

    @property
    def sentence(self) -> str:
        return why(self.reason, self.budget, self.numbers)


def refusals(
    *, organization_id: int, narrowed: RefusalFilter, after: Position | None, limit: int
) -> list[Refused]:  # fmt: skip
    """Newest first, from after the position on. Three queries."""
    found = Refusal.objects.filter(narrowed.condition, organization_id=organization_id)
    if after is not None:
        at, refusal_id = after
        found = found.filter(Q(at__lt=at) | Q(at=at, id__lt=refusal_id))
    return _named(organization_id, list(found.order_by("-at", "-id")[:limit]))


def refusals_of_request(*, organization_id: int, request_id: str, virtual_key_id: int | None = None) -> list[Refused]:
    """Every reason for which the request of this id was refused, or would have been; of one key alone if it is given.
    Empty for an id that is not known here, whoever else may know it."""
    if not 0 < len(request_id) <= MAX_REQUEST_ID or "\0" in request_id:
        return []
    narrowed = RefusalFilter(virtual_key_id=virtual_key_id)
    found = Refusal.objects.filter(narrowed.condition, organization_id=organization_id, request_id=request_id)
    return _named(organization_id, list(found.order_by("shadow", "id")))


def _named(organization_id: int, found: Sequence[Refusal]) -> list[Refused]:
    budgets = Budget.objects.with_scope().filter(organization_id=organization_id)
    budgets_by_id = {budget.id: budget for budget in budgets.filter(id__in={each.budget_id for each in found})}
    keys = VirtualKey.objects.filter(organization_id=organization_id, id__in={each.virtual_key_id for each in found})
    keys_by_id = {key.id: key for key in keys.select_related("team")}
    return [
        Refused(each, budgets_by_id.get(each.budget_id or 0), keys_by_id.get(each.virtual_key_id)) for each in found
    ]


def position_at(cursor: str) -> Position:
    """What `cursor_after` wrote; Problem 422 for anything else."""
    microseconds, refusal_id = decode_cursor(cursor, (int, int))
    try:
        return EPOCH + microseconds * MICROSECOND, min(refusal_id, _LARGEST_ID)
    except OverflowError as error:
        raise Problem("validation-error", errors=(Fault("/cursor", "invalid", "is not a cursor"),)) from error


def cursor_after(refused: Refused) -> str:
    return encode_cursor((refused.refusal.at - EPOCH) // MICROSECOND, refused.refusal.id)
