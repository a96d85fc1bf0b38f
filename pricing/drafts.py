"""What somebody wants a price rule to say, checked and brought into the one way it is written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.core.exceptions import ValidationError

from common.money import parse_usd
from pricing.normalize import normalize
from pricing.rules import ANY, EVERY_TIER, MOST_PERCENT, NO_PERCENT, RuleKind
from pricing.terms import EARLIEST_PRICE, TIERS, UNITS, Tier, Units, amount_text

MOST_TIERS = 5
MOST_TOKENS = 10**9
MOST_USD = Decimal(10**9)  # per million units
PERCENT_DECIMALS = 4
FURTHEST_AHEAD = timedelta(days=3653)

Refusals = dict[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """`units` and `tiers` as in `pricing.terms`. What a tier leaves out stays as it is below the tier."""

    name: str
    provider: str
    model: str
    kind: str
    tier: str = EVERY_TIER
    percent: Decimal | None = None
    units: Units = field(default_factory=dict)
    tiers: list[Tier] = field(default_factory=list)
    effective_from: datetime | None = None  # None: now
    effective_to: datetime | None = None
    note: str = ""


def checked(draft: Draft, now: datetime) -> Draft:
    """The draft with canonical names and amounts and a beginning; ValidationError by field for what cannot be."""
    refused: Refusals = {}
    provider, model = _names(draft, refused)
    start = draft.effective_from or now
    _check_term(start, draft.effective_to, now, refused)
    if draft.tier not in (EVERY_TIER, *TIERS):
        refused["tier"] = f"must be one of {', '.join(TIERS)}, or empty for all of them"
    units: Units = {}
    tiers: list[Tier] = []
    if draft.kind == RuleKind.PERCENT:
        _check_percent(draft, refused)
    elif draft.kind in (RuleKind.FIXED, RuleKind.CUSTOM):
        units = _units(draft.units, "units", refused)
        tiers = _tiers(draft, units, refused)
    else:
        refused["kind"] = f"must be one of {', '.join(RuleKind)}"
    if refused:
        raise ValidationError(dict(refused))
    return replace(draft, provider=provider, model=model, units=units, tiers=tiers, effective_from=start)


def _names(draft: Draft, refused: Refusals) -> tuple[str, str]:
    given = {"provider": draft.provider.strip(), "model": draft.model.strip()}
    for name, text in given.items():
        if not text or not text.isprintable():
            refused[name] = "must name one, or be * for any"
    if given["provider"] == ANY:
        provider, model = ANY, given["model"].lower()
    else:
        provider, model = normalize(given["provider"], given["model"])
    if ANY in provider and provider != ANY:
        refused["provider"] = "must be a provider's name, or * for any"
    if draft.kind == RuleKind.CUSTOM and (provider == ANY or ANY in model):
        refused["model"] = "a model of your own is one model of one provider, without *"
    return provider, model


def _check_term(start: datetime, end: datetime | None, now: datetime, refused: Refusals) -> None:
    if not EARLIEST_PRICE <= start <= now + FURTHEST_AHEAD:
        refused["effective_from"] = f"must be from {EARLIEST_PRICE:%Y-%m-%d} on and at most ten years ahead"
    if end is not None and end <= start:
        refused["effective_to"] = "must be later than the beginning"


def _check_percent(draft: Draft, refused: Refusals) -> None:
    percent = draft.percent
    if percent is None or not percent.is_finite():
        refused["percent"] = "must say how many percent of the list price to add or, negative, to take off"
    elif not NO_PERCENT <= percent <= MOST_PERCENT or percent != round(percent, PERCENT_DECIMALS):
        refused["percent"] = f"must be from {NO_PERCENT} to {MOST_PERCENT}, with at most {PERCENT_DECIMALS} decimals"
    if draft.units or draft.tiers:
        refused["units"] = "are for the kinds fixed and custom; a percentage takes the list's"


def _units(given: Mapping[str, Any], path: str, refused: Refusals) -> Units:
    if not given:
        refused[path] = f"must price at least one of {', '.join(UNITS)}"
    units: Units = {}
    for unit, text in given.items():
        amount = parse_usd(text) if isinstance(text, str) else None
        if unit not in UNITS:
            refused[path] = f"must be of {', '.join(UNITS)}"
        elif amount is None or amount > MOST_USD:
            refused[f"{path}/{unit}"] = (
                f'must be USD per 1,000,000 as a decimal string such as "2.50", at most {MOST_USD:,}'
            )
        else:
            units[unit] = amount_text(amount)
    return units


def _tiers(draft: Draft, units: Units, refused: Refusals) -> list[Tier]:
    if draft.percent is not None:
        refused["percent"] = "is for the kind percent"
    if len(draft.tiers) > MOST_TIERS:
        refused["tiers"] = f"can be {MOST_TIERS} at most"
        return []
    found: list[Tier] = []
    below = units
    for index, tier in enumerate(draft.tiers):
        below = below | _units(tier["units"], f"tiers/{index}/units", refused)
        found.append({"above_input_tokens": tier["above_input_tokens"], "units": below})
    if not _ascending([0, *(tier["above_input_tokens"] for tier in found)]):
        refused["tiers"] = f"must have rising numbers of input tokens, from 1 to {MOST_TOKENS:,}"
    return found


def _ascending(marks: Sequence[int]) -> bool:
    return all(low < high <= MOST_TOKENS for low, high in pairwise(marks))
