"""What the query string of reconciliation says: a month and a provider."""

import re
from datetime import date

_MONTH = re.compile(r"(20[1-9][0-9])-(0[1-9]|1[0-2])")


def parse_month(text: str) -> date | None:
    """The first day of "2026-10"; None for anything else."""
    found = _MONTH.fullmatch(text)
    return date(int(found[1]), int(found[2]), 1) if found else None
