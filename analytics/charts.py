"""Charts as Plotly figures in JSON: pure functions from rows to what a template embeds. The only importer of plotly.

Amounts go out as exact decimal strings, which Plotly reads as numbers. Colours in a figure are those of the light
theme; `meta.slot` or `meta.token` of a trace lets the page's script draw the same series in the reader's theme.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from analytics import palette
from common.display import Number, share, usd
from common.money import to_usd

Figure = dict[str, Any]
Trace = dict[str, Any]

TOP_GROUPS = 7
_HOVER_DATE = {"hour": "%a %-d %b, %H:%M", "day": "%a %-d %b %Y", "week": "week of %-d %b %Y", "month": "%B %Y"}
_TICK_DATE = {"hour": "%H:%M\n%-d %b", "day": "%-d %b\n%Y", "week": "%-d %b\n%Y", "month": "%b\n%Y"}
_MARGIN = {"l": 56, "r": 8, "t": 8, "b": 32}
_LENGTH = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class SpendPoint:
    """Spend of one group in one interval: `start` aware, `cost` in nano-USD."""

    start: datetime
    group: str
    cost: int


@dataclass(frozen=True)
class Entry:
    """A line of the legend and of the table beside a chart. `share` is in percent of the chart's total."""

    name: str
    slot: int
    pattern: str
    cost: Number
    share: Decimal | None
    url: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a line chart: the CSS token of its colour and how it is dashed (solid, dot, dash)."""

    name: str
    token: str
    dash: str


@dataclass(frozen=True)
class Chart:
    """What `components/chart.html` shows. `id` is unique on the page."""

    id: str
    title: str
    summary: str
    figure: Figure
    entries: list[Entry] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def spend_over_time(
    points: Iterable[SpendPoint],
    *,
    chart_id: str,
    title: str,
    dimension: str,
    interval: str,
    zone: ZoneInfo,
    span: tuple[datetime, datetime] | None = None,
    links: Mapping[str, str] | None = None,
) -> Chart:
    """Stacked bars by interval in local time, the groups that cost most apart and the rest together as "Other".

    An hour that the clocks repeat shares one bar with its twin. `span` holds the first and the last interval to show,
    also where nothing was spent; `links` leads from a group to its own page.
    """
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    totals: dict[str, int] = defaultdict(int)
    clocks: dict[datetime, str] = {}
    for point in points:
        if point.start not in clocks:
            clocks[point.start] = _wall_clock(point.start, zone)
        sums[point.group][clocks[point.start]] += point.cost
        totals[point.group] += point.cost
    names = ranked(totals)
    merged = _merge(sums, names)
    drawn = palette.styles(dimension, merged)
    entries = _entries(merged, drawn, links or {})
    traces = [_bars(name, merged[name], drawn[name], interval) for name in merged]
    whole = sum(totals.values())
    return Chart(
        id=chart_id,
        title=title,
        summary=f"{title}: {usd(whole)} in total, {zone.key}",
        figure=_figure(
            traces, barmode="stack", barcornerradius=2, xaxis=_dates(interval) | _extent(span, interval, zone)
        ),
        entries=entries,
    )


def budget_burn_up(
    spent: Sequence[tuple[datetime, int]],
    *,
    chart_id: str,
    title: str,
    limit: int,
    start: datetime,
    end: datetime,
    forecast: int | None,
    zone: ZoneInfo,
) -> Chart:
    """Spend adding up over a period (`spent`: moment, nano-USD so far) beside the even pace, limit and forecast."""
    edges = [_wall_clock(start, zone), _wall_clock(end, zone)]
    actual = [(edges[0], 0), *((_wall_clock(moment, zone), cost) for moment, cost in spent)]
    drawn = {
        Line("Spent", "accent", "solid"): actual,
        Line("Even pace", "faint", "dot"): [(edges[0], 0), (edges[1], limit)],
        Line("Limit", "bar-bad", "dash"): [(edges[0], limit), (edges[1], limit)],
    }
    if forecast is not None:
        drawn[Line("Forecast", "accent", "dot")] = [actual[-1], (edges[1], forecast)]
    traces = [_line(line, points) for line, points in drawn.items()]
    so_far = actual[-1][1]
    return Chart(
        id=chart_id,
        title=title,
        summary=f"{title}: {usd(so_far)} of {usd(limit)} spent, {zone.key}",
        figure=_figure(traces, xaxis={"range": edges, **_dates("day")}),
        lines=list(drawn),
    )


def ranked(totals: Mapping[str, int], top: int = TOP_GROUPS) -> list[str]:
    """The names that cost most, dearest first; equal costs in the order of their names."""
    return sorted(totals, key=lambda name: (-totals[name], name))[:top]


def _merge(sums: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> dict[str, dict[str, int]]:
    merged = {name: dict(sums[name]) for name in names}
    other: dict[str, int] = defaultdict(int)
    for name, series in sums.items():
        if name not in merged:
            for at, cost in series.items():
                other[at] += cost
    return {**merged, palette.OTHER: dict(other)} if other else merged


def _entries(
    series: Mapping[str, Mapping[str, int]], drawn: Mapping[str, palette.Style], links: Mapping[str, str]
) -> list[Entry]:
    totals = {name: sum(costs.values()) for name, costs in series.items()}
    whole = sum(totals.values())
    return [
        Entry(name, drawn[name].slot, drawn[name].pattern, cost, share(cost, whole), links.get(name, ""))
        for name, cost in totals.items()
    ]


def _extent(span: tuple[datetime, datetime] | None, interval: str, zone: ZoneInfo) -> dict[str, Any]:
    """Half a bar more on either side: bars stand centred on the start of their interval."""
    if span is None:
        return {}
    half = _LENGTH[interval] / 2
    first, last = (edge.astimezone(zone).replace(tzinfo=None) for edge in span)
    return {"range": [(first - half).isoformat(), (last + half).isoformat()]}


def _bars(name: str, costs: Mapping[str, int], style: palette.Style, interval: str) -> Trace:
    moments = sorted(costs)
    trace = go.Bar(
        name=_text(name),
        # Told outright: Plotly would guess it from the gaps, and of a single bar it cannot.
        width=_LENGTH[interval] * 4 // 5 // _MILLISECOND if interval in _LENGTH else None,
        hovertemplate="%{customdata}",
        marker={"color": palette.LIGHT[style.slot], "pattern": {"shape": style.pattern}},
        meta={"slot": style.slot},
    )
    return _with_values(trace, moments, [costs[at] for at in moments])


def _line(line: Line, points: Sequence[tuple[str, int]]) -> Trace:
    trace = go.Scatter(
        name=line.name,
        hovertemplate="%{customdata}",
        mode="lines",
        line={"color": palette.LIGHT[0], "dash": line.dash, "width": 2.5 if line.dash == "solid" else 1.5},
        meta={"token": line.token},
    )
    return _with_values(trace, [at for at, _ in points], [cost for _, cost in points])


def _with_values(trace: Any, moments: list[str], costs: list[int]) -> Trace:
    """The values go in past Plotly's checks, which look at every single one and take longer than all the rest."""
    values = {"x": moments, "y": [to_usd(cost) for cost in costs], "customdata": [usd(cost) for cost in costs]}
    return {**trace.to_plotly_json(), **values}


def _figure(traces: Sequence[Trace], *, xaxis: Mapping[str, Any], **layout: Any) -> Figure:
    # Not go.Figure: that would add Plotly's default template, 7 kB of colours nobody draws.
    whole = go.Layout(
        margin=_MARGIN,
        hovermode="x unified",
        dragmode=False,
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={"type": "date", "showgrid": False, "fixedrange": True, "nticks": 8, **xaxis},
        yaxis={
            "type": "linear",
            "tickprefix": "$",
            "separatethousands": True,
            "rangemode": "tozero",
            "fixedrange": True,
            "nticks": 5,
            "zeroline": False,
        },
        **layout,
    )
    return {"data": list(traces), "layout": whole.to_plotly_json()}


def _dates(interval: str) -> dict[str, str]:
    return {"hoverformat": _HOVER_DATE[interval], "tickformat": _TICK_DATE[interval]}


def _wall_clock(moment: datetime, zone: ZoneInfo) -> str:
    """Local time without offset: Plotly draws such text as it stands."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def _text(name: str) -> str:
    """Plotly reads names as a kind of HTML; a team called "<b>" must stay text."""
    return escape(name or "(none)", quote=False)
