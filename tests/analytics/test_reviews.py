"""Cost reviews: what the page says is what the events cost, who may see it, and that a mail comes once."""

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.test import Client
from pypdf import PdfReader

from alerts.mailing import choice_set
from alerts.models import ReviewEvery, ReviewMail
from analytics.review_mails import LATEST, reviews_send
from analytics.review_periods import MONTH, ReviewPeriod, last_ended
from analytics.reviews import Review, review
from common.display import usd, usd_signed
from tenants.access import organization_scope
from tenants.models import User
from tenants.roles import Role
from tests.analytics.support import at, cost_of_events, settle, signed_in, text
from tests.factories import Tenant, make_key, make_member, make_team
from tests.servers import SmtpServer, text_of

pytestmark = pytest.mark.usefixtures("prices")

UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def month(now: datetime) -> ReviewPeriod:
    return last_ended(MONTH, now, UTC_ZONE)


def calls(period: ReviewPeriod, count: int, prefix: str, **fields: Any) -> list[dict[str, Any]]:
    start = period.whole.start + timedelta(hours=1)
    return [at(start + timedelta(minutes=number), id=f"{prefix}{number}", **fields) for number in range(count)]


@pytest.fixture
def usage(tenant: Tenant, month: ReviewPeriod) -> Tenant:
    """Twice the requests of a month before, and a dearer model that a team below began to use."""
    cheap = {"model": "gpt-4.1-nano", "usage": {"input_tokens": 1_000, "output_tokens": 100}}
    settle(tenant, calls(month.previous, 3, "a", **cheap))
    settle(tenant, calls(month, 6, "b", **cheap))
    search = make_team(tenant, "Search", parent=tenant.team)
    key, _ = make_key(tenant, "search", team=search)
    dear = {"model": "gpt-4.1", "usage": {"input_tokens": 1_000, "output_tokens": 100}}
    settle(tenant, calls(month, 2, "c", **dear), key=key)
    settle(tenant, calls(month, 1, "d", model="nobody-knows-this"), key=key)
    return tenant


def reviewed(tenant: Tenant, period: ReviewPeriod, now: datetime, **given: Any) -> Review:
    with organization_scope(tenant.id):
        return review(tenant.organization, period, now=now, **given)


def test_the_review_is_what_the_events_cost_and_the_reasons_add_up(
    usage: Tenant, month: ReviewPeriod, now: datetime
) -> None:
    found = reviewed(usage, month, now)
    whole, before = month.whole, month.previous.whole
    assert found.total.now == cost_of_events(usage, whole.start, whole.end) > 0
    assert found.total.before == cost_of_events(usage, before.start, before.end) > 0
    assert sum(amount for _, amount in found.reasons) == found.total.change == found.total.why.change
    assert (found.total.requests, found.unpriced_requests) == (8, 1)
    assert (found.total.why.price, found.total.why.tokens) == (0, 0)
    assert found.total.why.volume > 0
    assert found.total.why.mix > 0
    assert [each.name for each in found.models] == ["gpt-4.1", "gpt-4.1-nano"]
    assert sum(each.now for each in found.teams) == found.total.now


def test_a_teams_review_holds_what_is_below_it(usage: Tenant, month: ReviewPeriod, now: datetime) -> None:
    top = reviewed(usage, month, now, team_id=usage.team.id)
    assert [each.name for each in top.teams] == ["Search", "Default"]
    assert top.total.now == reviewed(usage, month, now).total.now
    search = reviewed(usage, month, now, team_id=top.teams[0].team_id)
    assert (search.total.name, search.total.now, search.total.before) == ("Search", top.teams[0].now, 0)
    assert search.total.why.volume == search.total.now


