"""What can be said of a page without an eye: axe's serious findings, contrast in both themes, nothing past the edge."""

import json
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

from tests.browser.addresses import Site

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
SERIOUS = {"serious", "critical"}

_SETTLED = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  return document.readyState === 'complete' && document.fonts.status === 'loaded'
    && all('[data-chart]').every((chart) => chart.classList.contains('is-drawn'))
    && !all('.skeleton').some((each) => each.checkVisibility() && !each.closest('[data-chart]'));
}"""
_AXE_RUN = """async (rules) => {
  const told = (node) => `${node.target.join(' ')}: ${node.any.map((each) => each.message).join('; ')}`;
  const { violations } = await axe.run(document, rules);
  return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.map(told) }));
}"""
# Two frames until the new style is there, then until colours have faded to what they will be.
_STILL = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame();
  await frame();
  await Promise.allSettled(document.getAnimations().map((each) => each.finished));
}"""
_PAST_EDGE = "() => document.scrollingElement.scrollWidth - innerWidth"


def settle(page: Page) -> None:
    """Waits until the charts are drawn and what a page loads itself is there."""
    page.wait_for_function(_SETTLED)


def show(page: Page, size: Any, theme: Theme) -> None:
    """Makes the window this large and the system's theme this one, and waits until the page has followed."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=theme)
    page.evaluate(_STILL)


def faults(page: Page) -> list[str]:
    """Of the page as it stands, at both widths and in both themes."""
    settle(page)
    page.evaluate(AXE)
    found = []
    for size in (WIDE, NARROW):
        for theme in THEMES:
            show(page, size, theme)
            # Another theme changes colours and nothing else.
            rules = {} if theme == "light" else {"runOnly": ["color-contrast"]}
            found += [f"{size['width']} {theme}: {fault}" for fault in _axe(page, rules)]
        if (past := page.evaluate(_PAST_EDGE)) > 0:
            found.append(f"{size['width']}: {past} px wider than the window")
    return found


def _axe(page: Page, rules: Any) -> list[str]:
    violations = page.evaluate(_AXE_RUN, {"resultTypes": ["violations"], **rules})
    return [
        f"{each['id']} ({each['help']}): {json.dumps(each['nodes'][:4], ensure_ascii=False)}"
        for each in violations
        if each["impact"] in SERIOUS
    ]


def faults_of(page: Page, paths: dict[str, str]) -> dict[str, list[str]]:
    """The faults of several pages, by what the page is called; empty when there are none."""
    found = {}
    for name, path in paths.items():
        show(page, WIDE, "light")
        page.goto(path)
        if faults_here := faults(page):
            found[name] = faults_here
    return found


def pages_of(site: Site) -> dict[str, str]:
    return dict(sorted(site.pages.items()))
