"""Trying a budget on what happened, from its form, before it is saved: with scripts and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import Visitors
from tests.browser.conftest import DEMO, Demo


def budgets_there(page: Page) -> list[str]:
    page.goto(f"/o/{DEMO}/budgets")
    return page.get_by_role("rowheader").all_inner_texts()


@pytest.mark.parametrize("scripts", [True, False])
def test_before_saving(demo: Demo, visitors: Visitors, scripts: bool) -> None:
    page = visitors.open(demo.owner, java_script_enabled=scripts)
    before = budgets_there(page)
    page.goto(f"/o/{DEMO}/budgets/new")
    if scripts:
        expect(page.get_by_text(re.compile(r"^The last \d+ months?"))).to_be_visible()
    page.get_by_label("Limit", exact=True).fill("1.00")
    page.get_by_label("At the limit").select_option(label="Refuse calls that do not fit")
    page.get_by_role("button", name="Try it on the last 30 days").click()
    trial = page.get_by_role("region", name="On the last 30 days")
    expect(trial.get_by_text(re.compile(r"It would have stopped [\d,]+ of [\d,]+ calls"))).to_be_visible()
    expect(trial.get_by_role("columnheader", name="Limit reached")).to_have_count(1)
    expect(trial.get_by_role("heading", name="Teams")).to_be_visible()
    expect(page.get_by_label("Limit", exact=True)).to_have_value("1.00")
    assert budgets_there(page) == before


def test_what_is_wrong_is_said_in_its_place(demo: Demo, visitors: Visitors) -> None:
    page = visitors.open(demo.owner)
    page.goto(f"/o/{DEMO}/budgets/new")
    page.get_by_label("Limit", exact=True).fill("plenty")
    page.get_by_role("button", name="Try it on the last 30 days").click()
    expect(page.get_by_role("alert").filter(has_text="Write an amount in US dollars")).to_be_visible()
