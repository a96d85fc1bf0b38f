"""What rules can watch for, what each asks for, and how long it must hold. Pure.

A parameter is stored and sent as people write it: amounts as decimal strings in USD, factors as decimal strings such
as "1.5", networks as lists of text in CIDR notation, everything else as whole numbers. Detectors get integers:
nano-USD, hundredths, numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import models

from alerts.kinds import AlertKind
from alerts.machine import Damping
from alerts.rule_networks import NetworkList
from common.money import parse_usd, to_usd, usd_to_nano
from common.networks import Network


class RuleKind(models.TextChoices):
    """Named like the alerts that they raise."""

    BUDGET_THRESHOLD = AlertKind.BUDGET_THRESHOLD.value, AlertKind.BUDGET_THRESHOLD.label
    FORECAST_OVERRUN = AlertKind.FORECAST_OVERRUN.value, AlertKind.FORECAST_OVERRUN.label
    RUN_OUT = AlertKind.RUN_OUT.value, AlertKind.RUN_OUT.label
    SPEND_ANOMALY = AlertKind.SPEND_ANOMALY.value, AlertKind.SPEND_ANOMALY.label
    COST_PER_REQUEST_SPIKE = AlertKind.COST_PER_REQUEST_SPIKE.value, AlertKind.COST_PER_REQUEST_SPIKE.label
    CACHE_HIT_DROP = AlertKind.CACHE_HIT_DROP.value, AlertKind.CACHE_HIT_DROP.label
    ERROR_SPEND = AlertKind.ERROR_SPEND.value, AlertKind.ERROR_SPEND.label
    NEW_MODEL = AlertKind.NEW_MODEL.value, AlertKind.NEW_MODEL.label
    UNPRICED_USAGE = AlertKind.UNPRICED_USAGE.value, AlertKind.UNPRICED_USAGE.label
    KEY_SILENT = AlertKind.KEY_SILENT.value, AlertKind.KEY_SILENT.label
    KEY_NEW_NETWORK = AlertKind.KEY_NEW_NETWORK.value, AlertKind.KEY_NEW_NETWORK.label
    INGESTION_STALLED = AlertKind.INGESTION_STALLED.value, AlertKind.INGESTION_STALLED.label
    PRICE_CHANGED = AlertKind.PRICE_CHANGED.value, AlertKind.PRICE_CHANGED.label


class ScopeType(models.TextChoices):
    """What a rule looks at. Without a value: at each of them."""

    ORGANIZATION = "organization", "The whole organization"
    BUDGET = "budget", "Budget"
    TEAM = "team", "Team"
    VIRTUAL_KEY = "virtual_key", "Virtual key"
    CUSTOMER = "customer", "Customer"
    FEATURE = "feature", "Feature"
    AGENT = "agent", "Agent"
    USER = "user", "User"
    MODEL = "model", "Model"
    TAG = "tag", "Tag"


# Scopes whose value is the id of an object.
ID_SCOPES = frozenset({ScopeType.BUDGET, ScopeType.TEAM, ScopeType.VIRTUAL_KEY})
SPEND_SCOPES = tuple(scope for scope in ScopeType if scope is not ScopeType.BUDGET)


class Measure(StrEnum):
    USD = "usd"
    TIMES = "times"
    COUNT = "count"


# A parameter in the form in which it is stored and sent.
Stored = str | int | list[str]
AT_ONCE = Damping()
MOST_USD = 10**9
MOST_TIMES = 10_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number that a rule of a kind asks for. `least` and `most` are in the unit people write."""

    name: str
    label: str
    measure: Measure
    default: str | int
    help: str = ""
    least: int = 1
    most: int = 1_000_000_000

    def read(self, given: Any) -> int:
        """The integer that a detector takes; ValueError with a sentence for anything that is not one of these."""
        match self.measure:
            case Measure.USD:
                return self._usd(given)
            case Measure.TIMES:
                return self._times(given)
        if isinstance(given, bool) or not isinstance(given, int) or not self.least <= given <= self.most:
            raise ValueError(f"must be a whole number from {self.least} to {self.most}")
        return given

    def _usd(self, given: Any) -> int:
        amount = parse_usd(given) if isinstance(given, str) else None
        nano = None if amount is None else usd_to_nano(amount)
        if nano is None or amount is None or not 0 < amount <= MOST_USD:
            raise ValueError(f'must be a decimal string in USD above 0, such as "5.00", and at most {MOST_USD}')
        return nano

    def _times(self, given: Any) -> int:
        amount = parse_usd(given) if isinstance(given, str) else None
        hundredths = None if amount is None else amount * 100
        if hundredths is None or hundredths != int(hundredths) or not 110 <= hundredths <= MOST_TIMES:
            raise ValueError('must be a decimal string from "1.1" to "100", with two decimals at most, such as "1.5"')
        return int(hundredths)

    def written(self, value: int) -> str | int:
        """The form in which it is stored and sent."""
        match self.measure:
            case Measure.USD:
                return str(to_usd(value))
            case Measure.TIMES:
                return f"{Decimal(value).scaleb(-2):f}"
        return value


