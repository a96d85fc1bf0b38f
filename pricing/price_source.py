"""The bundled list prices of genai-prices, read into our own words. The only module that knows the source's types.

The source is asked for its price at every date and hour on which one of its conditions changes, so that its own
precedence of conditions holds; what comes out is a schedule per model and service tier. Reads nothing but the package.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import genai_prices
from genai_prices.data import providers as bundled_providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from pricing.matching import Clause, earliest_date
from pricing.terms import EARLIEST_PRICE, NO_PRICE, STANDARD, Terms, Tier, Units, Window, amount_text

SOURCE = "genai-prices"
SOURCE_VERSION = genai_prices.__version__

# What a request must say to the source for its service tiers. "standard" says nothing.
TIER_CONTEXTS: dict[str, dict[str, str]] = {
    STANDARD: {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}

# The source's price key → our unit and the factor from its quantity to a million.
_UNITS: dict[str, tuple[str, int]] = {
    "input_mtok": ("input", 1),
    "cache_read_mtok": ("cache_read", 1),
    "cache_write_mtok": ("cache_write", 1),
    "cache_write_5m_mtok": ("cache_write_5m", 1),
    "cache_write_1h_mtok": ("cache_write_1h", 1),
    "output_mtok": ("output", 1),
    "output_reasoning_mtok": ("reasoning_output", 1),
    "input_audio_mtok": ("input_audio", 1),
    "output_audio_mtok": ("output_audio", 1),
    "requests_kcount": ("requests", 1000),
}

# Audio that these vendors bill far above their text tokens, at a price that the source does not have.
_AUDIO_PRICE_MISSING = {
    ("openai", "gpt-4o-audio-preview"),
    ("openai", "gpt-4o-mini-audio-preview"),
    ("aws", "amazon.nova-sonic-v1:0"),
    ("aws", "amazon.nova-2-sonic-v1:0"),
}

_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class SourcePeriod:
    """Terms from a moment on. `dated`: the source itself says when they began."""

    effective_from: datetime
    dated: bool
    terms: Terms


@dataclass(frozen=True, slots=True)
class SourceModel:
    name: str
    match: Clause
    schedules: Mapping[str, tuple[SourcePeriod, ...]]  # by service tier, ascending; a tier without prices is absent


@dataclass(frozen=True, slots=True)
class SourceProvider:
    id: str
    name: str
    url: str
    fallbacks: tuple[str, ...]
    models: tuple[SourceModel, ...]


def read_source(providers: list[Provider] | None = None) -> list[SourceProvider]:
    """All providers of the source in its order; `providers` stands in for the bundled data in tests."""
    return [
        SourceProvider(
            id=provider.id,
            name=provider.name,
            url=(provider.pricing_urls or [""])[0],
            fallbacks=tuple(provider.fallback_model_providers or ()),
            models=tuple(_model(provider.id, model) for model in provider.models),
        )
        for provider in (bundled_providers if providers is None else providers)
    ]


def _model(provider: str, model: ModelInfo) -> SourceModel:
    match = clause_json(model.match)
    launch = earliest_date(match, model.id.lower())
    schedules = {tier: tuple(_schedule(provider, model, tier, launch)) for tier in TIER_CONTEXTS}
    return SourceModel(model.id, match, {tier: periods for tier, periods in schedules.items() if periods})


def _schedule(provider: str, model: ModelInfo, tier: str, launch: date | None) -> Iterator[SourcePeriod]:
    """The periods of one tier; equal neighbours are one period, and nothing is said before the first price."""
    context = TIER_CONTEXTS[tier]
    starts = _start_dates(model, context)
    previous = NO_PRICE
    for start in (None, *starts):
        begins = _midnight(start) if start else _base_start(launch, starts)
        shown = _without_windows(model) if start is None and starts else model
        terms = _terms_on(provider, shown, context, start or begins.date())
        if terms != previous:
            yield SourcePeriod(begins, start is not None, terms)
            previous = terms


def _start_dates(model: ModelInfo, context: dict[str, str]) -> list[date]:
    constraints = [price.constraint for price in _conditional_prices(model)]
    constraints += [variant.constraint for variant in model.price_variants or () if _fits(variant.when, context)]
    return sorted({rule.start_date for rule in constraints if isinstance(rule, StartDateConstraint)})


def _base_start(launch: date | None, starts: list[date]) -> datetime:
    if launch is None or (starts and launch >= starts[0]):
        return min(EARLIEST_PRICE, _midnight(starts[0]) - timedelta(days=1)) if starts else EARLIEST_PRICE
    return _midnight(launch)


def _without_windows(model: ModelInfo) -> ModelInfo:
    """Hours listed beside dates belong to the dated prices; the source cannot say so and applies them to all time."""
    kept = [price for price in _conditional_prices(model) if not isinstance(price.constraint, TimeOfDateConstraint)]
    return replace(model, prices=kept or model.prices)


def _terms_on(provider: str, model: ModelInfo, context: dict[str, str], day: date) -> Terms:
    """What the source says on a day, hour by hour."""
    if context and not _has_variant(model, context, day):
        return NO_PRICE
    marks = sorted({0, *_hour_marks(model)})
    by_mark = [(mark, _terms_at(provider, model, context, day, mark)) for mark in marks]
    base = next((terms for mark, terms in by_mark if not _in_window(model, day, mark)), by_mark[0][1])
    ends = [*marks[1:], _DAY]
    windows = _merged(
        Window(start=_clock(mark), end=_clock(end), units=terms.units, tiers=terms.tiers)
        for (mark, terms), end in zip(by_mark, ends, strict=True)
        if terms != base
    )
    return replace(base, windows=windows)


def _terms_at(provider: str, model: ModelInfo, context: dict[str, str], day: date, minute: int) -> Terms:
    price = model.get_prices(_midnight(day) + timedelta(minutes=minute), context or None)
    listed = {key: value for key, value in price.__dict__.items() if value is not None}
    if not listed and model.id.lower().endswith(":free"):
        return Terms(units={"input": "0", "output": "0"})  # the vendor's own name for a price of zero
    starts = sorted(
        {tier.start for value in listed.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    )
    units = _units_above(listed, -1)
    if units and (provider, model.id) in _AUDIO_PRICE_MISSING:
        units = dict.fromkeys(("input_audio", "output_audio")) | units
    return Terms(
        units=units,
        tiers=[Tier(above_input_tokens=start, units=_units_above(listed, start)) for start in starts],
        extras={key: amount_text(_amount(value, -1)) for key, value in sorted(listed.items()) if key not in _UNITS},
    )


def _units_above(listed: Mapping[str, Decimal | TieredPrices], above: int) -> Units:
    return {
        unit: amount_text(_amount(listed[key], above) * factor)
        for key, (unit, factor) in _UNITS.items()
        if key in listed
    }


def _amount(price: Decimal | TieredPrices, above: int) -> Decimal:
    """The price of a request with one input token more than `above`."""
    if isinstance(price, Decimal):
        return price
    return next((tier.price for tier in reversed(price.tiers) if tier.start <= above), price.base)


def _has_variant(model: ModelInfo, context: dict[str, str], day: date) -> bool:
    """Whether the source speaks of the tier; a variant without prices says that it costs the same."""
    return any(
        _fits(variant.when, context)
        and (not isinstance(variant.constraint, StartDateConstraint) or variant.constraint.start_date <= day)
        for variant in model.price_variants or ()
    )


def _fits(when: Mapping[str, str], context: Mapping[str, str]) -> bool:
    return all(context.get(key) == value for key, value in when.items())


def _conditional_prices(model: ModelInfo) -> list[ConditionalPrice]:
    return [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else list(model.prices)


def _windows_of(model: ModelInfo) -> list[TimeOfDateConstraint]:
    rules = [price.constraint for price in _conditional_prices(model)]
    rules += [variant.constraint for variant in model.price_variants or ()]
    return [rule for rule in rules if isinstance(rule, TimeOfDateConstraint)]


def _hour_marks(model: ModelInfo) -> Iterator[int]:
    for rule in _windows_of(model):
        yield _minute(rule.start_time)
        yield _minute(rule.end_time)


def _in_window(model: ModelInfo, day: date, minute: int) -> bool:
    return any(rule.active(_midnight(day) + timedelta(minutes=minute)) for rule in _windows_of(model))


def _minute(clock: time) -> int:
    """Minutes after midnight in UTC; the source's times without a zone are UTC."""
    aware = clock if clock.tzinfo else clock.replace(tzinfo=UTC)
    moment = datetime.combine(date(2000, 1, 2), aware).astimezone(UTC)
    return moment.hour * 60 + moment.minute


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _merged(windows: Iterator[Window]) -> list[Window]:
    merged: list[Window] = []
    for window in windows:
        last = merged[-1] if merged else None
        same = last and last["end"] == window["start"] and last["units"] == window["units"]
        if last and same and last["tiers"] == window["tiers"]:
            last["end"] = window["end"]
        else:
            merged.append(window)
    return merged


def clause_json(clause: MatchLogic) -> Clause:
    """A match clause as JSON. Raises TypeError on a kind that this version does not know."""
    match clause:
        case ClauseOr(parts):
            return {"or": [clause_json(part) for part in parts]}
        case ClauseAnd(parts):
            return {"and": [clause_json(part) for part in parts]}
        case ClauseEquals(text):
            return {"equals": text}
        case ClauseStartsWith(text):
            return {"starts_with": text}
        case ClauseEndsWith(text):
            return {"ends_with": text}
        case ClauseContains(text):
            return {"contains": text}
        case ClauseRegex(text):
            return {"regex": text}
    raise TypeError(f"unknown match clause {clause!r}")
