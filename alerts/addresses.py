"""What a channel of each kind needs to reach somebody: checked, sealed, and never shown again."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from alerts.channels import pagerduty, slack, teams, webhook
from alerts.models import Channel, ChannelKind
from common.outbound import check_url, parse_url
from common.problems import Problem
from common.secrets import seal, unseal

RECIPIENTS_LIMIT = 20
# Kind → the only hosts its URL may name; without any, every public server.
HOSTS: dict[str, tuple[str, ...]] = {
    ChannelKind.SLACK: slack.HOSTS,
    ChannelKind.TEAMS: teams.HOSTS,
    ChannelKind.PAGERDUTY: pagerduty.HOSTS,
    ChannelKind.WEBHOOK: (),
}
WITH_SECRET = frozenset({ChannelKind.WEBHOOK, ChannelKind.PAGERDUTY})
# As Standard Webhooks has it.
_SIGNING_KEY_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class Address:
    """What was handed in; None stays as it is. `secret`: a signing secret or PagerDuty's routing key."""

    recipients: Sequence[str] | None = None
    url: str | None = None
    secret: str | None = None

    @property
    def is_given(self) -> bool:
        return any(each is not None for each in (self.recipients, self.url, self.secret))


def address_set(channel: Channel, given: Address) -> None:
    """Puts the address into the channel, unsaved. ValidationError for what its kind does not take or lacks.

    Problem url-not-allowed for a URL of another server than the kind allows; secret-required when the host changes
    and the secret does not come with it: whoever can edit a channel shall not lead its secret elsewhere.
    """
    if channel.kind == ChannelKind.EMAIL:
        _refuse_given("An email channel has no such thing.", url=given.url, secret=given.secret)
        channel.recipients = recipients_checked(given.recipients or ())
        return
    _refuse_given("Only an email channel has email addresses.", recipients=given.recipients)
    if channel.kind not in WITH_SECRET:
        _refuse_given("This kind of channel has no secret.", secret=given.secret)
    _set_url(channel, given)
    if channel.kind in WITH_SECRET:
        _set_secret(channel, given.secret)


def _refuse_given(sentence: str, **given: object) -> None:
    for name, value in given.items():
        if value:
            raise ValidationError({name: sentence})


def _set_url(channel: Channel, given: Address) -> None:
    url = given.url
    if channel.kind == ChannelKind.PAGERDUTY and channel.sealed_url is None:
        url = url or pagerduty.DEFAULT_URL
    if not url:
        if channel.sealed_url is None or url is not None:
            raise ValidationError({"url": "Give the URL of the webhook."})
        return
    checked = check_url(url, only_hosts=HOSTS[channel.kind])
    host = parse_url(checked).authority
    if channel.sealed_secret is not None and host != channel.url_host and not given.secret:
        raise Problem("secret-required", "Another host needs the secret again.")
    channel.url_host = host
    channel.sealed_url = seal(checked, purpose=channel.seal_purpose, organization_id=channel.organization_id)


def _set_secret(channel: Channel, secret: str | None) -> None:
    if not secret:
        if channel.sealed_secret is None or secret is not None:
            raise ValidationError({"secret": "Give the secret."})
        return
    checked = _routing_key_checked(secret) if channel.kind == ChannelKind.PAGERDUTY else _signing_secret_checked(secret)
    channel.sealed_secret = seal(checked, purpose=channel.secret_purpose, organization_id=channel.organization_id)
    channel.sealed_old_secret, channel.old_secret_until = None, None


def secret_rotated(channel: Channel, secret: str, *, overlap: timedelta, now: datetime) -> None:
    """A new signing secret, unsaved; the present one signs along for `overlap`, the one before it no longer."""
    present = channel.sealed_secret
    _set_secret(channel, secret)
    if overlap:
        channel.sealed_old_secret, channel.old_secret_until = present, now + overlap


def url_of(channel: Channel) -> str:
    """UnsealError when it can no longer be read, as for the secrets."""
    return _opened(channel, bytes(channel.sealed_url or b""), channel.seal_purpose)


def secrets_of(channel: Channel, now: datetime) -> list[str]:
    """The secret and, during an overlap, the one before it."""
    secrets = [_opened(channel, bytes(channel.sealed_secret or b""), channel.secret_purpose)]
    if channel.sealed_old_secret and channel.old_secret_until and now < channel.old_secret_until:
        secrets.append(_opened(channel, bytes(channel.sealed_old_secret), channel.secret_purpose))
    return secrets


def _opened(channel: Channel, sealed: bytes, purpose: str) -> str:
    return unseal(sealed, purpose=purpose, organization_id=channel.organization_id)


def recipients_checked(recipients: Sequence[str]) -> list[str]:
    """The addresses in lower case, each once; ValidationError naming the first that is none."""
    checked = list(dict.fromkeys(recipient.strip().lower() for recipient in recipients if recipient.strip()))
    if not 1 <= len(checked) <= RECIPIENTS_LIMIT:
        raise ValidationError({"recipients": f"Give 1 to {RECIPIENTS_LIMIT} email addresses."})
    for recipient in checked:
        try:
            validate_email(recipient)
        except ValidationError as error:
            raise ValidationError({"recipients": "One of these is not an email address."}) from error
        if not recipient.isascii() or len(recipient) > 254:
            raise ValidationError({"recipients": "One of these is not an email address."})
    return checked


def _routing_key_checked(secret: str) -> str:
    if not re.fullmatch(pagerduty.KEY_PATTERN, secret):
        raise ValidationError({"secret": "A routing key has 32 letters and digits."})
    return secret


def _signing_secret_checked(secret: str) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(webhook.SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(webhook.SECRET_PREFIX) or len(key) not in _SIGNING_KEY_BYTES:
        raise ValidationError({"secret": "A signing secret is whsec_ and 24 to 64 bytes in base64."})
    return secret
