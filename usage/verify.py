"""Proof that the rollups say what the events say, and repair where they do not."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from tenants.models import Organization
from usage.locks import lock_organization
from usage.rollup import DIMENSIONS, bucket_size
from usage.tables import MEASURES

_FROM_EVENTS = {
    "events": "count(*)",
    "requests": "sum(requests)",
    "errors": "coalesce(sum(requests) FILTER (WHERE status = 'error'), 0)",
    "unpriced_requests": "coalesce(sum(requests) FILTER (WHERE cost IS NULL), 0)",
    "list_cost": "coalesce(sum(list_cost), 0)",
    "cost": "coalesce(sum(cost), 0)",
    "input_tokens": "sum(uncached_input + cache_read + cache_write_5m + cache_write_1h + input_audio)",
    "cache_read_input_tokens": "sum(cache_read)",
    "cache_write_input_tokens": "sum(cache_write_5m + cache_write_1h)",
    "output_tokens": "sum(output + reasoning_output + output_audio)",
    "reasoning_output_tokens": "sum(reasoning_output)",
}
_VALUE = {
    "total": "''",
    "provider": "provider",
    "model": "model",
    "team": "team_id::text",
    "virtual_key": "virtual_key_id::text",
}
_BUCKET = "date_bin(%(size)s, time, timestamptz '2000-01-01')"
_SUMS = ", ".join(f"{_FROM_EVENTS[name]} AS {name}" for name in MEASURES)
_CUBE_KEY = "bucket, team_id, virtual_key_id, provider, model"
_CUBE_OF_EVENTS = (
    f"SELECT {_BUCKET} AS bucket, team_id, virtual_key_id, provider, model, {_SUMS} FROM usage_event"
    " WHERE organization_id = %(organization)s GROUP BY 1, 2, 3, 4, 5"
)


def _rollup_of_events(dimension: str) -> str:
    return (
        f"SELECT '{dimension}' AS dimension, {_BUCKET} AS bucket, {_VALUE[dimension]} AS value, {_SUMS}"
        " FROM usage_event WHERE organization_id = %(organization)s GROUP BY 2, 3"
    )


_ROLLUPS_OF_EVENTS = " UNION ALL ".join(map(_rollup_of_events, DIMENSIONS))


def differences(organization_id: int, *, limit: int = 20) -> list[str]:
    """What is in a rollup and not in the events or the other way round, as sentences; empty when all is equal.

    Holds the settling lock, so that no batch arrives in between. Call inside the organization's scope.
    """
    lock_organization(organization_id)
    found = []
    for table, key, expected in (
        ("usage_cube", _CUBE_KEY, _CUBE_OF_EVENTS),
        ("usage_rollup", "dimension, bucket, value", _ROLLUPS_OF_EVENTS),
    ):
        columns = f"{key}, {', '.join(MEASURES)}"
        kept = f"SELECT {columns} FROM {table} WHERE organization_id = %(organization)s"
        with connection.cursor() as cursor:
            cursor.execute(
                f"(SELECT '{table} has', d.* FROM ({kept} EXCEPT ({expected})) AS d LIMIT %(limit)s)"
                f" UNION ALL (SELECT 'events make', d.* FROM (({expected}) EXCEPT {kept}) AS d LIMIT %(limit)s)",
                _parameters(organization_id) | {"limit": limit},
            )
            found += [" ".join(map(str, row)) for row in cursor.fetchall()]
    return found


def rebuild(organization_id: int) -> None:
    """Makes the rollups anew from the events, at the grain the organization's zone needs. Holds the settling lock."""
    lock_organization(organization_id)
    parameters = _parameters(organization_id)
    columns = ", ".join(MEASURES)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM usage_cube WHERE organization_id = %(organization)s", parameters)
        cursor.execute("DELETE FROM usage_rollup WHERE organization_id = %(organization)s", parameters)
        cursor.execute(
            f"INSERT INTO usage_cube (organization_id, {_CUBE_KEY}, {columns})"
            f" SELECT %(organization)s, * FROM ({_CUBE_OF_EVENTS}) AS made",
            parameters,
        )
        cursor.execute(
            f"INSERT INTO usage_rollup (organization_id, dimension, bucket, value, {columns})"
            f" SELECT %(organization)s, * FROM ({_ROLLUPS_OF_EVENTS}) AS made",
            parameters,
        )


def _parameters(organization_id: int, now: datetime | None = None) -> dict[str, Any]:
    zone = ZoneInfo(Organization.objects.get(id=organization_id).timezone)
    return {"organization": organization_id, "size": bucket_size(zone, now or timezone.now())}
