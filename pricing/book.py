"""Which price an event has: provider, model, service tier and time → a rate, or the reason why there is none.

Pure: a `PriceBook` is made from plain entries (`pricing.resolve` reads them from the database) and answers from
memory. Names are looked up once; after that an answer is two dictionary reads and a search in a short list of dates.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pricing.matching import Clause, ModelIndex
from pricing.normalize import normalize
from pricing.rate import Rate
from pricing.terms import STANDARD, Terms, Tier, Units

UNKNOWN_PROVIDER = "unknown_provider"
UNKNOWN_MODEL = "unknown_model"
NO_PRICE = "no_price"
BEFORE_FIRST_PRICE = "before_first_price"
NO_TIER_PRICE = "no_tier_price"
UNSUPPORTED_UNITS = "unsupported_units"

# Billed by what an event does not count (time, characters, pages), alone or beside tokens.
_UNCOUNTED = ("_hours", "_mchars", "_kpages", "_messages_kcount", "_gpixels")
# Images and video come out of these models as output tokens at a price of their own, and an event has one count.
_MIXED_OUTPUT = frozenset({"output_image_mtok", "output_video_mtok"})

# Names come from outside: beyond this many different ones the memory of them starts anew.
REMEMBERED_NAMES = 20_000


class Resolution(NamedTuple):
    """Canonical names as far as they are known. `rate` or `reason` is set, never both.

    `rate` is the list price. Where a rule of an organization's own price book applies (`pricing.organization_book`),
    `contract` is what the organization pays instead and `rule_id` names the rule; else both are None.
    """

    provider: str
    model: str
    price_id: int | None = None
    rate: Rate | None = None
    reason: str | None = None
    contract: Rate | None = None
    rule_id: int | None = None


@dataclass(frozen=True, slots=True)
class PriceEntry:
    id: int
    effective_from: datetime
    terms: Terms


@dataclass(frozen=True, slots=True)
class ModelEntry:
    name: str
    match: Clause
    prices: Mapping[str, Sequence[PriceEntry]]  # by service tier, ascending by date


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    id: str
    fallbacks: Sequence[str]
    models: Sequence[ModelEntry]  # in the order in which matches are tried


class PricePeriod(NamedTuple):
    """One price from its date on; `windows` differ from it by the hour of the day."""

    resolution: Resolution
    windows: tuple[tuple[int, int, Resolution], ...]  # seconds after midnight UTC: from, until

    def at(self, moment: datetime) -> Resolution:
        if self.windows:
            utc = moment.astimezone(UTC)
            second = utc.hour * 3600 + utc.minute * 60 + utc.second
            for start, end, resolution in self.windows:
                if start <= second < end:
                    return resolution
        return self.resolution


class Timeline(NamedTuple):
    """Everything one name and tier ever cost: `periods` begin at `starts` (ascending), `before` is what came first."""

    starts: list[datetime]
    periods: list[PricePeriod]
    before: Resolution

    def period_at(self, moment: datetime) -> PricePeriod:
        index = bisect_right(self.starts, moment)
        return self.periods[index - 1] if index else PricePeriod(self.before, ())

    def at(self, moment: datetime) -> Resolution:
        index = bisect_right(self.starts, moment)
        return self.periods[index - 1].at(moment) if index else self.before


class PriceBook:
    """All prices of one catalog version. Safe to share between threads: what it remembers is only ever replaced."""

    def __init__(self, version: int, providers: Iterable[ProviderEntry]) -> None:
        self.version = version
        self._providers = {provider.id: provider for provider in providers}
        self._indexes: dict[str, ModelIndex] = {}
        self._timelines: dict[tuple[str, str, str], Timeline] = {}

    def resolve(self, provider: str, model: str, tier: str, at: datetime) -> Resolution:
        """`provider` and `model` as the caller wrote them; `at` is the aware time of the call."""
        key = (provider, model, tier)
        timeline = self._timelines.get(key)
        if timeline is None:
            timeline = self.timeline(provider, model, tier)
            if len(self._timelines) >= REMEMBERED_NAMES:
                self._timelines = {}
            self._timelines[key] = timeline
        return timeline.at(at)

    def timeline(self, provider: str, model: str, tier: str) -> Timeline:
        """All prices of a name at once, found anew; `resolve` remembers them."""
        vendor, name = normalize(provider, model)
        if vendor not in self._providers:
            return _always(Resolution(vendor, name, reason=UNKNOWN_PROVIDER))
        # A name that the vendor itself lists with its prefix (perplexity/sonar) is not the same as without.
        entry = self._model(vendor, model.strip()) or self._model(vendor, name)
        if entry is None:
            return _always(Resolution(vendor, name, reason=UNKNOWN_MODEL))
        return _timeline(vendor, entry, tier)

    def rates_of(self, provider: str, at: datetime) -> list[Rate]:
        """The rates of all models of a provider at a moment, of every tier; none for a provider nobody knows."""
        vendor, _ = normalize(provider, "")
        models = self._providers[vendor].models if vendor in self._providers else ()
        found = (_timeline(vendor, model, tier).at(at).rate for model in models for tier in model.prices)
        return [rate for rate in found if rate is not None]

    def _model(self, vendor: str, name: str) -> ModelEntry | None:
        for provider_id in (vendor, *self._providers[vendor].fallbacks):
            provider = self._providers.get(provider_id)
            position = self._index(provider).find(name) if provider else None
            if provider and position is not None:
                return provider.models[position]
        return None

    def _index(self, provider: ProviderEntry) -> ModelIndex:
        if provider.id not in self._indexes:
            self._indexes[provider.id] = ModelIndex([model.match for model in provider.models])
        return self._indexes[provider.id]


def _always(resolution: Resolution) -> Timeline:
    return Timeline([], [], resolution)


def _timeline(vendor: str, model: ModelEntry, tier: str) -> Timeline:
    unpriced = Resolution(vendor, model.name)
    prices = model.prices.get(tier, ())
    if not any(model.prices.values()):
        return _always(unpriced._replace(reason=NO_PRICE))
    if not prices:
        return _always(unpriced._replace(reason=NO_TIER_PRICE))
    # Before its first price a tier was sold already, at a price nobody recorded; the model itself was not.
    before = BEFORE_FIRST_PRICE if tier == STANDARD else NO_TIER_PRICE
    return Timeline(
        [price.effective_from for price in prices],
        [_period(unpriced, price) for price in prices],
        unpriced._replace(reason=before),
    )


def _period(unpriced: Resolution, price: PriceEntry) -> PricePeriod:
    terms = price.terms
    windows = tuple(
        (
            _second(window["start"]),
            _second(window["end"]),
            _resolution(unpriced, price.id, window["units"], window["tiers"], terms.extras),
        )
        for window in terms.windows
    )
    return PricePeriod(_resolution(unpriced, price.id, terms.units, terms.tiers, terms.extras), windows)


def rate_at(terms: Terms, moment: datetime) -> Rate | None:
    """The rate of a price at a moment of its time: some differ by the hour of the day. None: events cannot tell it."""
    return _period(Resolution("", ""), PriceEntry(0, moment, terms)).at(moment).rate


def _resolution(unpriced: Resolution, price_id: int, units: Units, tiers: list[Tier], extras: Units) -> Resolution:
    if not units and not extras:
        return unpriced._replace(reason=NO_PRICE)
    if not units or any(key.endswith(_UNCOUNTED) for key in extras):
        return unpriced._replace(price_id=price_id, reason=UNSUPPORTED_UNITS)
    unknown = frozenset({"output"} if _MIXED_OUTPUT & extras.keys() else ())
    return unpriced._replace(price_id=price_id, rate=Rate(units, tiers, unknown=unknown))


def _second(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60
