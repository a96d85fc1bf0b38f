"""By how many days recorded times are moved, so that the server takes them. Pure."""

from datetime import datetime, timedelta

DAY = timedelta(days=1)


def auto_shift(first: datetime, last: datetime, now: datetime, window: tuple[timedelta, timedelta]) -> int:
    """0 when all of [first, last] is accepted now; else the days after which `last` lies in the 24 hours before now.

    `window` says how far back and ahead of now the server accepts.
    """
    back, ahead = window
    if now - back <= first and last <= now + ahead:
        return 0
    return (now - last) // DAY


def parse_shift(text: str) -> int | None:
    """What the option says: None for auto, 0 for none, else a whole number of days. ValueError for anything else."""
    match text.strip().lower():
        case "auto":
            return None
        case "none":
            return 0
    return int(text)
