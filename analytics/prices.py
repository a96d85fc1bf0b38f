"""The price list as one organization sees it: what it pays beside it, and what its callers reported.

Reads only. What changes a price is `pricing.views`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.http import QueryDict

from analytics.events import event_page
from analytics.explain import PICO_DIGITS
from analytics.filters import parse
from analytics.names import directory
from common.api import decode_cursor, encode_cursor
from common.money import NANO
from pricing.models import ListPrice, PriceRule
from pricing.resolve import book_of
from pricing.rules import Rule, by_precedence, winning_rule
from pricing.selectors import price_list
from pricing.terms import STANDARD
from pricing.wording import UNIT_NAMES, UnitPrice, change_said, unit_prices
from tenants.models import Organization
from usage.questions import Dimension
from usage.selectors import SpendQuery, spend

PAGE_SIZE = 50
# Whoever used a model this recently wants to find it.
USED_FOR = timedelta(days=90)
# How many of the newest calls of a model are looked at for what they reported.
SAMPLE = 200


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One list price and what the organization pays; `more` units have prices that the columns do not show."""

    price: ListPrice
    rule: Rule | None
    input: UnitPrice | None
    cache_read: UnitPrice | None
    output: UnitPrice | None
    more: int


_COLUMNS = ("input", "cache_read", "output")


def price_row(price: ListPrice, rules: Sequence[Rule], at: datetime) -> PriceRow:
    rule = rule_of(price, rules, at)
    paid = price.units if rule is None else rule.prices(price.units, price.tiers)[0]
    by_name = {each.name: each for each in unit_prices(price.units, paid)}
    shown = {unit: by_name.get(UNIT_NAMES[unit]) for unit in _COLUMNS}
    return PriceRow(price, rule, **shown, more=len(set(price.units) - set(_COLUMNS)))


def rule_of(price: ListPrice, rules: Sequence[Rule], at: datetime) -> Rule | None:
    """The rule that counts instead of a list price at a moment."""
    named = price.model
    return winning_rule(
        rules, provider=named.provider_id, model=named.name, tier=price.tier, at=at, listed=bool(price.units)
    )


@dataclass(frozen=True, slots=True)
class PricePage:
    """`cursor` goes on to the next prices; empty at the end."""

    prices: list[ListPrice]
    cursor: str


def price_page(
    *, at: datetime, search: str, provider: str, tier: str, models: Iterable[int] | None, cursor: str
) -> PricePage:
    """`models` keeps prices of those only. Problem 422 for a cursor that is none."""
    found = price_list(at, search, provider=provider, tier=tier)
    if models is not None:
        found = found.filter(model__in=list(models))
    if cursor:
        after = decode_cursor(cursor, (str, str, str))
        found = found.filter(_after(*after))
    rows = list(found[: PAGE_SIZE + 1])
    last = rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None
    going_on = encode_cursor(last.model.provider_id, last.model.name, last.tier) if last else ""
    return PricePage(rows[:PAGE_SIZE], going_on)


def _after(provider: str, model: str, tier: str) -> Q:
    return (
        Q(model__provider_id__gt=provider)
        | Q(model__provider_id=provider, model__name__gt=model)
        | Q(model__provider_id=provider, model__name=model, tier__gt=tier)
    )


def models_used(organization_id: int, now: datetime) -> set[int]:
    """The ids of the listed models that were used lately, under whatever provider they were called."""
    query = SpendQuery(organization_id, now - USED_FOR, now, group_by=(Dimension.PROVIDER, Dimension.MODEL))
    book = book_of(organization_id)
    priced = set()
    for row in spend(query):
        provider, model = row.group.values()
        found = book.resolve(provider, model, STANDARD, now)
        if found.price_id is not None:
            priced.add(found.price_id)
    return set(ListPrice.objects.filter(id__in=priced).values_list("model", flat=True))


@dataclass(frozen=True, slots=True)
class Reported:
    """What the newest calls of a model cost by what was reported, by the list and as paid; USD and in percent."""

    calls: int
    reported: Decimal
    listed: Decimal
    paid: Decimal

    @property
    def against_list(self) -> str:
        return change_said(self.reported, self.listed)

    @property
    def against_paid(self) -> str:
        return change_said(self.reported, self.paid)


def reported_costs(organization: Organization, *, provider: str, model: str, now: datetime) -> Reported | None:
    """From the newest calls of the last days that reported a cost; None when none of them did."""
    names = directory(organization)
    parameters = QueryDict(mutable=True)
    parameters.update({"provider": provider, "model": model})
    asked = parse(parameters, directory=names, zone=ZoneInfo(organization.timezone), now=now)
    newest = event_page(organization_id=organization.id, asked=asked, directory=names, size=SAMPLE).events
    told = [event for event in newest if event.reported_cost is not None and event.cost is not None]
    if not told:
        return None
    return Reported(
        calls=len(told),
        reported=Decimal(sum(event.reported_cost or 0 for event in told)).scaleb(-PICO_DIGITS),
        listed=Decimal(sum(event.list_cost or 0 for event in told)) / NANO,
        paid=Decimal(sum(event.cost or 0 for event in told)) / NANO,
    )


def rules_about(price: ListPrice, rules: Iterable[PriceRule]) -> list[PriceRule]:
    """Every rule about a listed model and tier, the one that wins over all others first."""
    by_id = {rule.id: rule for rule in rules}
    name = price.model.name.lower()
    ranked = by_precedence((rule.as_rule() for rule in by_id.values()), price.model.provider_id, name, name, price.tier)
    return [by_id[rule.id] for rule in ranked]
