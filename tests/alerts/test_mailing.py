"""Members stop their own mails: on the page, by the link in a mail, by the mailbox's own button (RFC 8058)."""

from datetime import datetime
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from alerts.deliver import deliver_due
from alerts.mailing import Mails, unsubscribe_url
from alerts.models import MailChoice
from tenants.access import organization_scope
from tenants.models import AuditEntry, Membership, User
from tenants.roles import Role
from tests.alerts.conftest import deliveries, fired, make_email_channel
from tests.alerts.test_pages import signed_in
from tests.factories import Tenant, make_member
from tests.servers import SmtpServer, text_of

pytestmark = pytest.mark.urls("tests.alerts.urls")

OUTSIDER = "outsider@elsewhere.example"


def run(now: datetime) -> int:
    return deliver_due(clock=lambda: now)


def choices(tenant: Tenant) -> dict[str, tuple[bool, str]]:
    with organization_scope(tenant.id):
        return {each.user.email: (each.alerts, each.review) for each in MailChoice.objects.select_related("user")}


def link(tenant: Tenant, user: User, mails: Mails = Mails.ALERTS) -> str:
    return unsubscribe_url(tenant.id, user.id, mails).removeprefix("http://127.0.0.1:8000")


def test_a_member_gets_the_link_and_an_outsider_none(tenant: Tenant, smtp: SmtpServer, now: datetime) -> None:
    make_email_channel(tenant, "owner@acme.example", OUTSIDER)
    fired(tenant, now)
    run(now)
    member, outsider = sorted(smtp.mails, key=lambda mail: str(mail["To"]) == OUTSIDER)
    address = str(member["List-Unsubscribe"]).strip(" <>")
    assert member["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert address in text_of(member)
    assert address.replace("&", "&amp;") in text_of(member, "html")
    assert outsider["List-Unsubscribe"] is None
    assert "unsubscribe" not in text_of(outsider)
    assert member["References"] == outsider["References"]


def test_looking_changes_nothing_and_one_click_stops_them(tenant: Tenant, smtp: SmtpServer, now: datetime) -> None:
    make_email_channel(tenant, "owner@acme.example", OUTSIDER)
    mailbox = Client(enforce_csrf_checks=True)
    url = link(tenant, tenant.owner)
    page = mailbox.get(url)
    assert (page.status_code, choices(tenant)) == (200, {})
    assert "Stop alert mails?" in page.content.decode()
    done = mailbox.post(url, {"List-Unsubscribe": "One-Click"})
    assert (done.status_code, choices(tenant)) == (200, {"owner@acme.example": (False, "never")})
    assert mailbox.post(url).status_code == 200
    with organization_scope(tenant.id):
        assert AuditEntry.objects.filter(action="member.mails_chosen", actor="owner@acme.example").count() == 1
    fired(tenant, now)
    run(now)
    assert smtp.recipients == [OUTSIDER]


def test_when_nobody_wants_it_nothing_is_sent_and_nothing_fails(
    tenant: Tenant, smtp: SmtpServer, now: datetime
) -> None:
    make_email_channel(tenant, "owner@acme.example")
    Client().post(link(tenant, tenant.owner))
    fired(tenant, now)
    run(now)
    assert ([each.status for each in deliveries(tenant)], smtp.mails) == (["sent"], [])


def test_a_link_for_reviews_leaves_alerts_alone(tenant: Tenant) -> None:
    signed_in(tenant.owner).post("/o/acme/notifications", {"alerts": "on", "review": "week"})
    Client().post(link(tenant, tenant.owner, Mails.REVIEWS))
    assert choices(tenant) == {"owner@acme.example": (True, "never")}


@pytest.mark.parametrize(
    "token",
    ["", "x", "a:b:c", signing.dumps([1, 2, "alerts"], salt="another"), signing.dumps([1, 2, "alerts"]), "\x00", "😀"],
    ids=["empty", "short", "colons", "another purpose", "no purpose", "control", "emoji"],
)
def test_a_link_we_did_not_sign_is_none(tenant: Tenant, token: str) -> None:
    for ask in (Client().get, Client().post):
        response: Any = ask("/unsubscribe", query_params={"token": token})
        assert response.status_code == 404
    assert choices(tenant) == {}


def test_a_changed_link_is_none(tenant: Tenant, stranger: Tenant) -> None:
    url = link(tenant, tenant.owner)
    assert Client().post(url[:-1] + ("A" if url[-1] != "A" else "B")).status_code == 404
    # Signed, but of somebody who is no member there.
    assert Client().post(link(tenant, stranger.owner)).status_code == 404
    assert choices(tenant) == {}


def test_who_left_has_nothing_to_stop(tenant: Tenant) -> None:
    user = make_member(tenant, Role.VIEWER)
    url = link(tenant, user)
    with organization_scope(tenant.id):
        Membership.objects.filter(user=user).delete()
    assert Client().post(url).status_code == 404


def test_every_member_chooses_for_themselves(tenant: Tenant, stranger: Tenant) -> None:
    viewer = make_member(tenant, Role.VIEWER)
    client = signed_in(viewer)
    assert client.get("/o/acme/notifications").context["form"]["alerts"].value() is True
    answer = client.post("/o/acme/notifications", {"review": "month"})
    assert (answer.status_code, answer["Location"]) == (302, "/o/acme/notifications")
    assert choices(tenant) == {viewer.email: (False, "month")}
    assert client.get("/o/acme/notifications").context["form"]["alerts"].value() is False
    assert client.post("/o/acme/notifications", {"alerts": "on", "review": "daily"}).status_code == 422
    assert client.post("/o/acme/notifications", {"alerts": "on"}).status_code == 422
    assert signed_in(stranger.owner).post("/o/acme/notifications", {"review": "week"}).status_code == 404
    assert choices(tenant) == {viewer.email: (False, "month")}
