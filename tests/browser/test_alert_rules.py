"""A rule from its making to its trial, mute and end, without scripts; and an alert that is put off."""

from playwright.sync_api import expect

from tests.browser.chromium import Visitors
from tests.browser.conftest import DEMO, Demo


def test_a_rule_from_its_making_to_its_end(demo: Demo, visitors: Visitors) -> None:
    page = visitors.open(demo.owner, java_script_enabled=False)
    page.goto(f"/o/{DEMO}/alerts")
    page.get_by_role("link", name="Rules").first.click()
    page.get_by_role("link", name="New rule").click()
    page.get_by_role("link", name="Unusual spend").click()
    page.get_by_label("Name", exact=True).fill("Research goes wild")
    page.get_by_label("Look at").select_option(label="Team Research")
    page.get_by_label("Times the usual").fill("3")
    page.get_by_role("button", name="Add rule").click()
    expect(page.get_by_role("heading", name="Research goes wild")).to_be_visible()
    expect(page.locator(".facts").first).to_contain_text("3.00×")
    page.get_by_role("link", name="Try it on the last 30 days").click()
    expect(page.get_by_role("heading", name="It would have fired")).to_be_visible()
    page.go_back()
    page.get_by_label("Tell nobody for").select_option(label="1 day")
    page.get_by_role("button", name="Mute").click()
    expect(page.locator(".facts").first).to_contain_text("Muted")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete rule").click()
    expect(page.get_by_role("main")).not_to_contain_text("Team Research")


def test_an_alert_is_put_off(demo: Demo, visitors: Visitors) -> None:
    page = visitors.open(demo.owner, java_script_enabled=False)
    page.goto(f"/o/{DEMO}/alerts?state=firing")
    page.get_by_role("main").get_by_role("table").get_by_role("link").last.click()
    page.get_by_label("Tell nobody more for").select_option(label="3 days")
    page.get_by_role("button", name="Snooze").click()
    expect(page.locator(".facts").first).to_contain_text("Snoozed")
    expect(page.get_by_role("region", name="Table of what became of the alert")).to_contain_text("Until")
