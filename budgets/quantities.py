"""How amounts of a budget's unit read. Pure."""

from budgets.models import Unit
from common.display import count, usd_exact


def said(amount: int | None, unit: str) -> str:
    """ "$50.00", "1,000,000 tokens", "20 requests"."""
    return usd_exact(amount) if unit == Unit.COST else f"{count(amount)} {Unit(unit).value}"
