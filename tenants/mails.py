"""The mails of accounts and invitations: text and HTML, links to where this CostHub is known to be."""

import logging
from smtplib import SMTPException
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from tenants.models import Invitation

log = logging.getLogger(__name__)


def invitation_url(token: str) -> str:
    """The token stands in the query, which access logs leave out."""
    return f"{settings.BASE_URL}{reverse('invitation')}?{urlencode({'token': token})}"


def invitation_mail(invitation: Invitation, token: str) -> EmailMessage:
    organization, inviter = invitation.organization, invitation.invited_by
    context: dict[str, Any] = {
        "organization": organization,
        "inviter": inviter,
        "invitation": invitation,
        "url": invitation_url(token),
        "base_url": settings.BASE_URL,
    }
    mail = EmailMultiAlternatives(
        subject=f"Join {organization.name} on CostHub",
        body=render_to_string("tenants/email/invitation.txt", context),
        to=[invitation.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string("tenants/email/invitation.html", context), "text/html")
    return mail


def send(mail: EmailMessage) -> bool:
    """False when the mail server did not take it: that is for the caller to say, and no reason to fail."""
    try:
        mail.send()
    except (SMTPException, OSError) as error:
        log.warning("a mail could not be sent: %s", type(error).__name__)
        return False
    return True