def test_the_page_for_every_member_and_for_no_stranger(
    usage: Tenant, stranger: Tenant, month: ReviewPeriod, now: datetime
) -> None:
    total = reviewed(usage, month, now).total
    client = signed_in(make_member(usage, Role.VIEWER))
    page = text(client.get("/o/acme/review"))
    for words in ("Cost review", month.label, "Why it changed", "Default", "gpt-4.1", "1 requests have no price yet"):
        assert words in page
    assert f'title="{"" if total.change >= 0 else "−"}$' in page
    assert text(client.get(f"/o/acme/review?period={month.parameter}&team={usage.team.id}")).count("Search") >= 1
    assert text(client.get("/o/acme/review?period=2015-02")).count("Nothing was spent") == 1
    for query in ("?period=2099-01", "?period=x", "?period=2026-13"):
        assert client.get(f"/o/acme/review{query}").status_code == 422
    for query in ("?team=1", "?team=x", "?team=-1", f"?team={stranger.team.id}"):
        assert client.get(f"/o/acme/review{query}").status_code == 404
    assert signed_in(stranger.owner).get("/o/acme/review").status_code == 404
    assert Client().get("/o/acme/review").status_code == 302


def test_the_pdf_says_what_the_page_says_to_whom_it_says_it(
    usage: Tenant, stranger: Tenant, month: ReviewPeriod, now: datetime
) -> None:
    found = reviewed(usage, month, now)
    client = signed_in(make_member(usage, Role.VIEWER))
    page = text(client.get("/o/acme/review"))
    address = f"/o/acme/review.pdf?period={month.parameter}"
    assert f'href="{address}" download' in page
    answer: Any = client.get(address)
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == f'attachment; filename="cost-review-acme-{month.parameter}.pdf"'
    paper = pdf_text(answer.content)
    figures = [usd(found.total.now), usd(found.total.before), usd_signed(found.total.change)]
    figures += [usd_signed(amount) for _, amount in found.reasons]
    figures += [usd(each.now) for each in (*found.teams, *found.models)]
    for words in (*figures, month.label, found.unpriced_words, "gpt-4.1-nano", "Default"):
        assert words in page
        assert words in paper
    team = f"&team={usage.team.id}"
    assert f"{address}{team}".replace("&", "&amp;") in text(
        client.get(f"/o/acme/review?period={month.parameter}{team}")
    )
    one: Any = client.get(f"{address}{team}")
    assert f'"cost-review-acme-{usage.team.slug}-{month.parameter}.pdf"' in one["Content-Disposition"]
    assert "A team of Acme with everything below it." in pdf_text(one.content)
    assert "Nothing was spent" in pdf_text(client.get("/o/acme/review.pdf?period=2015-02").content)
    for query in ("?period=2099-01", "?period=x"):
        assert client.get(f"/o/acme/review.pdf{query}").status_code == 422
    for query in ("?team=1", "?team=x", f"?team={stranger.team.id}"):
        assert client.get(f"/o/acme/review.pdf{query}").status_code == 404
    assert client.post("/o/acme/review.pdf").status_code == 405
    unknown = signed_in(stranger.owner).get("/o/acme/review.pdf")
    assert (unknown.status_code, unknown["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert Client().get("/o/acme/review.pdf").status_code == 302


def wants(tenant: Tenant, user: User, every: ReviewEvery, now: datetime) -> None:
    with organization_scope(tenant.id):
        choice_set(organization=tenant.organization, user=user, now=now, review=every)


def planned(tenant: Tenant) -> list[tuple[str, str, date, bool]]:
    with organization_scope(tenant.id):
        mails = ReviewMail.objects.select_related("user").order_by("user__email", "every", "first")
        return [(each.user.email, each.every, each.first, each.sent_at is not None) for each in mails]


def pdf_text(content: bytes) -> str:
    return "\n".join(each.extract_text() for each in PdfReader(io.BytesIO(content)).pages)


def run(now: datetime) -> int:
    return reviews_send(clock=lambda: now)


def test_a_review_comes_once_on_the_first_of_the_month_after_seven(usage: Tenant, month: ReviewPeriod) -> None:
    seven = month.sent_from.astimezone(UTC)
    make_member(usage, Role.VIEWER)
    wants(usage, usage.owner, ReviewEvery.MONTH, seven)
    assert run(seven - timedelta(seconds=1)) == 0
    assert run(seven) == 1
    assert run(seven + timedelta(minutes=5)) == run(seven + timedelta(days=2)) == 0
    assert planned(usage) == [("owner@acme.example", "month", month.first, True)]
    (sent,) = mail.outbox
    assert sent.subject == f"Cost review, {month.label} · Acme"
    assert f"/o/acme/review?period={month.parameter}" in sent.body
    assert "Volume: more or fewer requests: +$" in sent.body
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html = str(sent.alternatives[0][0])  # type: ignore[attr-defined]
    assert "Why it changed" in html
    assert "<img" not in html
    assert "<style" not in html
    Client().post(sent.extra_headers["List-Unsubscribe"].strip("<>").removeprefix("http://127.0.0.1:8000"))
    assert run((month.next.sent_from + timedelta(hours=1)).astimezone(UTC)) == 0
    assert len(planned(usage)) == 1


def test_who_subscribes_later_gets_no_old_review(tenant: Tenant, month: ReviewPeriod) -> None:
    late = (month.sent_from + LATEST).astimezone(UTC)
    wants(tenant, tenant.owner, ReviewEvery.MONTH, late)
    assert (run(late), planned(tenant)) == (0, [])


def test_a_manager_reads_of_their_teams_first(usage: Tenant, month: ReviewPeriod) -> None:
    manager = make_member(usage, Role.MANAGER, teams=[usage.team])
    seven = month.sent_from.astimezone(UTC)
    wants(usage, manager, ReviewEvery.MONTH, seven)
    run(seven)
    body = str(mail.outbox[0].body)
    assert body.index("\nDefault\nSpend:") < body.index("\nAcme\nSpend:")


def test_a_server_that_is_away_is_tried_again(tenant: Tenant, month: ReviewPeriod, settings: Any) -> None:
    seven = month.sent_from.astimezone(UTC)
    wants(tenant, tenant.owner, ReviewEvery.MONTH, seven)
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = (
        "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", 1,
    )  # fmt: skip
    assert run(seven) == 0
    settings.EMAIL_BACKEND = working
    assert run(seven + timedelta(minutes=9)) == 0
    assert run(seven + timedelta(minutes=10)) == 1
    assert [each[3] for each in planned(tenant)] == [True]


def test_the_mail_carries_the_pdf_also_when_it_is_tried_again(
    usage: Tenant, month: ReviewPeriod, settings: Any
) -> None:
    seven = month.sent_from.astimezone(UTC)
    manager = make_member(usage, Role.MANAGER, teams=[usage.team])
    wants(usage, manager, ReviewEvery.MONTH, seven)
    with SmtpServer() as smtp:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        smtp.refuse_data = "451 try again later"
        assert (run(seven), smtp.mails) == (0, [])
        smtp.refuse_data = None
        assert run(seven + timedelta(minutes=10)) == 1
    (sent,) = smtp.mails
    (attached,) = sent.iter_attachments()
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_filename() == f"cost-review-acme-{month.parameter}.pdf"
    first, second = PdfReader(io.BytesIO(attached.get_content())).pages
    assert "A team of Acme with everything below it." in first.extract_text()
    total = usd(reviewed(usage, month, seven).total.now)
    assert total in second.extract_text()
    for kind in ("plain", "html"):
        assert "The attached PDF says the same" in text_of(sent, kind)
        assert total in text_of(sent, kind)


def test_who_left_or_changed_their_mind_gets_nothing(tenant: Tenant, month: ReviewPeriod) -> None:
    seven = month.sent_from.astimezone(UTC)
    viewer = make_member(tenant, Role.VIEWER)
    wants(tenant, viewer, ReviewEvery.MONTH, seven)
    wants(tenant, viewer, ReviewEvery.WEEK, seven)
    assert run(seven) in {0, 1}  # The first of a month may be a Monday too.
    assert all(every == "week" for _, every, _, _ in planned(tenant))
