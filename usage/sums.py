"""From postings to sums: the SQL that adds them up and the tables it adds them to.

Written once and used twice: settling adds the postings of a batch, `usage.verify` makes the same sums of all postings
there are and compares. A statement names its postings `posting` (the columns of `usage_posting`) and takes the
parameters `organization`, `size` (the bucket, an interval) and `zone` (the organization's).
"""

from dataclasses import dataclass

from usage.dimensions import BOUNDED, COLUMNS, CUBE, DAILY_ONLY, OVERFLOW, TAG, TAG_PREFIX
from usage.tables import DETAIL_COLUMNS, MEASURES, MONEY
from usage.watched import LABEL_COLUMNS, NOTHING_WATCHED, Watched

ORIGIN = "timestamptz '2000-01-01 00:00:00+00'"
# Tokens of one batch fit a bigint, which is several times faster to add up again than numeric; money may not.
_PARTS = ", ".join(f"sum({name}){'' if name in MONEY else '::bigint'} AS {name}" for name in MEASURES)
_NAMES = ", ".join(MEASURES)
_OTHER = f"E'\\x{ord(OVERFLOW[0]):02x}{OVERFLOW[1:]}'"


@dataclass(frozen=True, slots=True)
class SumTable:
    """A table of sums: the columns of its key (after the organization), the CTE that makes its rows, and how the
    columns that are neither key nor measure are brought together when a row is there already (None: they follow from
    the key)."""

    name: str
    key: tuple[str, ...]
    cte: str
    others: tuple[tuple[str, str | None], ...] = ()

    @property
    def columns(self) -> str:
        return ", ".join((*self.key, *(name for name, _ in self.others), *MEASURES))

    @property
    def rows(self) -> str:
        """SELECT of the rows that the postings make."""
        return f"SELECT {self.columns} FROM {self.cte}"

    def added(self) -> str:
        """INSERT that adds the rows to what is there, one row at most once."""
        sums = ", ".join(f"{name} = kept.{name} + excluded.{name}" for name in MEASURES)
        merged = "".join(f", {name} = {how}(kept.{name}, excluded.{name})" for name, how in self.others if how)
        return (
            f"INSERT INTO {self.name} AS kept (organization_id, {self.columns})"
            f" SELECT %(organization)s::bigint, {self.columns} FROM {self.cte}"
            f" ON CONFLICT (organization_id, {', '.join(self.key)}) DO UPDATE SET {sums}{merged}"
        )


_CUBE_KEY = tuple(COLUMNS[dimension] for dimension in CUBE)
TABLES = (
    SumTable("usage_rollup", ("dimension", "bucket", "value"), "by_hour"),
    SumTable("usage_rollup_day", ("dimension", "day", "value"), "by_day"),
    SumTable("usage_cube", ("bucket", *_CUBE_KEY), "cube"),
    SumTable("usage_cube_day", ("day", *_CUBE_KEY), "cube_day"),
    SumTable("usage_detail", ("day", "cell"), "detail", tuple((column, None) for column in DETAIL_COLUMNS)),
    SumTable(
        "usage_trace",
        ("trace_id",),
        "trace",
        (
            ("first_at", "least"),
            ("last_at", "greatest"),
            ("session", "greatest"),
            ("customer", "greatest"),
            ("end_user", "greatest"),
        ),
    ),
)

_DAY_OF_BUCKET = "(bucket AT TIME ZONE %(zone)s::text)::date"


def steps(*, bounded: bool) -> str:
    """The CTEs from `posting` to the ones that TABLES name. `bounded`: some values may lie beyond their limit."""
    return ", ".join((_ready(bounded=bounded), *_cells(), *_days(), _detail(), _trace()))


def _ready(*, bounded: bool) -> str:
    """The postings added up as far as every table can use it: by bucket, all dimensions and tags.

    Most usage of a moment has its like, so what follows works on a few rows instead of on every event.
    """
    columns = [
        _bounded(dimension, column) if bounded and dimension in BOUNDED else column
        for dimension, column in COLUMNS.items()
    ]
    named = f"SELECT date_bin(%(size)s, at, {ORIGIN}) AS bucket, {', '.join(columns)}, "
    named += f"{_BOUNDED_TAGS if bounded else 'tags'}, {_NAMES} FROM posting"
    key = f"bucket, {', '.join(COLUMNS.values())}, tags"
    return f"ready AS MATERIALIZED (SELECT {key}, {_PARTS} FROM ({named}) AS named GROUP BY {key})"


_ADMITTED = (
    "(SELECT dimension, month, value FROM usage_value WHERE organization_id = %(organization)s)"  # a hashed subplan
)
_MONTH = "date_trunc('month', at AT TIME ZONE 'UTC')::date"


def _bounded(dimension: str, column: str) -> str:
    return (
        f"CASE WHEN {column} = '' OR ('{dimension}', {_MONTH}, {column}) IN {_ADMITTED}"
        f" THEN {column} ELSE {_OTHER} END AS {column}"
    )


