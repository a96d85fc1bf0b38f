"""What is remembered of traces between requests, so that no span is billed beside its ancestor.

An ancestor mostly ends, and therefore comes, after what is below it. So the ids of all that is above a span with usage
are kept; that a span was billed is known from the claim on its id. Two requests of one trace that arrive in the same
instant do not see each other, and neither does a span whose chain of parents has a gap that arrives later.
"""

from collections.abc import Collection
from datetime import datetime

from common.db import server_cursor
from ingest.formats.otlp.common import Found
from ingest.formats.otlp.traces import Tree

_REMEMBERED = """
SELECT span, true FROM ingest_covered_span WHERE organization_id = %(organization)s AND span = ANY(%(ids)s)
UNION ALL
SELECT event_id, false FROM ingest_claim WHERE organization_id = %(organization)s AND event_id = ANY(%(ids)s)
"""


def billed(organization_id: int, tree: Tree, *, now: datetime) -> Found:
    """What of a request is billed, remembering what it covers. Call inside the organization's scope."""
    known, taken = _remembered(organization_id, tree.ids)
    covered = tree.covered(known)
    _remember(organization_id, covered - known, now)
    return tree.billed(covered | known, taken)


def _remembered(organization_id: int, ids: Collection[str]) -> tuple[set[str], set[str]]:
    """Which of these spans are covered, and which are billed."""
    if not ids:
        return set(), set()
    asked = {"organization": organization_id, "ids": list(ids)}
    with server_cursor() as cursor:
        cursor.execute(_REMEMBERED, asked)
        rows = cursor.fetchall()
    return {span for span, covered in rows if covered}, {span for span, covered in rows if not covered}


def _remember(organization_id: int, ids: Collection[str], now: datetime) -> None:
    if not ids:
        return
    with server_cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_covered_span (organization_id, span, noted_at)"
            " SELECT %s, span, %s FROM unnest(%s::text[]) AS span ON CONFLICT DO NOTHING",
            # In order, so that two requests of one trace cannot lock each other out.
            [organization_id, now, sorted(ids)],
        )
