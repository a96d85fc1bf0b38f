"""Which values get sums of their own: the first so many of a dimension and month (`usage.dimensions`)."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, timedelta

from django.db import transaction

from common.db import server_cursor
from common.periods import Period
from usage.dimensions import TAG, TAG_PREFIX, Value, limit_of, month_of

# Values known to be admitted, by organization. Nothing is ever taken back, so what was true stays true; only what has
# committed is remembered.
_admitted: dict[int, set[Value]] = {}
REMEMBERED_ORGANIZATIONS = 200
REMEMBERED_VALUES = 200_000
_INSTANT = timedelta(microseconds=1)


def admit(organization_id: int, values: set[Value]) -> bool:
    """Admits values while there is room; whether some of these are beyond the limit. Call under the settling lock."""
    unknown = values - _admitted.get(organization_id, set())
    if not unknown:
        return False
    known = _stored(organization_id, unknown)
    fresh = unknown - known
    added = _insert(organization_id, _within_limits(organization_id, fresh)) if fresh else set()
    transaction.on_commit(lambda: _remember(organization_id, known | added))
    return len(added) < len(fresh)


def values_since(organization_id: int, month: date, *, at_most: int) -> dict[str, list[str]]:
    """Dimension → the values that were seen in or after the month, in order, at most so many of each."""
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT dimension, value FROM (SELECT DISTINCT dimension, value, dense_rank() OVER (PARTITION BY dimension"
            " ORDER BY value) AS place FROM usage_value WHERE organization_id = %s AND month >= %s) AS found"
            " WHERE place <= %s ORDER BY 1, 2",
            [organization_id, month, at_most],
        )
        found: dict[str, list[str]] = defaultdict(list)
        for dimension, value in cursor.fetchall():
            found[dimension].append(value)
        return dict(found)


def months_untold(organization_id: int, dimension: str, value: str, period: Period) -> list[date]:
    """The months of UTC that the period touches in which sums would not tell the value from others had it been used,
    because others had filled its dimension; of a tag also those in which its name was one too many."""
    wanted = {dimension: value}
    if dimension.startswith(TAG_PREFIX):
        wanted[TAG] = dimension.removeprefix(TAG_PREFIX)
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT v.dimension, v.month, count(*), bool_or(v.value = asked.value) FROM usage_value v"
            " JOIN unnest(%s::text[], %s::text[]) AS asked (dimension, value) USING (dimension)"
            " WHERE v.organization_id = %s AND v.month >= %s AND v.month <= %s GROUP BY 1, 2",
            [
                list(wanted), list(wanted.values()), organization_id,
                month_of(period.start.astimezone(UTC)), month_of((period.end - _INSTANT).astimezone(UTC)),
            ],
        )  # fmt: skip
        full = {month for name, month, count, told in cursor.fetchall() if not told and count >= limit_of(name)}
    return sorted(full)


def _stored(organization_id: int, values: Iterable[Value]) -> set[Value]:
    dimensions, months, texts = zip(*values, strict=True)
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT v.dimension, v.month, v.value FROM usage_value v"
            " JOIN unnest(%s::text[], %s::date[], %s::text[]) AS asked (dimension, month, value)"
            " USING (dimension, month, value) WHERE v.organization_id = %s",
            [list(dimensions), list(months), list(texts), organization_id],
        )
        return set(cursor.fetchall())


def _within_limits(organization_id: int, fresh: set[Value]) -> list[Value]:
    """The new values that still have room, in a fixed order."""
    by_group: dict[tuple[str, date], list[Value]] = defaultdict(list)
    for value in sorted(fresh):
        by_group[value[0], value[1]].append(value)
    taken = _counts(organization_id, by_group)
    return [
        value
        for group, values in by_group.items()
        for value in values[: max(0, limit_of(group[0]) - taken.get(group, 0))]
    ]


def _counts(organization_id: int, groups: Iterable[tuple[str, date]]) -> dict[tuple[str, date], int]:
    dimensions, months = zip(*groups, strict=True)
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT dimension, month, count(*) FROM usage_value WHERE organization_id = %s AND (dimension, month) IN"
            " (SELECT * FROM unnest(%s::text[], %s::date[])) GROUP BY 1, 2",
            [organization_id, list(dimensions), list(months)],
        )
        return {(dimension, month): count for dimension, month, count in cursor.fetchall()}


def _insert(organization_id: int, values: list[Value]) -> set[Value]:
    if not values:
        return set()
    dimensions, months, texts = zip(*values, strict=True)
    with server_cursor() as cursor:
        cursor.execute(
            "INSERT INTO usage_value (organization_id, dimension, month, value)"
            " SELECT %s::bigint, * FROM unnest(%s::text[], %s::date[], %s::text[])",
            [organization_id, list(dimensions), list(months), list(texts)],
        )
    return set(values)


def _remember(organization_id: int, values: set[Value]) -> None:
    if len(_admitted) >= REMEMBERED_ORGANIZATIONS and organization_id not in _admitted:
        _admitted.clear()
    remembered = _admitted.setdefault(organization_id, set())
    if len(remembered) > REMEMBERED_VALUES:
        remembered.clear()
    remembered |= values
