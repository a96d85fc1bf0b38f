"""The whole product as one person meets it: from signing up to the alert, and to the end of a key."""

import json
import re
import time
from decimal import Decimal
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from playwright.sync_api import Page, expect

from tests.browser import people
from tests.browser.chromium import Visitors
from tests.ingest.payloads import event
from tests.product import Product
from tests.servers import SlackServer, SmtpServer, text_of

OWNER, FINANCE = "ada@lovelace.example", "finance@lovelace.example"
# At 0.10 and 0.40 USD per million tokens: 0.14 USD a call.
CALL = {"model": "gpt-4.1-nano", "usage": {"input_tokens": 1_000_000, "output_tokens": 100_000}}
USD_A_CALL = Decimal("0.14")
# An event is settled within two seconds and a page looks every five; the rest is for a busy machine.
SOON_MS = 30_000


def report(product: Product, secret: str, calls: int) -> tuple[int, dict[str, Any]]:
    """Status and answer of a POST with that many calls."""
    body = json.dumps({"events": [event(**CALL) for _ in range(calls)]}).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(f"{product.url}/api/v1/events", body, headers), timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


def mail_about(smtp: SmtpServer, address: str, words: str) -> str:
    """The text of the mail to this address whose subject has these words, once it has come."""
    deadline = time.monotonic() + SOON_MS / 1000
    while time.monotonic() < deadline:
        for mail in list(smtp.mails):
            if mail["X-Envelope-To"] == address and words in str(mail["Subject"]):
                return text_of(mail)
        time.sleep(0.1)
    raise AssertionError(f"no mail about {words} to {address}: {[(m['To'], m['Subject']) for m in smtp.mails]}")


def expect_spend(page: Page, calls: int) -> None:
    """The figure on the page, exact to the nano-dollar."""
    figure = page.locator("#overview data").first
    expect(figure).to_have_attribute("value", f"{calls * USD_A_CALL:.9f}", timeout=SOON_MS)
    expect(figure).to_have_text(f"${calls * USD_A_CALL:.2f}")


def test_from_signing_up_to_the_alert(
    product: Product, visitors: Visitors, smtp: SmtpServer, slack: SlackServer
) -> None:
    page = visitors.open()
    people.sign_up(page, OWNER)
    org = people.make_organization(page, "Lovelace & Co", "Europe/Berlin")
    people.add_team(page, org, "Engines")
    secret = people.issue_key(page, org, "engine-prod", "Engines")
    assert_secret_is_gone(page, org, secret)

    overview = page.context.new_page()
    visitors.watch.attach(overview)
    overview.goto(f"/o/{org}/")
    expect(overview.get_by_text("Waiting for the first event")).to_be_visible()
    assert report(product, secret, 1)[0] == 202
    expect_spend(overview, 1)
    expect(overview.locator(".page__lede")).to_contain_text("Europe/Berlin")

    overview.evaluate("() => { window.opened = 'before' }")
    navigations: list[str] = []
    overview.on("framenavigated", lambda frame: navigations.append(frame.url))
    assert report(product, secret, 10)[0] == 202
    expect_spend(overview, 11)

    people.add_channel(page, org, "email", "Finance", recipients=FINANCE)
    people.add_channel(page, org, "Slack", "Spend in Slack", url=slack.url)
    people.set_budget(page, org, "All of it", "2.00", "50, 80, 100")
    assert report(product, secret, 2)[0] == 202
    expect_spend(overview, 13)
    assert overview.evaluate("() => window.opened") == "before"
    assert navigations == []

    assert_alert_arrives(page, org, smtp, slack)
    people.revoke_key(page, org, "engine-prod")
    status, problem = report(product, secret, 1)
    assert status == 401
    assert problem["type"].endswith("/unauthenticated")
    overview.reload()
    expect_spend(overview, 13)


def assert_secret_is_gone(page: Page, org: str, secret: str) -> None:
    """After a reload, on going back to it, and from the list of keys."""
    assert re.fullmatch(r"chk_live_\w{40,}", secret)
    page.reload()
    assert secret not in page.content()
    page.goto(f"/o/{org}/keys")
    expect(page.get_by_role("rowheader", name="engine-prod")).to_have_count(1)
    assert secret not in page.content()
    page.go_back()
    assert secret not in page.content()


def assert_alert_arrives(page: Page, org: str, smtp: SmtpServer, slack: SlackServer) -> None:
    """On the page, as mail to both addresses and in Slack: 1.82 of 2.00 USD is past 80 %."""
    for address in (OWNER, FINANCE):
        text = mail_about(smtp, address, "All of it")
        assert "80%" in text
        assert "$1.82" in text
        assert "$2.00" in text
    message = json.dumps(slack.wait_for(1, timeout_s=SOON_MS / 1000)[0].payload)
    assert "All of it" in message
    assert "80%" in message
    page.goto(f"/o/{org}/alerts")
    page.get_by_role("table").get_by_role("link", name=re.compile("All of it")).click()
    deliveries = page.get_by_role("region", name="Table of deliveries")
    expect(deliveries.get_by_text("Slack accepted the message.")).to_be_visible(timeout=SOON_MS)
    for channel in ("Finance", "Spend in Slack"):
        row = deliveries.get_by_role("row").filter(has=page.get_by_role("rowheader", name=channel))
        expect(row).to_contain_text("Sent", timeout=SOON_MS)
    assert len(slack.requests) == 1
