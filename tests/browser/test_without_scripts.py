"""What must work where scripts do not run: signing in, reading the figures, issuing a key."""

from playwright.sync_api import expect

from tests.browser import people
from tests.browser.chromium import Visitors
from tests.browser.conftest import DEMO, Demo


def test_sign_up_and_in(visitors: Visitors) -> None:
    page = visitors.open(java_script_enabled=False)
    people.sign_up(page, "plain@hooli.example")
    people.make_organization(page, "Hooli", "UTC")
    again = visitors.open(java_script_enabled=False)
    people.sign_in(again, "plain@hooli.example", people.PASSWORD)
    expect(again.get_by_role("heading", name="Overview")).to_be_visible()


def test_figures_and_filters(demo: Demo, visitors: Visitors) -> None:
    with_scripts, without = visitors.open(demo.viewer), visitors.open(demo.viewer, java_script_enabled=False)
    for page in (with_scripts, without):
        page.goto(f"/o/{DEMO}/")
    figure = without.locator("#overview data").first
    expect(figure).to_have_attribute("value", with_scripts.locator("#overview data").first.get_attribute("value") or "")
    expect(without.get_by_role("table").first).to_be_visible()
    without.get_by_label("Team").first.select_option(label="Research")
    without.get_by_role("button", name="Apply").first.click()
    expect(without.locator(".page__lede")).to_contain_text("Research")
    expect(figure).not_to_have_text(with_scripts.locator("#overview data").first.inner_text())


def test_issue_and_revoke_a_key(demo: Demo, visitors: Visitors) -> None:
    page = visitors.open(demo.owner, java_script_enabled=False)
    assert people.issue_key(page, DEMO, "without-scripts", "Marketing").startswith("chk_live_")
    people.revoke_key(page, DEMO, "without-scripts")
