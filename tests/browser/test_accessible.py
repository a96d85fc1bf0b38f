"""axe finds nothing serious on any page, in light and dark, wide and narrow; and nothing is wider than a phone."""

import json

import pytest
from playwright.sync_api import Page

from tests.browser import people
from tests.browser.addresses import explore
from tests.browser.chromium import Visitors
from tests.browser.conftest import DEMO, Demo
from tests.browser.looks import AXE, faults, faults_of, pages_of

SIGNED_OUT = {
    "sign in": "/accounts/login/",
    "sign up": "/accounts/signup/",
    "forgotten password": "/accounts/password/reset/",
    "password mail sent": "/accounts/password/reset/done/",
    "password was reset": "/accounts/password/reset/key/done/",
    "bad reset link": "/accounts/password/reset/key/0-set-password/",
    "confirm the address": "/accounts/confirm-email/",
    "bad confirmation link": "/accounts/confirm-email/nothing/",
    "inactive": "/accounts/inactive/",
}
SIGNED_IN = {
    "email addresses": "/accounts/email/",
    "change password": "/accounts/password/change/",
    "sign out": "/accounts/logout/",
    "new organization": "/organizations/new",
}


def report(found: dict[str, list[str]]) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False)


def test_signed_out(visitors: Visitors) -> None:
    found = faults_of(visitors.open(), SIGNED_OUT)
    assert not found, report(found)


def test_account(demo: Demo, visitors: Visitors) -> None:
    found = faults_of(visitors.open(demo.owner), SIGNED_IN)
    assert not found, report(found)


def test_organization(demo: Demo, visitors: Visitors) -> None:
    """Every page with the data of a company; new pages are found by themselves."""
    found = faults_of(visitors.open(demo.owner), pages_of(demo.site))
    assert not found, report(found)


def test_what_a_viewer_gets(demo: Demo, visitors: Visitors) -> None:
    viewer = visitors.open(demo.viewer)
    found = faults_of(viewer, {name: f"/o/{DEMO}/{name}" for name in ("keys", "settings")})
    visitors.watch.expect(403, 404)
    found |= faults_of(viewer, {"403": f"/o/{DEMO}/keys/new", "404": f"/o/{DEMO}/nothing-here"})
    assert not found, report(found)


def test_before_the_first_usage(visitors: Visitors) -> None:
    """Empty states teach the next step, to everybody."""
    page = visitors.open()
    people.sign_up(page, "founder@initech.example")
    assert faults(page) == []
    org = people.make_organization(page, "Initech", "Asia/Kolkata")
    site = explore(page.context.request, org)
    empty = ("alerts", "budgets", "events", "keys", "overview", "tokens", "unpriced")
    found = faults_of(page, {name: site.pages[name] for name in empty})
    assert not found, report(found)


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        ("document.querySelector('h1').style.color = '#ddd'", "color-contrast"),
        ("document.querySelector('button[type=submit]').textContent = ''", "button-name"),
        ("document.querySelector('h1').textContent = 'x'.repeat(999)", "wider"),
    ],
)
def test_faults_are_found(visitors: Visitors, harm: str, word: str) -> None:
    page: Page = visitors.open()
    page.goto(SIGNED_OUT["sign in"])
    page.evaluate(harm)
    assert word in " ".join(faults(page))
    assert AXE.startswith("/*! axe")


def test_the_watch_sees(visitors: Visitors) -> None:
    """What every browser test relies on: a broken rule, an error and a stray request do not go unnoticed."""
    page = visitors.open()
    page.goto(SIGNED_OUT["sign in"])
    page.evaluate("() => document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))")
    page.evaluate("() => { setTimeout(() => { throw new Error('broken') }) }")
    page.evaluate("() => fetch('/accounts/nothing').then(() => 0)")
    page.evaluate("() => fetch('http://127.0.0.1:9/').catch(() => 0)")
    seen = "\n".join(visitors.watch.problems)
    for sign in ("script-src", "broken", "/accounts/nothing: 404", "http://127.0.0.1:9/"):
        assert sign in seen
    visitors.watch.problems.clear()
