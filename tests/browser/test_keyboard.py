"""Everything can be done without a mouse, and one sees where one is."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import people
from tests.browser.chromium import Visitors
from tests.browser.conftest import DEMO, Demo
from tests.browser.looks import NARROW, settle

# A link that fills a card gives its ring to the card.
_FOCUS = """() => {
  const it = document.activeElement, { top, bottom, left, right } = it.getBoundingClientRect();
  const ringed = (each) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(each);
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  };
  return it === document.body ? null : {
    what: it.outerHTML.slice(0, 90),
    ring: ringed(it) || ringed(it.closest('.card') ?? it),
    seen: bottom > Math.max(top, 0) && right > Math.max(left, 0) && top < innerHeight && left < innerWidth,
  };
}"""


def tab_to(page: Page, selector: str, limit: int = 60) -> None:
    """Presses Tab until the element has the focus."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{limit} times Tab did not lead to {selector}")


def test_skip_link(demo: Demo, visitors: Visitors) -> None:
    page = visitors.open(demo.owner)
    page.goto(f"/o/{DEMO}/keys")
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to content")
    expect(link).to_be_focused()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("path", ["", "budgets", "keys/new"])
def test_the_focus_is_seen(demo: Demo, visitors: Visitors, path: str) -> None:
    page = visitors.open(demo.owner)
    page.goto(f"/o/{DEMO}/{path}")
    settle(page)
    stops = []
    for _ in range(45):
        page.keyboard.press("Tab")
        stop = page.evaluate(_FOCUS)
        if stop is None:
            break
        stops.append(stop)
    assert len(stops) > 15
    # A date has several stops, of which the browser itself marks the last.
    ringed = {stop["what"] for stop in stops if stop["ring"]}
    assert [stop for stop in stops if not (stop["what"] in ringed and stop["seen"])] == []


def test_organization_switcher(visitors: Visitors) -> None:
    page = visitors.open()
    people.sign_up(page, "group@umbrella.example")
    people.make_organization(page, "Umbrella Europe", "Europe/Berlin")
    page.goto("/organizations/new")
    people.make_organization(page, "Umbrella America", "America/New_York")
    summary = ".sidebar details.menu:has(.menu__title) > summary"
    tab_to(page, summary)
    page.keyboard.press("Enter")
    expect(page.locator(".sidebar").get_by_role("link", name="Umbrella Europe")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(summary)).to_be_focused()
    expect(page.locator(".sidebar").get_by_role("link", name="Umbrella Europe")).to_be_hidden()
    page.keyboard.press("Enter")
    tab_to(page, '.menu__item[href*="europe"]')
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("europe"))
    expect(page.locator(summary)).to_contain_text("Umbrella Europe")


def test_theme(demo: Demo, visitors: Visitors) -> None:
    """Chosen by keyboard, kept over pages and reloads, and given back to the system."""
    page = visitors.open(demo.owner, color_scheme="light")
    page.goto(f"/o/{DEMO}/alerts")
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    tab_to(page, '[data-set-theme="dark"]')
    page.keyboard.press("Enter")
    expect(page.locator('.sidebar [data-set-theme="dark"]')).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark
    page.goto(f"/o/{DEMO}/keys")
    assert page.evaluate(background) == dark
    tab_to(page, '[data-set-theme="auto"]')
    page.keyboard.press("Space")
    assert page.evaluate(background) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) == dark


def test_menu_on_a_phone(demo: Demo, visitors: Visitors) -> None:
    page = visitors.open(demo.owner, viewport=NARROW)
    page.goto(f"/o/{DEMO}/alerts")
    tab_to(page, ".mobile-bar summary", limit=3)
    page.keyboard.press("Enter")
    tab_to(page, '.mobile-bar a[href$="/budgets"]', limit=5)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/budgets"))


def test_revoking_asks_first(demo: Demo, visitors: Visitors) -> None:
    """The dialog takes the focus, and gives it back when the question is answered with no."""
    page = visitors.open(demo.owner)
    page.goto(f"/o/{DEMO}/keys")
    opener = page.get_by_role("link", name=re.compile("^Revoke")).first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
