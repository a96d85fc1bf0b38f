"""Figures from rows: exact amounts, local time, the dearest groups apart, and nothing a name could inject."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from analytics.charts import Chart, SpendPoint, budget_burn_up, ranked, spend_over_time

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def trend(*points: SpendPoint, interval: str = "day") -> Chart:
    return spend_over_time(
        points, chart_id="trend", title="Spend by model", dimension="model", interval=interval, zone=BERLIN
    )


def test_amounts_are_exact_decimal_strings() -> None:
    chart = trend(SpendPoint(NOON, "gpt-5", 9_007_199_254_740_993))
    assert chart.figure["data"][0]["y"] == ["9007199.254740993"]
    assert chart.figure["data"][0]["customdata"] == ["$9,007,199.25"]


def test_the_figure_is_json_as_it_stands() -> None:
    chart = trend(SpendPoint(NOON, "gpt-5", 5), SpendPoint(NOON, "gpt-4o", 7))
    assert json.loads(json.dumps(chart.figure)) == chart.figure
    assert "template" not in chart.figure["layout"]


def test_time_is_local() -> None:
    summer = SpendPoint(datetime(2026, 7, 1, 22, 30, tzinfo=UTC), "gpt-5", 1)
    winter = SpendPoint(datetime(2026, 12, 1, 22, 30, tzinfo=UTC), "gpt-5", 1)
    assert trend(summer, winter).figure["data"][0]["x"] == ["2026-07-02T00:30:00", "2026-12-01T23:30:00"]


def test_the_hour_that_the_clocks_repeat_is_one_bar_with_both_sums() -> None:
    first = datetime(2026, 10, 25, 0, tzinfo=UTC)
    chart = trend(SpendPoint(first, "m", 1), SpendPoint(first + timedelta(hours=1), "m", 2), interval="hour")
    assert chart.figure["data"][0]["x"] == ["2026-10-25T02:00:00"]
    assert chart.figure["data"][0]["y"] == ["0.000000003"]


def test_seven_groups_apart_and_the_rest_together_lose_nothing() -> None:
    chart = trend(*(SpendPoint(NOON, f"m{n}", 10**n) for n in range(10)))
    assert [entry.name for entry in chart.entries] == ["m9", "m8", "m7", "m6", "m5", "m4", "m3", "Other"]
    assert chart.entries[-1].cost == 111
    assert chart.entries[-1].slot == 0
    assert sum(Decimal(trace["y"][0]) for trace in chart.figure["data"]) == Decimal("1.111111111")
    assert sum(entry.share or 0 for entry in chart.entries) == 100


def test_no_other_without_a_rest() -> None:
    assert [entry.name for entry in trend(SpendPoint(NOON, "gpt-5", 1)).entries] == ["gpt-5"]


def test_no_points_make_an_empty_chart() -> None:
    chart = trend()
    assert chart.figure["data"] == []
    assert chart.entries == []


def test_equal_costs_keep_a_stable_order() -> None:
    assert ranked({"b": 1, "a": 1, "c": 2}) == ["c", "a", "b"]


def test_a_name_is_text_and_never_markup() -> None:
    chart = trend(SpendPoint(NOON, '<a href="https://evil.example">gpt</a>', 1))
    assert chart.figure["data"][0]["name"] == '&lt;a href="https://evil.example"&gt;gpt&lt;/a&gt;'


def test_each_series_carries_the_slot_of_its_colour() -> None:
    chart = trend(SpendPoint(NOON, "claude-sonnet-4-5", 1))
    assert chart.figure["data"][0]["meta"] == {"slot": 2}


def test_the_summary_says_what_when_and_how_much() -> None:
    assert trend(SpendPoint(NOON, "gpt-5", 2_500_000_000)).summary == "Spend by model: $2.50 in total, Europe/Berlin"


def burn_up(forecast: int | None) -> Chart:
    return budget_burn_up(
        [(NOON, 4_000_000_000)],
        chart_id="burn",
        title="November",
        limit=30_000_000_000,
        start=datetime(2026, 10, 31, 23, tzinfo=UTC),
        end=datetime(2026, 11, 30, 23, tzinfo=UTC),
        forecast=forecast,
        zone=BERLIN,
    )


def test_a_burn_up_runs_from_nothing_and_the_plan_from_corner_to_corner() -> None:
    spent, pace, limit = burn_up(None).figure["data"]
    assert (spent["x"], spent["y"]) == (["2026-11-01T00:00:00", "2026-11-01T13:00:00"], ["0.000000000", "4.000000000"])
    assert (pace["x"], pace["y"]) == (["2026-11-01T00:00:00", "2026-12-01T00:00:00"], ["0.000000000", "30.000000000"])
    assert limit["y"] == ["30.000000000", "30.000000000"]


def test_a_forecast_goes_on_from_the_last_known_point() -> None:
    chart = burn_up(forecast=31_000_000_000)
    forecast = chart.figure["data"][-1]
    assert forecast["x"] == ["2026-11-01T13:00:00", "2026-12-01T00:00:00"]
    assert forecast["y"] == ["4.000000000", "31.000000000"]
    assert [line.name for line in chart.lines] == ["Spent", "Even pace", "Limit", "Forecast"]


def test_days_without_spend_are_part_of_the_picture() -> None:
    chart = spend_over_time(
        [SpendPoint(NOON, "gpt-5", 1)],
        chart_id="trend",
        title="Spend",
        dimension="model",
        interval="day",
        zone=BERLIN,
        span=(datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 29, 23, tzinfo=UTC)),
        links={"gpt-5": "/o/acme/?model=gpt-5"},
    )
    assert chart.figure["layout"]["xaxis"]["range"] == ["2026-10-31T12:00:00", "2026-11-30T12:00:00"]
    assert chart.figure["data"][0]["width"] == 24 * 3600 * 800
    assert chart.entries[0].url == "/o/acme/?model=gpt-5"


def test_plotly_knows_everything_a_figure_says() -> None:
    for chart in (trend(SpendPoint(NOON, "gpt-5", 5), SpendPoint(NOON, "gpt-4o", 7)), burn_up(None)):
        drawn = go.Figure(chart.figure)
        assert len(drawn.data) == len(chart.figure["data"])