_BOUNDED_TAGS = (
    "(SELECT coalesce(jsonb_object_agg("
    f"CASE WHEN ('{TAG}', {_MONTH}, tag.key) IN {_ADMITTED} THEN tag.key ELSE {_OTHER} END,"
    f" CASE WHEN ('{TAG}', {_MONTH}, tag.key) IN {_ADMITTED}"
    f" AND (tag.value = '' OR ('{TAG_PREFIX}' || tag.key, {_MONTH}, tag.value) IN {_ADMITTED})"
    f" THEN tag.value ELSE {_OTHER} END), '{{}}'::jsonb) FROM jsonb_each_text(tags) AS tag) AS tags"
)


def _cells() -> list[str]:
    columns = list(COLUMNS.values())
    sets = ", ".join(f"(bucket, {column})" for column in columns)
    dimension = " ".join(f"WHEN grouping({column}) = 0 THEN '{name}'" for name, column in COLUMNS.items())
    value = ", ".join(f"{column}::text" for column in columns)
    return [
        f"grouped AS (SELECT CASE {dimension} ELSE 'total' END AS dimension, bucket, coalesce({value}, '') AS value,"
        f" {_PARTS} FROM ready GROUP BY GROUPING SETS ((bucket), {sets}))",
        f"tagged AS (SELECT '{TAG_PREFIX}' || tag.key AS dimension, bucket, tag.value, {_PARTS}"
        " FROM ready, jsonb_each_text(tags) AS tag GROUP BY tag.key, bucket, tag.value)",
        "cells AS MATERIALIZED (SELECT * FROM grouped UNION ALL SELECT * FROM tagged)",
        f"by_hour AS (SELECT * FROM cells WHERE dimension <> ALL (ARRAY{sorted(DAILY_ONLY)!r}))",
        f"cube AS (SELECT bucket, {', '.join(_CUBE_KEY)}, {_PARTS} FROM ready GROUP BY bucket, {', '.join(_CUBE_KEY)})",
    ]


def _days() -> list[str]:
    cube = ", ".join(_CUBE_KEY)
    return [
        f"by_day AS (SELECT dimension, {_DAY_OF_BUCKET} AS day, value, {_PARTS} FROM cells GROUP BY 1, 2, 3)",
        f"cube_day AS (SELECT {_DAY_OF_BUCKET} AS day, {cube}, {_PARTS} FROM cube GROUP BY 1, {cube})",
    ]


def _detail() -> str:
    columns = ", ".join(DETAIL_COLUMNS)
    return (
        f"detail_cells AS (SELECT {_DAY_OF_BUCKET} AS day, {columns}, {_PARTS} FROM ready GROUP BY 1, {columns}),"
        f" detail AS (SELECT day, md5(ROW({columns})::text)::uuid AS cell, {columns}, {_NAMES} FROM detail_cells)"
    )


def _trace() -> str:
    return (
        "trace AS (SELECT trace_id, min(happened_at) AS first_at, max(happened_at) AS last_at,"
        f" max(session) AS session, max(customer) AS customer, max(end_user) AS end_user, {_PARTS}"
        " FROM posting WHERE trace_id <> '' GROUP BY trace_id)"
    )


_OWNER = "team_id, virtual_key_id, quarter"
_USED = (
    "sum(cost) AS cost, sum(requests)::bigint AS requests, sum(unpriced_requests)::bigint AS unpriced_requests,"
    " sum(input_tokens + output_tokens)::bigint AS tokens"
)


def owners(watched: Watched) -> str:
    """SELECT of what each team and key used per quarter of an hour: team id, key id, quarter, cost, requests, unpriced
    requests, tokens; where values are watched told apart by them, with their labels (`usage.watched`) behind."""
    quarter = f"date_bin('15 minutes', at, {ORIGIN}) AS quarter"
    if not watched:
        return f"SELECT team_id, virtual_key_id, {quarter}, {_USED} FROM posting GROUP BY 1, 2, 3"
    labels = ", ".join(LABEL_COLUMNS)
    told = f"SELECT team_id, virtual_key_id, {quarter}, {watched.columns}, {_MEASURED} FROM posting"
    return f"SELECT {_OWNER}, {_USED}, {labels} FROM ({told}) AS told GROUP BY {_OWNER}, {labels}"


_MEASURED = "cost, requests, unpriced_requests, input_tokens, output_tokens"


def adding(*, bounded: bool, watched: Watched = NOTHING_WATCHED) -> str:
    """The rest of a statement that has a `posting` CTE: adds it to every table of sums and returns `owners`."""
    writes = ", ".join(f"into_{table.name} AS ({table.added()})" for table in TABLES)
    return f"{steps(bounded=bounded)}, {writes} {owners(watched)}"
