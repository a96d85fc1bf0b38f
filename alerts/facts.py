"""What an alert says beside its title: facts as labelled lines, the same on pages, in mails and in Slack. Pure.

Facts are JSON: text, whole numbers or lists of text. Amounts are decimal strings of USD, shares are in percent, moments
are RFC 3339 and read in the zone that `timezone` names. `link` is the path of the page the alert is about.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from common import display
from common.money import parse_usd, usd_to_nano

Fact = str | int | list[str]
Facts = Mapping[str, Fact]
# As handed in: what is not known may be None and is left out.
GivenFacts = Mapping[str, Fact | None]

LABELS = {
    "budget": "Budget",
    "scope": "Scope",
    "team": "Team",
    "virtual_key": "Virtual key",
    "networks": "Networks",
    "more_networks": "More networks",
    "first_seen": "First seen",
    "newest_seen": "Newest seen",
    "known_networks": "Networks known before",
    "provider": "Provider",
    "model": "Model",
    "models": "Models",
    "threshold": "Threshold",
    "percent": "Used",
    "spent": "Spent",
    "usual": "Usual",
    "times": "Times the usual",
    "limit": "Limit",
    "forecast": "Forecast",
    "runs_out_at": "Used up",
    "requests": "Requests",
    "unpriced_requests": "Unpriced requests",
    "period": "Period",
    "period_start": "From",
    "period_end": "Until",
    "rule": "Rule",
    "channel": "Channel",
    "increase": "Increase",
    "limit_now": "Limit now",
    "limit_then": "Limit then",
    "until": "Lasts until",
    "lasts": "Lasts",
    "asked_by": "Asked by",
    "decision": "Decision",
    "decided_by": "Decided by",
    "reason": "Reason",
    "note": "Note",
}
_MONEY = frozenset({"spent", "limit", "usual", "forecast", "increase", "limit_now", "limit_then"})
_PERCENT = frozenset({"threshold", "percent"})
_MOMENTS = frozenset({"period_start", "period_end", "runs_out_at", "until", "first_seen", "newest_seen"})
# Facts that say how to read or where to go rather than something to read.
_UNSPOKEN = frozenset({"link", "timezone"})


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    value: str


def lines_of(facts: Facts) -> list[Line]:
    """The facts in a fixed order, those without a label of their own last."""
    names = [name for name in LABELS if name in facts]
    names += [name for name in facts if name not in LABELS and name not in _UNSPOKEN]
    return [Line(LABELS.get(name, name.replace("_", " ").capitalize()), spoken(name, facts)) for name in names]


def spoken(name: str, facts: Facts) -> str:
    """One fact as text; a value that is not what its name promises is shown as it stands."""
    value = facts[name]
    if isinstance(value, list):
        return one_line(", ".join(value))
    if isinstance(value, int):
        return display.percent(value) if name in _PERCENT else display.count(value)
    if name in _MONEY:
        return _money(value)
    if name in _PERCENT:
        return _percent(value)
    if name in _MOMENTS:
        return _moment(value, str(facts.get("timezone", "UTC")))
    return one_line(value)


def link_of(facts: Facts) -> str | None:
    """The path of the page the alert is about; None for anything that could lead off this site."""
    link = facts.get("link")
    return link if isinstance(link, str) and link.startswith("/") and not link.startswith(("//", "/\\")) else None


def facts_checked(facts: GivenFacts) -> dict[str, Fact]:
    """The facts as they may be stored, each text on one line; TypeError for a float or anything nested."""
    return {name: _stored(name, value) for name, value in facts.items() if value is not None}


def _stored(name: str, value: Fact) -> Fact:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [one_line(item) for item in value]
    if isinstance(value, int):
        return value
    raise TypeError(f"the fact {name} must be text, a whole number or a list of text")


def one_line(text: str) -> str:
    """The text without line breaks, control characters or invisible direction marks, runs of space made one."""
    kept = (" " if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else sign for sign in text)
    return " ".join("".join(kept).split())


def _money(text: str) -> str:
    amount = parse_usd(text)
    nano = None if amount is None else usd_to_nano(amount)
    return one_line(text) if nano is None else display.usd(nano)


def _percent(text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return one_line(text)
    return display.percent(value) if value.is_finite() else one_line(text)


def _moment(text: str, zone: str) -> str:
    try:
        return display.moment(datetime.fromisoformat(text).astimezone(ZoneInfo(zone)))
    except (ValueError, KeyError):
        return one_line(text)
