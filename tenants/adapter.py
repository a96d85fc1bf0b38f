"""Where allauth asks us: which addresses may sign up, where links in mails lead, and what a dead mail server means."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.urls import reverse

from tenants.mails import send
from tenants.members import address_checked


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def clean_email(self, email: str) -> str:
        try:
            return address_checked(email)
        except ValidationError as error:
            raise ValidationError(error.messages) from error

    def render_mail(
        self, template_prefix: str, email: str | list[str], context: dict[str, Any], headers: Any = None
    ) -> EmailMessage:
        named = {**context, "base_url": settings.BASE_URL}
        message: EmailMessage = super().render_mail(template_prefix, email, named, headers)
        return message

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """The account stands even when its mail does not go out, and whoever asked learns nothing from the trouble."""
        send(self.render_mail(template_prefix, email, {**context, "email": email}))

    # Not from the request, whose Host header anybody can choose among the allowed ones.
    def get_reset_password_from_key_url(self, key: str) -> str:
        uid, _, token = key.partition("-")
        return settings.BASE_URL + reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return settings.BASE_URL + reverse("account_confirm_email", args=[emailconfirmation.key])

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        return reverse("home")
