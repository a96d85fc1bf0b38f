"""More for a budget, from the one who asks over the mail of the one who decides to the limit."""

import re
import time

from playwright.sync_api import expect

from tests.browser import people
from tests.browser.chromium import Visitors
from tests.browser.conftest import invitation_link
from tests.browser.looks import faults
from tests.browser.test_journey import SOON_MS, mail_about
from tests.servers import SmtpServer, text_of

OWNER, VIEWER = "grace@hopper.example", "viewer@hopper.example"


def decision_link(smtp: SmtpServer, address: str) -> str:
    """The one in the mail of their own, which may come after that of a channel with the same subject."""
    deadline = time.monotonic() + SOON_MS / 1000
    while time.monotonic() < deadline:
        for mail in list(smtp.mails):
            link = re.search(r"http://\S+/approvals/decide\S+", text_of(mail))
            if link and mail["X-Envelope-To"] == address:
                return link.group()
        time.sleep(0.1)
    raise AssertionError(f"no mail to {address} asks for a decision")


def test_from_asking_to_the_limit(visitors: Visitors, smtp: SmtpServer) -> None:
    """The decision is made in a window that is not signed in and runs no scripts."""
    owner, viewer = visitors.open(), visitors.open()
    people.sign_up(owner, OWNER)
    org = people.make_organization(owner, "Hopper", "Europe/Berlin")
    people.set_budget(owner, org, "All of it", "100.00", "80, 100")
    people.invite(owner, org, VIEWER, "Viewer")
    people.accept_invitation(viewer, invitation_link(smtp, VIEWER), VIEWER)
    people.ask_for_more(viewer, org, "20", "The launch is on Friday", "All of it")
    expect(viewer.get_by_text("Asked to decide")).to_be_visible()
    expect(viewer.get_by_role("button", name="Approve")).to_have_count(0)

    link = decision_link(smtp, OWNER)
    mailbox = visitors.open(java_script_enabled=False)
    mailbox.goto(link)
    expect(mailbox.get_by_text("$100.00 now, $120.00 if approved")).to_be_visible()
    mailbox.get_by_label("Note").fill("Until Monday then")
    mailbox.get_by_role("button", name="Approve").click()
    expect(mailbox.get_by_text("Approved: the new limit is in force.")).to_be_visible()
    expect(mailbox.get_by_role("button", name="Approve")).to_have_count(0)

    assert "Until Monday then" in mail_about(smtp, VIEWER, "approved")
    people.open_budget(viewer, org, "All of it")
    expect(viewer.get_by_text("$120.00 in force, of which $100.00 is the limit itself")).to_be_visible()
    owner.goto(link)
    expect(owner.get_by_text("Until Monday then")).to_be_visible()
    assert faults(owner) == []
