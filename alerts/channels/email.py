"""Email: text and HTML, one message to each recipient, so that one refused address spoils nothing for the others.

A recipient who is a member gets the link that stops these mails, in the mail and in its headers (RFC 8058).
"""

import smtplib
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from types import MappingProxyType
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string

from alerts.channels.base import Message, Result, Send
from alerts.facts import one_line
from alerts.models import AttemptOutcome

# Well short of the lease on a delivery: who has not got the mail by then gets it with the next attempt.
SENDING_S = 60
SUBJECT_LENGTH = 150
PERMANENT_CODE = 500

_NO_LINKS: Mapping[str, str] = MappingProxyType({})
COLOURS = {"info": "#1d4ed8", "warning": "#b45309", "critical": "#b91c1c"}


class Fate(Enum):
    REACHED = auto()
    # The address was refused for good; the message itself was; or it is to be tried again.
    REFUSED = auto()
    REJECTED = auto()
    WAITING = auto()


def email(recipients: Iterable[str], reached: Sequence[str] = (), unsubscribe: Mapping[str, str] = _NO_LINKS) -> Send:
    """Mails to the recipients that are not among those `reached` by an earlier attempt."""
    return partial(send, [recipient for recipient in recipients if recipient not in reached], len(reached), unsubscribe)


def send(recipients: Sequence[str], reached_before: int, unsubscribe: Mapping[str, str], message: Message) -> Result:
    if not recipients and not reached_before:
        return Result(AttemptOutcome.DELIVERED, "Nobody was mailed: no recipient wants these mails, or all have them.")
    stop = time.monotonic() + SENDING_S
    fates = dict.fromkeys(recipients, Fate.WAITING)
    connection = get_connection()
    # A server that is away or refuses us as a sender says nothing about a recipient: they wait.
    with suppress(smtplib.SMTPException, OSError):
        connection.open()
        for recipient in recipients:
            if time.monotonic() < stop:
                fates[recipient] = _mail(recipient, message, connection, unsubscribe.get(recipient, ""))
    with suppress(smtplib.SMTPException, OSError):
        connection.close()
    return result_of(fates, reached_before)


def _mail(recipient: str, message: Message, connection: BaseEmailBackend, unsubscribe_url: str) -> Fate:
    try:
        compose(recipient, message, connection, unsubscribe_url).send()
    except smtplib.SMTPRecipientsRefused as error:
        code = max(code for code, _ in error.recipients.values())
        return Fate.REFUSED if code >= PERMANENT_CODE else Fate.WAITING
    except smtplib.SMTPDataError as error:
        return Fate.REJECTED if error.smtp_code >= PERMANENT_CODE else Fate.WAITING
    return Fate.REACHED


def compose(
    recipient: str, message: Message, connection: BaseEmailBackend | None = None, unsubscribe_url: str = ""
) -> EmailMultiAlternatives:
    """The mail to one recipient. Its Message-ID is the delivery's, so that a mail sent twice is known as one; what it
    refers to is shared by all about one thing, so that mailboxes show them together."""
    context = {
        "message": message,
        "colour": COLOURS.get(message.severity, COLOURS["info"]),
        "base_url": settings.BASE_URL,
        "unsubscribe_url": unsubscribe_url,
    }
    host = urlsplit(settings.BASE_URL).hostname
    mail = EmailMultiAlternatives(
        subject=one_line(f"{message.title} · {message.organization}")[:SUBJECT_LENGTH],
        body=render_to_string("alerts/email/alert.txt", context),
        to=[recipient],
        connection=connection,
        headers={
            "Message-ID": f"<{message.reference}@{host}>",
            "Auto-Submitted": "auto-generated",
            **({"References": f"<{message.thread}@{host}>"} if message.thread else {}),
            **unsubscribe_headers(unsubscribe_url),
        },
    )
    mail.attach_alternative(render_to_string("alerts/email/alert.html", context), "text/html")
    return mail


def unsubscribe_headers(url: str) -> dict[str, str]:
    """What lets a mailbox stop these mails with one click of its own button."""
    if not url:
        return {}
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def result_of(fates: Mapping[str, Fate], reached_before: int = 0) -> Result:
    """One result out of what became of each recipient: tried again while one waits, failed when nobody has it."""
    reached = tuple(recipient for recipient, fate in fates.items() if fate is Fate.REACHED)
    refused = [recipient for recipient, fate in fates.items() if fate in {Fate.REFUSED, Fate.REJECTED}]
    have, everybody = len(reached) + reached_before, len(fates) + reached_before
    if Fate.WAITING in fates.values():
        detail = "The mail server did not take the message."
        if have:
            detail = f"{have} of {everybody} recipients have it; the mail server did not take the rest."
        return Result(AttemptOutcome.RETRY, detail, reached=reached)
    if refused and not have:
        dead = all(fate is Fate.REFUSED for fate in fates.values())
        who = "every recipient" if dead else "the message"
        return Result(AttemptOutcome.FAILED, f"The mail server refused {who}.", channel_is_dead=dead)
    if refused:
        warning = f"{have} of {everybody} recipients have it; refused for {', '.join(refused)}"
        return Result(AttemptOutcome.DELIVERED, warning, reached=reached, warning=warning)
    recipients = "1 recipient" if have == 1 else f"{have} recipients"
    return Result(AttemptOutcome.DELIVERED, f"The mail server accepted it for {recipients}.", reached=reached)
