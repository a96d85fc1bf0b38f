"""The unpriced inbox: usage that still has no price, by what was reported. Reads; inside the organization's scope."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from common.db import server_cursor
from corrections.standing import PRICES_GIVEN


class UnpricedName(NamedTuple):
    """A name and tier that events without a price were reported with, and the times of the first and the last."""

    provider: str
    model: str
    tier: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """Usage without a price, by what was reported. `teams` and `keys` are ids of who used it."""

    provider: str
    model: str
    reason: str
    tiers: tuple[str, ...]
    requests: int
    input_tokens: int
    output_tokens: int
    first_seen: datetime
    last_seen: datetime
    teams: tuple[int, ...]
    keys: tuple[int, ...]


# Events without a price, less those that were repriced since. Their index is small: most usage is priced at once.
_STILL_UNPRICED = (
    "usage_event e CROSS JOIN LATERAL (SELECT"
    "  coalesce(sum(a.unpriced_requests) FILTER (WHERE a.kind <> 'late'), 0) AS unpriced,"
    "  coalesce(sum(a.input_tokens) FILTER (WHERE a.kind <> 'late'), 0) AS input_tokens,"
    "  coalesce(sum(a.output_tokens) FILTER (WHERE a.kind <> 'late'), 0) AS output_tokens,"
    f"  {PRICES_GIVEN} AS priced"
    "  FROM usage_adjustment a WHERE a.organization_id = e.organization_id AND a.event_time = e.time"
    "  AND a.event_id = e.event_id) AS booked"
    " WHERE e.organization_id = %(organization)s AND e.cost IS NULL AND booked.priced <= 0"
)
_BOOKED_BY_RUN = (
    "EXISTS (SELECT FROM usage_adjustment r WHERE r.organization_id = e.organization_id AND r.event_time = e.time"
    " AND r.event_id = e.event_id AND r.run_id = %(run)s AND r.kind = 'reprice')"
)


def unpriced_names(organization_id: int) -> list[UnpricedName]:
    """Every name that still has usage without a price, whenever it was."""
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT reported_provider, reported_model, service_tier, min(time), max(time)"
            f" FROM {_STILL_UNPRICED} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            {"organization": organization_id},
        )
        return [UnpricedName(*row) for row in cursor.fetchall()]


def unpriced_as_priced(organization_id: int, *, booked_by: int | None = None) -> set[tuple[str, str]]:
    """(provider, model) of all usage that still has no price, by the names under which it was looked for; with the id
    of a repricing, of what that had booked and was undone."""
    booked = f" AND {_BOOKED_BY_RUN}" if booked_by is not None else ""
    with server_cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT e.provider, e.model FROM {_STILL_UNPRICED}{booked}",
            {"organization": organization_id, "run": booked_by},
        )
        return {(provider, model) for provider, model in cursor.fetchall()}


def unpriced_models(organization_id: int) -> list[UnpricedModel]:
    """Models with usage that still has no price, whenever it was, most requests first."""
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT reported_provider, reported_model, unpriced_reason, array_agg(DISTINCT service_tier),"
            " sum(e.requests + booked.unpriced),"
            " sum(uncached_input + cache_read + cache_write_5m + cache_write_1h + input_audio + booked.input_tokens),"
            " sum(output + reasoning_output + output_audio + booked.output_tokens), min(time), max(time),"
            " array_agg(DISTINCT team_id), array_agg(DISTINCT virtual_key_id)"
            f" FROM {_STILL_UNPRICED} GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2, 3",
            {"organization": organization_id},
        )
        return [
            UnpricedModel(
                provider, model, reason, tuple(tiers), int(requests), int(into), int(out), first, last,
                tuple(teams), tuple(keys),
            )
            for provider, model, reason, tiers, requests, into, out, first, last, teams, keys in cursor.fetchall()
        ]  # fmt: skip
