"""Who may see and do what, on every address of an organization: new ones are covered by being named in the URLs."""

from urllib.parse import urlsplit

from playwright.sync_api import APIRequestContext, Page, expect

from tests.browser import people
from tests.browser.addresses import explore, organization_names
from tests.browser.chromium import Visitors
from tests.browser.conftest import DEMO, Demo

# What a viewer must at least be kept from.
ACTIONS = {
    "key_issue",
    "key_rotate",
    "key_revoke",
    "team_create",
    "team_edit",
    "member_invite",
    "member_edit",
    "member_remove",
    "channel_create",
    "channel_edit",
    "channel_test",
    "channel_secret",
    "alert_acknowledge",
    "alert_snooze",
    "alert_rule_create",
    "alert_rule_edit",
    "alert_rule_mute",
    "alert_rule_test",
    "alert_rule_delete",
    "tokens",
    "token_issue",
    "audit",
    "budget_create",
    "budget_edit",
    "budget_archive",
    "call_limit_create",
    "call_limit_edit",
    "call_limit_remove",
    "billed_upload",
    "budget_transfer",
    "budget_pause",
    "increase_withdraw",
    "approval_policy",
}
# What anybody may do who sees the organization; which mails come to oneself is everybody's own to say.
MAY_DO = {"increase_ask", "notifications"}


def post(page: Page, path: str) -> int:
    """The status of a form without fields, posted by hand with a valid CSRF token."""
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrftoken")
    answer = page.context.request.post(path, headers={"X-CSRFToken": token}, max_redirects=0)
    return answer.status


def get(request: APIRequestContext, path: str) -> int:
    return request.get(path, max_redirects=0).status


def test_every_address_can_be_reached(demo: Demo) -> None:
    """By the owner, through links, forms and parts of pages: otherwise nobody would find it, nor the tests below."""
    assert organization_names() - demo.site.names == set()


def test_a_viewer_sees_no_control(demo: Demo, visitors: Visitors) -> None:
    """But the one to ask for what others control."""
    viewer = visitors.open(demo.viewer)
    site = explore(viewer.context.request, DEMO)
    assert set(site.forms) == MAY_DO
    assert {key.split()[0] for key in demo.site.all.keys() - site.all.keys()} >= ACTIONS


def test_a_viewer_who_posts_by_hand_is_refused(demo: Demo, visitors: Visitors) -> None:
    viewer = visitors.open(demo.viewer)
    viewer.goto(f"/o/{DEMO}/")
    allowed = explore(viewer.context.request, DEMO).pages
    assert {key.split()[0] for key in demo.site.forms} >= {"key_issue", "settings", "channel_create"}
    wrong = {
        key: status
        for key, path in demo.site.forms.items()
        if key not in MAY_DO and (status := post(viewer, path)) != 403
    }
    wrong |= {
        key: status
        for key, path in demo.site.pages.items()
        if key not in allowed and (status := get(viewer.context.request, path)) != 403
    }
    assert wrong == {}


def test_a_stranger_finds_nothing(demo: Demo, visitors: Visitors) -> None:
    """404 everywhere, and word for word the one of an organization that does not exist."""
    stranger = visitors.open()
    people.sign_up(stranger, "stranger@globex.example")
    people.make_organization(stranger, "Globex", "UTC")
    request, wrong = stranger.context.request, {}
    for key, path in demo.site.all.items():
        statuses = (get(request, path), post(stranger, path))
        if statuses[0] not in (404, 405) or statuses[1] not in (404, 405) or statuses == (405, 405):
            wrong[key] = statuses
    assert wrong == {}
    visitors.watch.expect(404)
    texts = []
    for org in (DEMO, "no-such-organization"):
        stranger.goto(f"/o/{org}/")
        expect(stranger.get_by_role("heading", level=1)).to_be_visible()
        texts.append(stranger.get_by_role("heading", level=1).inner_text())
    assert texts[0] == texts[1]


def test_signed_out_everything_asks_to_sign_in(demo: Demo, visitors: Visitors) -> None:
    request, wrong = visitors.open().context.request, {}
    for key, path in (demo.site.pages | demo.site.parts | demo.site.downloads).items():
        answer = request.get(path, max_redirects=0)
        if answer.status != 302 or urlsplit(answer.headers["location"]).path != "/accounts/login/":
            wrong[key] = answer.status
    assert wrong == {}
