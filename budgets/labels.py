"""How periods and what is left of them read on a page. Pure."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from common.display import seconds
from common.periods import Period, PeriodKind

PER = {PeriodKind.DAY: "per day", PeriodKind.WEEK: "per week", PeriodKind.MONTH: "per month"}
_ALMOST = timedelta(microseconds=1)
_TWO_DAYS = timedelta(days=2)


def period_label(kind: PeriodKind, period: Period, zone: ZoneInfo) -> str:
    """ "November 2026", "23–29 Nov 2026", "Tue 24 Nov 2026", in the budget's zone."""
    first, last = period.start.astimezone(zone), (period.end - _ALMOST).astimezone(zone)
    match kind:
        case PeriodKind.MONTH:
            return f"{first:%B %Y}"
        case PeriodKind.WEEK if first.month == last.month:
            return f"{first.day}–{last:%-d %b %Y}"
        case PeriodKind.WEEK:
            return f"{first:%-d %b} – {last:%-d %b %Y}"
        case PeriodKind.DAY:
            return f"{first:%a %-d %b %Y}"


def time_left(end: datetime, now: datetime) -> str:
    """ "6 days", "17 h 5 min"; nothing smaller than minutes."""
    left = end - now
    if left >= _TWO_DAYS:
        return f"{left.days} days"
    return seconds(max(60, int(left.total_seconds()) // 60 * 60))
