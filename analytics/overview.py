"""The overview: spend of a range, what it is made of, and what moved it. Pure: rows in, what the page shows out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from analytics import palette
from analytics.charts import Chart, SpendPoint, spend_over_time
from analytics.figures import Compared, Part, grouped, total
from analytics.filters import ALWAYS, DIMENSIONS, LABELLED, LABELS, Asked
from analytics.movers import Mover, movers
from analytics.names import Directory
from analytics.ranges import allowed_intervals, interval_starts
from usage.dimensions import OVERFLOW, TAG, TAG_PREFIX, limit_of

TOP_ROWS = 7
_PLAIN = palette.Style(0)  # the tree of teams has no colours: its rows overlap
_TITLES = {"hour": "Spend by hour and", "day": "Spend by day and", "week": "Spend by week and"}


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the pages of one organization are."""

    overview: str
    events: str
    unpriced: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a breakdown. `url` narrows the overview to it, `events_url` shows the events it is made of; both are
    empty for what has no name, and for what lies beyond the limit of names."""

    id: str
    name: str
    url: str
    events_url: str
    style: palette.Style
    depth: int
    compared: Compared


@dataclass(frozen=True, slots=True)
class Breakdown:
    """`hidden` rows are left out until `all_url` is followed; teams stand as a tree, each with what is below it."""

    name: str
    title: str
    rows: list[Row]
    hidden: int
    all_url: str
    fewer_url: str


@dataclass(frozen=True, slots=True)
class Moved:
    mover: Mover
    url: str
    style: palette.Style


@dataclass(frozen=True, slots=True)
class Choice:
    text: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Overview:
    total: Compared
    chart: Chart
    breakdowns: list[Breakdown]
    moved: list[Moved]
    by_choices: list[Choice]
    interval_choices: list[Choice]


Labelled = Mapping[str, Mapping[str, Compared]]


def overview(
    asked: Asked,
    *,
    parts: list[Part],
    labelled: Labelled,
    points: Sequence[SpendPoint],
    directory: Directory,
    paths: Paths,
) -> Overview:
    """`labelled`: name of a dimension → value → sums, for what callers added, where they did; "tag": the chosen one."""
    page = _Page(asked, directory, paths)
    names = [*ALWAYS, *(name for name in LABELLED if labelled.get(name))]
    tables = [*names, TAG] if labelled.get(TAG) else names
    return Overview(
        total=total(parts),
        chart=page.chart(points),
        breakdowns=[page.breakdown(name, parts, labelled) for name in tables],
        moved=page.moved(parts, labelled),
        by_choices=[
            Choice(LABELS[name], page.url(by=None if name == "model" else name), name == asked.by)
            for name in dict.fromkeys((*names, asked.by))
        ],
        interval_choices=[
            Choice(each.value.capitalize(), page.url(interval=each.value), each == asked.interval)
            for each in allowed_intervals(asked.range, hours=asked.hours)
        ],
    )


class _Page:
    def __init__(self, asked: Asked, directory: Directory, paths: Paths) -> None:
        self._asked = asked
        self._directory = directory
        self._paths = paths

    def url(self, **changes: str | int | None) -> str:
        return self._asked.url(self._paths.overview, **(self._asked.layout | changes))

    def chart(self, points: Sequence[SpendPoint]) -> Chart:
        asked = self._asked
        starts = interval_starts(asked.range, asked.interval)
        label = self._labels(asked.by)
        names = {value: label(value) for value in {point.group for point in points}}
        named = [SpendPoint(point.start, names[point.group], point.cost) for point in points]
        links = {name: self._branch_url(asked.by, value) for value, name in names.items()}
        return spend_over_time(
            named,
            chart_id="trend",
            title=f"{_TITLES[asked.interval]} {asked.by}",
            dimension=asked.by,
            interval=asked.interval,
            zone=asked.range.zone,
            span=(starts[0], starts[-1]),
            links=links,
        )

    def moved(self, parts: list[Part], labelled: Labelled) -> list[Moved]:
        """By the dimension of the chart, so that one change is never told twice."""
        name = self._asked.by
        label = self._labels(name)
        if name in LABELLED:
            values = list(labelled.get(name, {}))
            groups: dict[str, Compared] = {label(value): compared for value, compared in labelled.get(name, {}).items()}
        else:
            of_part = _VALUES[name]
            values = sorted(set(map(of_part, parts)))
            groups = grouped(parts, lambda part: label(of_part(part)))
        links = {label(each): self._branch_url(name, each) for each in values}
        drawn = palette.styles(name, groups)
        return [Moved(each, links[each.group], drawn[each.group]) for each in movers(groups.items())]

    def breakdown(self, name: str, parts: list[Part], labelled: Labelled) -> Breakdown:
        if name == "team":
            tree = self._tree(parts)
            number = len(tree)
            shown = tree[: self._most(name, number)]
        else:
            groups = labelled[name] if name in labelled else grouped(parts, _VALUES[name])
            number = len(groups)
            shown = self._rows(name, groups, self._most(name, number))
        return Breakdown(
            name=name,
            title=f"By tag {self._asked.tag}" if name == TAG else f"By {name}",
            rows=shown,
            hidden=number - len(shown),
            all_url=self.url(show=name),
            fewer_url=self.url(show=None) if self._asked.show == name and number > TOP_ROWS + 1 else "",
        )

    def _most(self, name: str, number: int) -> int:
        """How many of so many rows are shown; one is not hidden alone."""
        return number if self._asked.show == name or number <= TOP_ROWS + 1 else TOP_ROWS

    def _rows(self, name: str, groups: Mapping[str, Compared], most: int) -> list[Row]:
        """The first rows; colours are those that the values have among all."""
        label = self._labels(name)
        labels = {value: label(value) for value in groups}
        drawn = palette.styles(name, labels.values())
        return [
            self._row(name, value, labels[value], compared, drawn[labels[value]])
            for value, compared in islice(groups.items(), most)
        ]

    def _tree(self, parts: list[Part]) -> list[Row]:
        """Every team with usage at or below it, in tree order: what filtering by the team would show."""
        below: dict[int, Compared] = {}
        for team_id, compared in grouped(parts, lambda part: part.team_id).items():
            for above in self._directory.above(team_id, self._asked.filters.team):
                below.setdefault(above, Compared()).add(compared)
        ordered = self._directory.in_order(below, lambda team_id: -below[team_id].now.cost)
        top = min((depth for _, depth in ordered), default=0)
        return [
            self._row("team", str(team_id), self._directory.team(team_id), below[team_id], _PLAIN, depth - top)
            for team_id, depth in ordered
        ]

    def _row(self, name: str, value: str, label: str, compared: Compared, style: palette.Style, depth: int = 0) -> Row:
        known = name != TAG and _has_page(value)
        return Row(
            id=f"{name}-{value or 'none'}" if value != OVERFLOW else f"{name}-other",
            name=label,
            url=self.url(**{name: value}) if known else "",
            events_url=self._asked.url(self._paths.events, **{name: value}) if known else "",
            style=style,
            depth=depth,
            compared=compared,
        )

    def _labels(self, name: str) -> Callable[[str], str]:
        """How a value of a dimension reads. Teams are told apart at the level below the filter, or at the top."""
        if name == "key":
            return lambda value: self._directory.key(int(value))
        if name == "team":
            return self._branch_name
        return partial(label_of, name)

    def _branch_name(self, team_id: str) -> str:
        branch = self._branch(team_id)
        name = self._directory.team(branch)
        return f"{name} (itself)" if branch == self._asked.filters.team else name

    def _branch(self, team_id: str) -> int:
        return self._directory.branch_of(int(team_id), self._asked.filters.team)

    def _branch_url(self, name: str, value: str) -> str:
        if name != "team":
            return self.url(**{name: value}) if _has_page(value) else ""
        branch = self._branch(value)
        return "" if branch == self._asked.filters.team else self.url(team=branch)


def _has_page(value: str) -> bool:
    """Whether pages can be filtered by a value: by none at all, or by the sum of all others, they cannot."""
    return value not in {"", OVERFLOW}


def label_of(name: str, value: str) -> str:
    """How a value reads that callers made up."""
    if value == OVERFLOW:
        return f"Other values (beyond the first {limit_of(DIMENSIONS.get(name, TAG_PREFIX)):,} of the month)"
    return value or f"(no {name})"


_VALUES: Mapping[str, Callable[[Part], str]] = {
    "model": lambda part: part.model,
    "provider": lambda part: part.provider,
    "team": lambda part: str(part.team_id),
    "key": lambda part: str(part.key_id),
}
