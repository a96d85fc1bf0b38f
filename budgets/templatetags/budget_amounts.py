"""Amounts in a budget's unit on pages. They only translate: the wording is in `budgets.amounts`."""

from decimal import Decimal

from django import template

from budgets import amounts
from budgets.models import Budget

register = template.Library()


def _whole(value: object) -> int | None:
    """What a template hands over; an undefined variable arrives as ''."""
    return int(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


@register.filter
def amount(value: object, budget: Budget) -> str:
    return amounts.spoken(budget.unit, _whole(value))


@register.filter
def amount_exact(value: object, budget: Budget) -> str:
    return amounts.spoken_exact(budget.unit, _whole(value))


@register.filter
def amount_short(value: object, budget: Budget) -> str:
    return amounts.short(budget.unit, _whole(value))
