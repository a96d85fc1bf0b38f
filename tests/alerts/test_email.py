"""The mail itself, and what a mail server's answers mean. Against a real SMTP server."""

import pytest
from django.core import mail
from django.utils.html import escape
from pytest_django import Settings

from alerts.channels.base import Message, Result
from alerts.channels.email import Fate, compose, email, result_of
from alerts.facts import Line
from alerts.models import AttemptOutcome
from tests.alerts.test_slack import MESSAGE
from tests.servers import SmtpServer, text_of

ONE, TWO = "one@acme.example", "two@acme.example"


def hostile(name: str) -> Message:
    return Message("delivery-1", name, name, "critical", name, (Line(name, name),), MESSAGE.url, MESSAGE.alert_url)


def test_a_mail_says_it_in_text_and_html_and_leads_to_the_page(smtp: SmtpServer, settings: Settings) -> None:
    settings.BASE_URL = "https://costhub.example"
    assert email([ONE])(MESSAGE) == Result(
        AttemptOutcome.DELIVERED, "The mail server accepted it for 1 recipient.", reached=(ONE,)
    )
    (sent,) = smtp.mails
    assert sent["Subject"] == "Search team: 100 % is spent · Acme"
    assert (sent["To"], sent["From"]) == (ONE, settings.DEFAULT_FROM_EMAIL)
    assert sent["Message-ID"] == "<delivery-1@costhub.example>"
    for kind in ("plain", "html"):
        assert all(word in text_of(sent, kind) for word in ("$1,000.10", "Spent", MESSAGE.url, MESSAGE.alert_url))


def test_each_recipient_gets_a_mail_of_its_own(smtp: SmtpServer) -> None:
    assert email([ONE, TWO])(MESSAGE).reached == (ONE, TWO)
    assert [str(sent["To"]) for sent in smtp.mails] == smtp.recipients == [ONE, TWO]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='http://evil.example'>x</a>",
        "{{ 7|add:7 }}",
    ],
)
def test_names_are_escaped_in_html(smtp: SmtpServer, name: str) -> None:
    email([ONE])(hostile(name))
    (sent,) = smtp.mails
    html = text_of(sent, "html")
    assert escape(name) in html
    assert name not in html or escape(name) == name


def test_names_are_no_templates() -> None:
    assert "14" not in compose(ONE, hostile("{{ 7|add:7 }}")).body


@pytest.mark.parametrize(
    "name", ["a\r\nBcc: evil@evil.example", "a\nX-Injected: 1", "a\r\n\r\n<html>", "a\x00b", "a\u2028Bcc: x"]
)
def test_a_name_cannot_write_headers(smtp: SmtpServer, name: str) -> None:
    email([ONE])(hostile(name))
    (sent,) = smtp.mails
    assert smtp.recipients == [ONE]
    assert (sent["Bcc"], sent["X-Injected"]) == (None, None)
    assert "\n" not in str(sent["Subject"])


def test_a_long_title_makes_a_bounded_subject() -> None:
    assert len(compose(ONE, hostile("x" * 5_000)).subject) == 150


def test_a_mail_sent_again_is_known_as_the_same(smtp: SmtpServer) -> None:
    send = email([ONE])
    send(MESSAGE)
    send(MESSAGE)
    first, second = smtp.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_refused_recipient_spoils_nothing_for_the_others(smtp: SmtpServer) -> None:
    smtp.refuse[ONE] = "550 5.1.1 no such user, secret words of the server"
    result = email([ONE, TWO])(MESSAGE)
    assert (result.outcome, result.reached, smtp.recipients) == (AttemptOutcome.DELIVERED, (TWO,), [TWO])
    assert result.warning == f"1 of 2 recipients have it; refused for {ONE}"


def test_all_refused_for_good_means_a_dead_channel(smtp: SmtpServer) -> None:
    smtp.refuse = {ONE: "550 5.1.1 no such user", TWO: "553 not here"}
    assert email([ONE, TWO])(MESSAGE) == Result(
        AttemptOutcome.FAILED, "The mail server refused every recipient.", channel_is_dead=True
    )


def test_a_recipient_asked_to_wait_for_is_tried_again_alone(smtp: SmtpServer) -> None:
    smtp.refuse[ONE] = "451 4.7.1 greylisted"
    first = email([ONE, TWO])(MESSAGE)
    assert (first.outcome, first.reached) == (AttemptOutcome.RETRY, (TWO,))
    smtp.refuse.clear()
    second = email([ONE, TWO], first.reached)(MESSAGE)
    assert (second.outcome, second.detail) == (
        AttemptOutcome.DELIVERED,
        "The mail server accepted it for 2 recipients.",
    )
    assert smtp.recipients == [TWO, ONE]


@pytest.mark.parametrize(
    ("answer", "outcome"), [("451 later", AttemptOutcome.RETRY), ("554 spam", AttemptOutcome.FAILED)]
)
def test_refused_content_does_not_kill_the_channel(smtp: SmtpServer, answer: str, outcome: AttemptOutcome) -> None:
    smtp.refuse_data = answer
    result = email([ONE])(MESSAGE)
    assert (result.outcome, result.channel_is_dead) == (outcome, False)
    assert "spam" not in result.detail


def test_no_server_means_later(smtp: SmtpServer, settings: Settings) -> None:
    settings.EMAIL_PORT = 1
    assert email([ONE])(MESSAGE) == Result(AttemptOutcome.RETRY, "The mail server did not take the message.")


def test_any_backend_of_django_will_do() -> None:
    assert email([ONE])(MESSAGE).outcome is AttemptOutcome.DELIVERED
    assert len(mail.outbox) == 1


def test_recipients_left_without_time_wait() -> None:
    result = result_of({ONE: Fate.WAITING, TWO: Fate.REFUSED}, reached_before=1)
    assert (result.outcome, result.channel_is_dead) == (AttemptOutcome.RETRY, False)
    assert result.detail == "1 of 3 recipients have it; the mail server did not take the rest."
