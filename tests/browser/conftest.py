"""One product, one browser and the people of the demo organization for all browser tests.

Package fixtures, not session ones: while Playwright runs, an event loop runs in this thread, and Django would refuse
database queries of the tests that come after. For the same reason nothing here may use the ORM.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import people
from tests.browser.addresses import Site, explore
from tests.browser.chromium import Visitors, running_chromium
from tests.ingest.files import usage_csv
from tests.product import Product, running_product
from tests.servers import SlackServer, SmtpServer, text_of

DEMO = "demo"
VIEWER, INVITED = "viewer@northwind.example", "invited@northwind.example"


@pytest.fixture(scope="package")
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as smtp:
        yield smtp


@pytest.fixture(scope="package")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as slack:
        yield slack


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def product(browser: Browser, smtp: SmtpServer, slack: SlackServer) -> Iterator[Product]:
    with running_product(EMAIL_URL=smtp.url, OUTBOUND_ALLOWED_ORIGINS=slack.origin) as product:
        yield product


@pytest.fixture
def visitors(browser: Browser, product: Product) -> Iterator[Visitors]:
    """Windows for one test, which fails if anything went wrong in one of them."""
    visitors = Visitors(browser, product.url)
    yield visitors
    visitors.close()
    assert not visitors.watch.problems, "\n".join(visitors.watch.problems)


@dataclass(frozen=True)
class Demo:
    """The demo organization: the windows of its owner and of a viewer who was invited, and all its addresses."""

    owner: Any
    viewer: Any
    site: Site


@pytest.fixture(scope="package")
def demo(browser: Browser, product: Product, smtp: SmtpServer, slack: SlackServer) -> Demo:
    """With one of everything that the demo itself has not: a token, channels off, an import, a viewer and more."""
    said = product.run("manage.py", "demo")
    login = re.search(r"login: (\S+)  password: (\S+)", said)
    assert login, said
    visitors = Visitors(browser, product.url)
    owner = visitors.open()
    people.sign_in(owner, *login.groups())
    people.issue_token(owner, DEMO, "terraform")
    people.preview_repricing(owner, DEMO, "New agreement")
    people.add_channel(owner, DEMO, "Slack", "Spend in Slack", url=slack.url)
    people.switch_off(owner, DEMO, "Spend in Slack")
    assert people.add_webhook(owner, DEMO, "Our receiver", slack.url).startswith("whsec_")
    people.switch_off(owner, DEMO, "Our receiver")
    people.pause_budget(owner, DEMO, datetime.now(UTC) + timedelta(days=5))
    people.ask_for_more(owner, DEMO, "250.00", "A customer launches on Friday")
    people.limit_calls(owner, DEMO, "Research", ("gpt-5.6-sol", "gpt-5.6-luna"))
    people.upload_usage(owner, DEMO, "last-quarter.csv", usage_csv(datetime.now(UTC)))
    for email in (VIEWER, INVITED):
        people.invite(owner, DEMO, email, "Viewer")
    viewer = visitors.open()
    people.accept_invitation(viewer, invitation_link(smtp, VIEWER), VIEWER)
    demo = Demo(owner.context.storage_state(), viewer.context.storage_state(), explore(owner.context.request, DEMO))
    visitors.close()
    assert not visitors.watch.problems, "\n".join(visitors.watch.problems)
    return demo


def invitation_link(smtp: SmtpServer, email: str) -> str:
    mails = [mail for mail in smtp.mails if mail["X-Envelope-To"] == email]
    link = re.search(r"http://\S+token=\S+", text_of(mails[-1]))
    assert link
    return link.group()