@dataclass(frozen=True, slots=True)
class KindSpec:
    """`sentence` says in plain words what a rule of the kind tells; `once`: it never recovers, it was only news."""

    sentence: str
    scopes: tuple[ScopeType, ...]
    parameters: tuple[Parameter, ...] = ()
    damping: Damping = AT_ONCE
    once: bool = False
    # A new period gets an alert of its own, though the one before has not recovered.
    renews: bool = False
    networks: tuple[NetworkList, ...] = ()
    # The list among an alert's facts (`alerts.lists`) to which later readings of its period add.
    gathers: str = ""

    @property
    def asked(self) -> list[str]:
        """The names of everything that it asks for."""
        return [*(each.name for each in self.parameters), *(each.name for each in self.networks)]


def _floor(default: str, text: str) -> Parameter:
    return Parameter("floor", "Only from, in USD", Measure.USD, default, text)


_ORGANIZATION = (ScopeType.ORGANIZATION,)
_BUDGET = (ScopeType.BUDGET,)

KINDS: dict[RuleKind, KindSpec] = {
    RuleKind.BUDGET_THRESHOLD: KindSpec(
        "Tell us when a budget reaches one of its thresholds. Which ones is set at the budget.", _BUDGET
    ),
    RuleKind.FORECAST_OVERRUN: KindSpec(
        "Tell us when a budget will be overrun by the end of its period if spend goes on like this.",
        _BUDGET,
        (
            Parameter(
                "percent", "Percent of the limit", Measure.COUNT, 105,
                "What spend will come to by the end of the period.", least=50, most=1000,
            ),
        ),
        Damping(timedelta(minutes=30), timedelta(minutes=60)),
        renews=True,
    ),
    RuleKind.RUN_OUT: KindSpec(
        "Tell us when a budget will be used up within days, and before its period ends.",
        _BUDGET,
        (Parameter("days", "Within this many days", Measure.COUNT, 3, "At the pace of its period so far.", most=90),),
        Damping(timedelta(minutes=30), timedelta(minutes=60)),
        renews=True,
    ),
    RuleKind.SPEND_ANOMALY: KindSpec(
        "Tell us when spend is many times its usual for the hour and day of the week.",
        SPEND_SCOPES,
        (
            Parameter(
                "times", "Times the usual", Measure.TIMES, "1.8",
                "Usual is the middle of the same hours in the eight weeks before. Silent in the first four weeks.",
            ),
            _floor("5.00", "How far above the usual of the last 6 or 24 hours it must be."),
        ),
        Damping(timedelta(hours=1), timedelta(hours=3)),
    ),
    RuleKind.COST_PER_REQUEST_SPIKE: KindSpec(
        "Tell us when a request costs many times its usual.",
        SPEND_SCOPES,
        (
            Parameter("times", "Times the usual", Measure.TIMES, "1.5", "Usual is the middle of the last four weeks."),
            _floor("5.00", "How much dearer that must have made the last 24 hours."),
            Parameter("requests", "Requests a day", Measure.COUNT, 100, "Days with fewer say nothing."),
        ),
        Damping(timedelta(hours=1), timedelta(hours=3)),
    ),
    RuleKind.CACHE_HIT_DROP: KindSpec(
        "Tell us when a smaller share of the input is read from caches than usual.",
        SPEND_SCOPES,
        (
            Parameter(
                "points", "Points below the usual", Measure.COUNT, 20,
                "Usual is the middle of the last four weeks.", most=100,
            ),
            Parameter("tokens", "Input tokens a day", Measure.COUNT, 100_000, "Days with fewer say nothing."),
        ),
        Damping(timedelta(hours=1), timedelta(hours=3)),
    ),
    RuleKind.ERROR_SPEND: KindSpec(
        "Tell us when money goes to calls that failed.",
        SPEND_SCOPES,
        (
            Parameter("percent", "Percent of the day's spend", Measure.COUNT, 5, most=100),
            _floor("5.00", "How much the failed calls of the day must have cost."),
        ),
        Damping(timedelta(minutes=10), timedelta(hours=1)),
    ),
    RuleKind.NEW_MODEL: KindSpec(
        "Tell us when a model is used for the first time.", _ORGANIZATION, once=True
    ),
    RuleKind.UNPRICED_USAGE: KindSpec("Tell us when usage arrives that nobody knows a price for.", _ORGANIZATION),
    RuleKind.KEY_SILENT: KindSpec(
        "Tell us when a key that is always busy at this time of the week falls silent.",
        (ScopeType.VIRTUAL_KEY,),
        (
            Parameter("hours", "Hours without a request", Measure.COUNT, 6, most=168),
            Parameter(
                "requests", "Usual requests", Measure.COUNT, 20,
                "At least so many in the same hours of each of the four weeks before.",
            ),
        ),
    ),
    RuleKind.KEY_NEW_NETWORK: KindSpec(
        "Tell us when a key is used from a network that it was never used from, or not for 90 days.",
        (ScopeType.ORGANIZATION, ScopeType.TEAM, ScopeType.VIRTUAL_KEY),
        (
            Parameter(
                "days", "Days of getting to know a key", Measure.COUNT, 7,
                "From its first use on, whatever network it is used from is taken as known.", most=90,
            ),
        ),
        once=True,
        networks=(
            NetworkList(
                "ours", "Networks that are ours",
                "In CIDR notation, one a line, e.g. 198.51.100.0/24. Keys used from there are no news.",
            ),
        ),
        gathers="networks",
    ),
    RuleKind.INGESTION_STALLED: KindSpec(
        "Tell us when usage that we accepted waits too long to be counted.",
        _ORGANIZATION,
        (Parameter("minutes", "Minutes of waiting", Measure.COUNT, 10, most=1440),),
        Damping(timedelta(), timedelta(minutes=5)),
    ),
    RuleKind.PRICE_CHANGED: KindSpec(
        "Tell us when the list price of a model that we use has changed.", _ORGANIZATION, once=True, renews=True
    ),
}  # fmt: skip


