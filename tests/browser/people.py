"""What people do on the pages, step by step, found by the words that stand on them."""

import re
from datetime import datetime
from typing import Any

from playwright.sync_api import Page, expect

PASSWORD = "plum-teapot-sundial"


def sign_up(page: Page, email: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Create an account").click()
    _fill_sign_up(page, email)


def _fill_sign_up(page: Page, email: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign in")).to_have_count(0)


def make_organization(page: Page, name: str, zone: str) -> str:
    """Its short name."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Time zone").select_option(zone)
    page.get_by_role("button", name="Create organization").click()
    page.wait_for_url(re.compile("/o/"))
    return page.url.split("/o/")[1].split("/")[0]


def add_team(page: Page, org: str, name: str) -> None:
    page.goto(f"/o/{org}/teams")
    page.get_by_role("link", name="Add team").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add team").click()
    expect(page.get_by_role("rowheader", name=name)).to_be_visible()


def issue_key(page: Page, org: str, name: str, team: str) -> str:
    """The secret, as it is shown this once."""
    page.goto(f"/o/{org}/keys")
    page.get_by_role("link", name=re.compile("Issue (the first )?key")).first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Team").select_option(label=team)
    page.get_by_role("button", name="Issue key").click()
    return page.locator("#secret").inner_text()


def upload_usage(page: Page, org: str, name: str, content: bytes) -> None:
    page.goto(f"/o/{org}/imports")
    page.get_by_label("File", exact=True).set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Upload and map columns").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def invite(page: Page, org: str, email: str, role: str) -> None:
    page.goto(f"/o/{org}/members/invite")
    page.get_by_label("Email").fill(email)
    page.get_by_label(f"{role}:").check()
    page.get_by_role("button", name="Send invitation").click()
    expect(page.get_by_role("heading", name="Invitations")).to_be_visible()


def accept_invitation(page: Page, link: str, email: str) -> None:
    """For somebody who has no account yet."""
    page.goto(link)
    page.get_by_role("link", name="Create an account").click()
    expect(page.get_by_label("Email")).to_have_value(email)
    _fill_sign_up(page, email)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_text("Welcome to")).to_be_visible()


def add_channel(page: Page, org: str, kind: str, name: str, **address: Any) -> None:
    """`address`: `recipients` of an email channel or the `url` of a Slack webhook."""
    page.goto(f"/o/{org}/alerts/channels")
    page.get_by_role("link", name=f"Add {kind}").first.click()
    page.get_by_label("Name").fill(name)
    for field, value in address.items():
        page.get_by_label({"recipients": "Recipients", "url": "Webhook URL"}[field]).fill(value)
    page.get_by_role("button", name="Add channel").click()
    expect(page.get_by_role("rowheader", name=name)).to_be_visible()


def add_webhook(page: Page, org: str, name: str, url: str) -> str:
    """The signing secret, as it is shown this once."""
    page.goto(f"/o/{org}/alerts/channels/new/webhook")
    page.get_by_label("Name").fill(name)
    page.get_by_label("URL").fill(url)
    page.get_by_role("button", name="Add channel").click()
    return page.locator("#secret").inner_text()


def switch_off(page: Page, org: str, channel: str) -> None:
    page.goto(f"/o/{org}/alerts/channels")
    page.get_by_role("button", name=f"Switch off {channel}").click()
    expect(page.get_by_text(f"{channel} is off")).to_be_visible()


def issue_token(page: Page, org: str, name: str) -> None:
    page.goto(f"/o/{org}/settings/tokens/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("usage:read").check()
    page.get_by_role("button", name="Issue token").click()
    expect(page.locator("#secret")).to_be_visible()


def preview_repricing(page: Page, org: str, reason: str) -> None:
    page.goto(f"/o/{org}/repricing/new")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name=reason)).to_be_visible()


def revoke_key(page: Page, org: str, name: str) -> None:
    page.goto(f"/o/{org}/keys")
    page.get_by_role("link", name=f"Revoke {name}").click()
    page.get_by_role("button", name="Revoke key").locator("visible=true").click()
    expect(page.get_by_text(f"{name} is revoked")).to_be_visible()


def set_budget(page: Page, org: str, name: str, usd: str, thresholds: str) -> None:
    """For the whole organization, per month."""
    page.goto(f"/o/{org}/budgets")
    page.get_by_role("link", name=re.compile("Set the first budget|New budget")).first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Limit", exact=True).fill(usd)
    page.get_by_label("Alert at these percentages").fill(thresholds)
    page.get_by_role("button", name="Set budget").click()
    expect(page.get_by_role("link", name=name).or_(page.get_by_role("heading", name=name)).first).to_be_visible()


def open_budget(page: Page, org: str, name: str | None = None) -> None:
    """The page of the budget of this name, or of the first in the list."""
    page.goto(f"/o/{org}/budgets")
    links = page.get_by_role("region", name="Budgets").get_by_role("rowheader").get_by_role("link")
    (links.first if name is None else links.filter(has_text=name)).click()


def ask_for_more(page: Page, org: str, usd: str, reason: str, budget: str | None = None) -> None:
    """On a budget, until its period ends."""
    open_budget(page, org, budget)
    page.get_by_role("link", name="Ask for more").click()
    page.get_by_label("How much more").fill(usd)
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_text("Your request is on its way")).to_be_visible()


def pause_budget(page: Page, org: str, until: datetime, budget: str | None = None) -> None:
    open_budget(page, org, budget)
    page.get_by_role("link", name="Pause").click()
    page.get_by_label("Last day of the pause").fill(until.date().isoformat())
    page.get_by_role("button", name="Pause budget").click()
    expect(page.get_by_text("Paused", exact=True).first).to_be_visible()


def limit_calls(page: Page, org: str, team: str, models: tuple[str, str]) -> None:
    """A limit per minute and a list of allowed models for the team, and a cheaper model in place of another."""
    dear, cheap = models

    def fill(link: str, **fields: str) -> None:
        page.goto(f"/o/{org}/limits")
        page.get_by_role("link", name=link).click()
        for label, value in fields.items():
            page.get_by_label(label.replace("_", " ")).fill(value)
        whose = page.get_by_label("For", exact=True)
        if whose.count():
            whose.select_option(whose.get_by_role("option", name=team, exact=True).get_attribute("value"))
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("is set.")).to_be_visible()

    fill("Limit calls per minute", Requests_per_minute="1,200")
    fill("Allow only some models", Models=f"{dear}\ntext-embedding-3*")
    fill("Suggest a cheaper model", In_place_of=dear, Suggest=cheap)
    expect(page.get_by_text(f"{cheap} is not on the list of {team}")).to_be_visible()
