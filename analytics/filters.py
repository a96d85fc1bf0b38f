"""What a page's address asks for, checked: time range, filters, and how the page is laid out. No database."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict

from analytics.names import Directory
from analytics.ranges import RANGES, InvalidRange, Range, parse_interval, parse_range
from usage.dimensions import TAG, TAG_PREFIX
from usage.questions import Dimension, Interval, is_dimension, source_of

# Name in the address → dimension of usage. The first ones every event has; the others are what callers may add.
ALWAYS: Mapping[str, Dimension] = {
    "model": Dimension.MODEL,
    "provider": Dimension.PROVIDER,
    "team": Dimension.TEAM,
    "key": Dimension.VIRTUAL_KEY,
}
LABELLED: Mapping[str, Dimension] = {
    "customer": Dimension.CUSTOMER,
    "feature": Dimension.FEATURE,
    "agent": Dimension.AGENT,
    "user": Dimension.USER,
}
DIMENSIONS: Mapping[str, Dimension] = {**ALWAYS, **LABELLED}
LABELS: Mapping[str, str] = {name: name.capitalize() for name in DIMENSIONS}
_ORDER = ("provider", "model", "team", "key", *LABELLED)
STATUSES = ("ok", "error", "cancelled")
MAX_NAME = 200


class InvalidAddress(Exception):
    """What a page was asked for makes no sense; `reasons` are sentences for the reader."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons
        super().__init__(*reasons)


@dataclass(frozen=True, slots=True)
class Filters:
    """What usage must match; a team stands for itself and every team below it."""

    provider: str = ""
    model: str = ""
    team: int | None = None
    key: int | None = None
    customer: str = ""
    feature: str = ""
    agent: str = ""
    user: str = ""

    def __bool__(self) -> bool:
        return bool(self.parameters)

    @property
    def parameters(self) -> dict[str, str]:
        given = {name: getattr(self, name) for name in _ORDER}
        return {name: str(value) for name, value in given.items() if value}

    @property
    def labels(self) -> dict[str, str]:
        """Those by what callers add."""
        return {name: value for name, value in self.parameters.items() if name in LABELLED}

    def values(self, directory: Directory) -> dict[str, list[str]]:
        """The filters as rollups know them."""
        found: dict[str, list[str]] = {DIMENSIONS[name]: [value] for name, value in self.parameters.items()}
        if self.team is not None:
            found[Dimension.TEAM] = [str(team_id) for team_id in sorted(directory.below(self.team))]
        return found

    def described(self, directory: Directory) -> list[str]:
        """The filters in words, for a heading: "Team Search", "Model gpt-5"."""
        names = dict(self.parameters)
        if self.team is not None:
            names["team"] = directory.team(self.team)
        if self.key is not None:
            names["key"] = directory.key(self.key)
        return [f"{LABELS[name]} {value}" for name, value in names.items()]


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked address. `by` is the dimension of chart and movers, `show` the breakdown that is not cut short."""

    range: Range
    filters: Filters = field(default_factory=Filters)
    by: str = "model"
    interval: Interval = Interval.DAY
    chosen_interval: str = ""
    hours: bool = True  # whether the chart's sums are kept by the hour
    show: str = ""
    status: str = ""
    unpriced: bool = False
    session: str = ""
    trace: str = ""
    tag: str = ""  # the tag whose values the overview breaks down

    @property
    def parameters(self) -> dict[str, str]:
        """The shortest address that means this, without what only a single page knows."""
        return self.range.parameters | self.filters.parameters

    @property
    def layout(self) -> dict[str, str]:
        by = {} if self.by == "model" else {"by": self.by}
        chosen = {"interval": self.chosen_interval} if self.chosen_interval else {}
        return by | chosen | {name: value for name in ("show", "tag") if (value := getattr(self, name))}

    def url(self, path: str, **changes: Any) -> str:
        """The address of a page with the same range and filters, some of them changed; None drops one."""
        wanted = self.parameters | {name: str(value) for name, value in changes.items() if value is not None}
        for name, value in changes.items():
            if value is None:
                wanted.pop(name, None)
        return f"{path}?{urlencode(wanted)}" if wanted else path

    def filtered(self, **changes: Any) -> "Asked":
        return replace(self, filters=replace(self.filters, **changes))


def parse(parameters: QueryDict, *, directory: Directory, zone: ZoneInfo, now: datetime) -> Asked:
    """Everything the pages understand, of which each uses its part; unknown parameters are ignored."""
    given = {name: parameters.get(name, "") for name in parameters}
    faults: list[str] = []
    filters = Filters(
        provider=_name("provider", given, faults),
        model=_name("model", given, faults),
        team=_id("team", given, directory.team_names, faults),
        key=_id("key", given, directory.key_names, faults),
        **{name: _name(name, given, faults) for name in LABELLED},
    )
    by = _choice("by", given, DIMENSIONS, faults) or "model"
    hours = source_of(DIMENSIONS[name] for name in (by, *filters.parameters)).hourly is not None
    try:
        chosen = parse_range(given, now=now, zone=zone)
        interval = parse_interval(given.get("interval", ""), chosen, hours=hours)
    except InvalidRange as error:
        raise InvalidAddress(str(error)) from error
    asked = Asked(
        range=chosen.whole_days if filters.labels else chosen,
        filters=filters,
        by=by,
        interval=interval,
        chosen_interval=given.get("interval", ""),
        hours=hours,
        show=_choice("show", given, (*DIMENSIONS, TAG), faults),
        tag=_tag(given, faults),
        status=_choice("status", given, STATUSES, faults),
        unpriced=given.get("unpriced", "") == "1",
        session=_name("session", given, faults),
        trace=_name("trace", given, faults),
    )
    if faults:
        raise InvalidAddress(*faults)
    return asked


def _name(name: str, given: Mapping[str, str], faults: list[str]) -> str:
    value = given.get(name, "")
    if len(value) > MAX_NAME or any(character < " " or character == "\x7f" for character in value):
        faults.append(f"That is not the name of a {name}.")
        return ""
    return value


def _tag(given: Mapping[str, str], faults: list[str]) -> str:
    name = given.get(TAG, "")
    if name and not is_dimension(TAG_PREFIX + name):
        faults.append("That is not the name of a tag.")
        return ""
    return name


def _id(name: str, given: Mapping[str, str], known: Mapping[int, str], faults: list[str]) -> int | None:
    value = given.get(name, "")
    if not value:
        return None
    # Compared as text: an id that is no number, or one of another organization, is simply not among them.
    found = next((each for each in known if str(each) == value), None)
    if found is None:
        faults.append(f"There is no such {name} in this organization.")
    return found


def _choice(name: str, given: Mapping[str, str], known: Mapping[str, Any] | tuple[str, ...], faults: list[str]) -> str:
    value = given.get(name, "")
    if value and value not in known:
        faults.append(f"“{name}” can be {', '.join(known)}.")
        return ""
    return value


@dataclass(frozen=True, slots=True)
class RangeLink:
    """A choice of the range switch."""

    text: str
    url: str
    current: bool


def range_links(asked: Asked, path: str, **kept: str) -> list[RangeLink]:
    """Every named range with the page's other filters kept; an interval may not fit another range, so it is not."""
    return [
        RangeLink(
            text,
            asked.url(path, **(dict.fromkeys(("start", "end")) | {"range": name} | kept)),
            asked.range.name == name,
        )
        for name, text in RANGES.items()
    ]
