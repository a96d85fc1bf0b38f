"""Where a page of alerts ends, as the text of a cursor: microseconds since 1970 and an id. Pure."""

from datetime import UTC, datetime, timedelta

from alerts.models import Alert
from alerts.selectors import Position
from common.api import decode_cursor, encode_cursor
from common.problems import Fault, Problem

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def cursor_after(alert: Alert) -> str:
    return encode_cursor((alert.created_at - EPOCH) // MICROSECOND, alert.id)


def position_at(cursor: str) -> Position:
    """The position that `cursor_after` wrote; Problem 422 for anything else."""
    microseconds, alert_id = decode_cursor(cursor, (int, int))
    try:
        return EPOCH + microseconds * MICROSECOND, alert_id
    except OverflowError as error:
        raise Problem("validation-error", errors=(Fault("/cursor", "invalid", "is not a cursor"),)) from error
