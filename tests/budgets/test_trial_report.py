"""A back-test in words."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from budgets.backtest import Step, Trial, replay
from budgets.backtest_source import Grain
from budgets.models import Action, Budget
from budgets.trial import Tried
from budgets.trial_report import MAX_WINDOWS, Report, report_of
from budgets.windows import Window
from common.periods import Period
from tenants.access import organization_scope
from tests.budgets.support import USD
from tests.budgets.test_backtest import MONDAY, call
from tests.factories import Tenant

BERLIN = ZoneInfo("Europe/Berlin")


def reported(tenant: Tenant | None, *calls: Any, limit: int = 10 * USD, kind: str = "day", **fields: Any) -> Report:
    budget = Budget(
        organization_id=tenant.id if tenant else 1, limit=limit, timezone="Europe/Berlin", period=kind,
        shadow=fields.pop("shadow", False), unit=fields.pop("unit", "cost"),
    )  # fmt: skip
    window = Window(kind, BERLIN, days=7)
    values: dict[str, Any] = {"window": window, "unit": budget.unit, "limit": limit, "hard": True}
    trial = Trial(**values | fields)
    replayed = replay(trial, calls, before={})
    told = ("team", "virtual_key", "customer") if tenant else ()
    period = Period(MONDAY, datetime(2026, 11, 26, tzinfo=UTC))
    return report_of(Tried(budget, period, trial, Grain.EVENT, told, replayed, frozenset()))


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (reported(None), "Nothing was used in this time that the budget would have counted."),
        (
            reported(None, call(1, 5 * USD), call(30, 4 * USD)),
            "It would have stopped none of 2 calls. The fullest day came to 50% of the limit.",
        ),
        (
            reported(None, call(1, 8 * USD), call(2, 5 * USD), call(30, 4 * USD)),
            "It would have stopped 1 of 3 calls ($5.00 of $17.00) in 1 of 2 days, first on 23 Nov 2026, 03:00 CET.",
        ),
        (
            reported(None, call(1, 8 * USD), call(2, 5 * USD), hard=False),
            "It refuses nothing. The limit would have been reached in 1 of 1 day, by $3.00 in all, first on"
            " 23 Nov 2026, 03:00 CET.",
        ),
        (
            reported(None, call(1, 4), call(2, 3), limit=60, unit="tokens", hard=False),
            "It refuses nothing. The limit would have been reached in 1 of 1 day, by 10 tokens in all, first on"
            " 23 Nov 2026, 03:00 CET.",
        ),
        (
            reported(
                None, call(1, 8 * USD), call(2, 5 * USD, cheaper=USD), steps=(Step(8 * USD, Action.DEGRADE),)
            ),
            "1 call would have gone to a cheaper model, $4.00 less.",
        ),
    ],
)  # fmt: skip
def test_the_sentence(report: Report, sentence: str) -> None:
    assert report.sentence == sentence


def test_notes() -> None:
    report = reported(None, call(1, 11 * USD), shadow=True)
    assert [note.split()[0] for note in report.notes] == ["Every", "In", "That"]


def test_names_of_those_affected(tenant: Tenant, stranger: Tenant) -> None:
    ours = {"team_id": tenant.team.id, "virtual_key_id": tenant.key.id, "customer": ""}
    theirs = call(2, 12 * USD, virtual_key_id=stranger.key.id, team_id=stranger.team.id)
    with organization_scope(tenant.id):
        report = reported(tenant, call(1, 11 * USD, **ours), theirs)
    assert [(each.name, each.tally.cost) for each in report.affected["virtual_key"]] == [
        ("", 12 * USD),
        ("first key", 11 * USD),
    ]
    assert [each.name for each in report.affected["customer"]] == ["acme", ""]
    assert "model" not in report.affected


def test_of_very_many_windows_those_where_something_happened() -> None:
    calls = [call(hour, 11 * USD if hour % 2 else USD) for hour in range(MAX_WINDOWS + 10)]
    report = reported(None, *calls, kind="hour")
    assert len(report.windows) == (MAX_WINDOWS + 10) // 2
    assert all(window.stopped.calls for window in report.windows)