def damping_of(kind: str) -> Damping:
    return KINDS[RuleKind(kind)].damping


def values_of(kind: str, stored: Mapping[str, Any]) -> dict[str, int]:
    """The parameters as a detector takes them; what was not stored has its default."""
    return {
        parameter.name: parameter.read(stored.get(parameter.name, parameter.default))
        for parameter in KINDS[RuleKind(kind)].parameters
    }


def networks_of(kind: str, stored: Mapping[str, Any]) -> dict[str, tuple[Network, ...]]:
    """The lists of networks among the parameters."""
    return {each.name: each.read(stored.get(each.name, [])) for each in KINDS[RuleKind(kind)].networks}


def parameters_checked(kind: str, given: Mapping[str, Any]) -> tuple[dict[str, Stored], dict[str, str]]:
    """The parameters as they are stored, all of them, and what is wrong with the given ones, by name."""
    spec = KINDS[RuleKind(kind)]
    faults = {name: "is not a parameter of this kind" for name in given if name not in spec.asked}
    checked: dict[str, Stored] = {}
    for parameter in spec.parameters:
        try:
            checked[parameter.name] = parameter.written(parameter.read(given.get(parameter.name, parameter.default)))
        except ValueError as error:
            faults[parameter.name] = str(error)
    for networks in spec.networks:
        try:
            checked[networks.name] = networks.written(networks.read(given.get(networks.name, [])))
        except ValueError as error:
            faults[networks.name] = str(error)
    return checked, faults
