"""What an organization, a team with all below it, or a key used in stretches of time, to the instant: all of it, or
what has a name that callers gave. Inside the organization's scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.db import server_cursor
from common.periods import Period
from tenants.selectors import team_parents
from tenants.tree import subtree_ids
from usage.dimensions import COLUMNS, TAG
from usage.rollup import HOUR


@dataclass(frozen=True, slots=True)
class UsageScope:
    """All of an organization, narrowed by what is given. `dimension` is one of `usage.watched.WATCHABLE` or TAG."""

    organization_id: int
    team_id: int | None = None
    virtual_key_id: int | None = None
    dimension: str = ""
    value: str = ""
    tag_name: str = ""

    def condition(self) -> tuple[str, dict[str, Any]]:
        """What its postings have in common, as SQL that goes on after another condition, and the parameters of it."""
        where, parameters = "", dict[str, Any]()
        if self.team_id is not None:
            where += " AND team_id = ANY(%(teams)s::bigint[])"
            parameters["teams"] = sorted(subtree_ids(team_parents(self.organization_id), [self.team_id]))
        if self.virtual_key_id is not None:
            where += " AND virtual_key_id = %(key)s::bigint"
            parameters["key"] = self.virtual_key_id
        if self.dimension == TAG:
            where += " AND tags ->> %(tag)s::text = %(value)s::text"
            parameters |= {"tag": self.tag_name, "value": self.value}
        elif self.dimension:
            where += f" AND {COLUMNS[self.dimension]} = %(value)s::text"
            parameters["value"] = self.value
        return where, parameters


@dataclass(frozen=True, slots=True)
class ScopeSums:
    """Cost in nano-USD; tokens are input and output, each with all that belongs to it."""

    cost: int = 0
    tokens: int = 0
    requests: int = 0
    unpriced_requests: int = 0


_MEASURES = "cost, input_tokens + output_tokens AS tokens, requests, unpriced_requests"
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::numeric" for name in ("cost", "tokens", "requests", "unpriced_requests"))
_FROM_POSTINGS = (
    f"SELECT {_MEASURES} FROM usage_posting WHERE organization_id = %(organization)s::bigint"
    " AND at >= {since} AND at < {until}"
)


def scope_sums(scope: UsageScope, periods: Sequence[Period]) -> list[ScopeSums]:
    """What the scope used in each of the periods. Whole hours come from the cube, the ragged ends from the postings.

    Sums know only so many of the names that callers make up (`usage.dimensions`): a scope of one is summed from the
    postings, which takes as long as the period has many.
    """
    if scope.dimension:
        return posting_sums(scope, periods)
    return _summed(
        scope,
        periods,
        f"SELECT {_MEASURES} FROM usage_cube WHERE organization_id = %(organization)s::bigint"
        " AND bucket >= period.first AND bucket < period.last{scope}"
        f" UNION ALL {_FROM_POSTINGS.format(since='period.starts', until='period.first')}{{scope}}"
        f" UNION ALL {_FROM_POSTINGS.format(since='period.last', until='period.ends')}{{scope}}",
    )


def posting_sums(scope: UsageScope, periods: Sequence[Period]) -> list[ScopeSums]:
    """The same from the postings (events and adjustments) alone."""
    return _summed(scope, periods, _FROM_POSTINGS.format(since="period.starts", until="period.ends") + "{scope}")


def _summed(scope: UsageScope, periods: Sequence[Period], select: str) -> list[ScopeSums]:
    condition, parameters = scope.condition()
    whole = [_whole_hours(period) for period in periods]
    with server_cursor() as cursor:
        cursor.execute(
            f"SELECT period.number, {_SUMS} FROM unnest(%(starts)s::timestamptz[], %(firsts)s::timestamptz[],"
            " %(lasts)s::timestamptz[], %(ends)s::timestamptz[]) WITH ORDINALITY"
            " AS period (starts, first, last, ends, number)"
            f" LEFT JOIN LATERAL ({select.format(scope=condition)}) AS part ON true GROUP BY period.number ORDER BY 1",
            parameters
            | {
                "organization": scope.organization_id,
                "starts": [period.start for period in periods],
                "firsts": [hours.start for hours in whole],
                "lasts": [hours.end for hours in whole],
                "ends": [period.end for period in periods],
            },
        )
        return [ScopeSums(*map(int, sums)) for _, *sums in cursor.fetchall()]


def _whole_hours(period: Period) -> Period:
    """The whole hours of UTC inside the period; an empty stretch at its end where there are none."""
    floor = period.start.replace(minute=0, second=0, microsecond=0)
    first = floor if floor == period.start else floor + HOUR
    last = period.end.replace(minute=0, second=0, microsecond=0)
    return Period(first, last) if first < last else Period(period.end, period.end)
