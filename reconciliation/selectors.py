"""Reads of reconciliation: the bill, our figure and what was accepted, by day of UTC and model. Amounts in nano-USD."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import Sum

from reconciliation.compare import PARTS, Billed, Key, Line, Ours, compare
from reconciliation.exports.base import COSTS, USAGE
from reconciliation.models import AcceptedDifference, BilledDay, BilledLine
from usage.questions import Interval
from usage.selectors import SpendQuery, spend

# The model of a day that was billed without telling models apart.
ALL_MODELS = ""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Totals:
    billed: int
    ours: int
    accepted: int
    parts: Mapping[str, int]

    @property
    def difference(self) -> int:
        return self.billed - self.ours - self.accepted


@dataclass(frozen=True, slots=True)
class Comparison:
    """A provider's lines of days [first, end); `days` says how many of them were billed."""

    provider: str
    first: date
    end: date
    lines: list[Line]

    @property
    def days(self) -> int:
        return len({line.day for line in self.lines})

    @property
    def total(self) -> Totals:
        return totals(self.lines)

    def by_model(self) -> list[tuple[str, Totals]]:
        """Each model with its sums, the largest difference first."""
        groups: dict[str, list[Line]] = defaultdict(list)
        for line in self.lines:
            groups[line.model].append(line)
        found = [(model, totals(lines)) for model, lines in groups.items()]
        return sorted(found, key=lambda entry: (-abs(entry[1].difference), -entry[1].billed, entry[0]))


def totals(lines: list[Line]) -> Totals:
    parts = {name: sum(line.parts.get(name, 0) for line in lines) for name in PARTS}
    return Totals(
        sum(line.billed.amount for line in lines),
        sum(line.ours.cost for line in lines),
        sum(line.accepted for line in lines),
        {name: amount for name, amount in parts.items() if amount},
    )


def billed_providers(*, organization_id: int) -> list[str]:
    found = BilledDay.objects.filter(organization_id=organization_id, source=COSTS, superseded_at__isnull=True)
    return sorted(found.values_list("provider", flat=True).distinct())


def latest_billed_day(*, organization_id: int) -> date | None:
    found = BilledDay.objects.filter(organization_id=organization_id, source=COSTS, superseded_at__isnull=True)
    return found.order_by("-day").values_list("day", flat=True).first()


def comparison(*, organization_id: int, provider: str, first: date, end: date) -> Comparison:
    """The provider's bill of days [first, end) of UTC beside our figure."""
    # What happened around midnight is told by the day before and the day after.
    around = first - _DAY, end + _DAY
    billed = _billed(organization_id, provider, *around)
    unitemized = {day for day, model in billed if model == ALL_MODELS}
    ours = _folded(_ours(organization_id, provider, *around), unitemized)
    accepted: dict[Key, int] = defaultdict(int)
    for entry in accepted_list(organization_id=organization_id, provider=provider, first=around[0], end=around[1]):
        if entry.undone_at is None:
            accepted[(entry.day, entry.model)] += entry.amount
    lines = [line for line in compare(billed, ours, accepted) if first <= line.day < end]
    return Comparison(provider, first, end, lines)


def accepted_list(*, organization_id: int, provider: str, first: date, end: date) -> list[AcceptedDifference]:
    """Newest first, each with its team; undone ones too."""
    found = AcceptedDifference.objects.filter(
        organization_id=organization_id, provider=provider, day__gte=first, day__lt=end
    )
    return list(found.select_related("team").order_by("-id"))


def _billed(organization_id: int, provider: str, first: date, end: date) -> dict[Key, Billed]:
    lines = BilledLine.objects.filter(
        organization_id=organization_id,
        billed_day__provider=provider,
        billed_day__day__gte=first,
        billed_day__day__lt=end,
        billed_day__superseded_at__isnull=True,
    )
    groups = ("billed_day__day", "model")
    costs = lines.filter(billed_day__source=COSTS).values_list(*groups).annotate(Sum("amount")).order_by(*groups)
    usage = lines.filter(billed_day__source=USAGE).values_list(*groups)
    tokens = {
        (day, model): read + written
        for day, model, read, written in usage.annotate(Sum("input_tokens"), Sum("output_tokens")).order_by(*groups)
    }
    return {(day, model): Billed(amount, tokens.get((day, model))) for day, model, amount in costs}


def _ours(organization_id: int, provider: str, first: date, end: date) -> dict[Key, Ours]:
    """What we counted, without the differences that were booked from here."""
    booked = _booked(organization_id, provider, first, end)
    found: dict[Key, Ours] = {}
    query = SpendQuery(
        organization_id, midnight(first), midnight(end), interval=Interval.DAY, group_by=("model",),
        filters={"provider": [provider]},
    )  # fmt: skip
    for row in spend(query):
        if row.start is None:
            raise LookupError("a row by day has a day")
        key, sums = (row.start.date(), row.group["model"]), row.spend
        found[key] = Ours(
            sums.cost - booked.get(key, 0), sums.requests, sums.unpriced_requests,
            sums.input_tokens + sums.output_tokens,
        )  # fmt: skip
    return {key: ours for key, ours in found.items() if ours != Ours()}


def _booked(organization_id: int, provider: str, first: date, end: date) -> dict[Key, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (a.booked_at AT TIME ZONE 'UTC')::date, a.model, sum(a.cost) FROM usage_adjustment a"
            " JOIN reconciliation_accepteddifference d ON d.organization_id = a.organization_id AND d.id = a.run_id"
            " WHERE a.organization_id = %s AND a.provider = %s AND a.booked_at >= %s AND a.booked_at < %s"
            " GROUP BY 1, 2",
            [organization_id, provider, midnight(first), midnight(end)],
        )
        return {(day, model): int(cost) for day, model, cost in cursor.fetchall()}


def _folded(ours: Mapping[Key, Ours], unitemized: set[date]) -> dict[Key, Ours]:
    """Where a day was billed in one sum, our models of it are one sum as well."""
    found: dict[Key, Ours] = {}
    for (day, model), each in ours.items():
        key = (day, ALL_MODELS if day in unitemized else model)
        before = found.get(key, Ours())
        found[key] = Ours(
            before.cost + each.cost, before.requests + each.requests,
            before.unpriced_requests + each.unpriced_requests, before.tokens + each.tokens,
        )  # fmt: skip
    return found


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def month_of(day: date) -> tuple[date, date]:
    """The calendar month [first, end) of a day."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)
