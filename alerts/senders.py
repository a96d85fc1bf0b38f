"""Who sends a delivery: the channel's kind with its address opened."""

from datetime import datetime

from alerts.addresses import secrets_of, url_of
from alerts.channels.base import Send, refuse
from alerts.channels.email import email
from alerts.channels.pagerduty import pagerduty
from alerts.channels.slack import slack
from alerts.channels.teams import teams
from alerts.channels.webhook import webhook
from alerts.followups import told_since
from alerts.mailing import mails_wanted, owners_to_tell
from alerts.models import Channel, ChannelKind, Delivery
from alerts.retries import is_too_old
from common.secrets import UnsealError


def sender_of(delivery: Delivery, now: datetime) -> Send:
    channel = delivery.channel
    if channel is not None and not channel.enabled:
        return refuse("The channel is switched off.")
    # A worker that died with its claim makes no attempt to count; age ends that too.
    if delivery.attempts > 1 and is_too_old(raised_at=told_since(delivery), now=now):
        return refuse("Given up: the alert is a day old.")
    if channel is None:
        return email([delivery.recipient], delivery.reached)
    if channel.kind == ChannelKind.EMAIL:
        wanted = mails_wanted(channel)
        return email(wanted, delivery.reached, wanted)
    if channel.kind == ChannelKind.OWNERS:
        return email(owners_to_tell(delivery), delivery.reached)
    try:
        return _posting(channel, now)
    except UnsealError:
        return refuse("The stored address can no longer be read; enter it again.", channel_is_dead=True)


def _posting(channel: Channel, now: datetime) -> Send:
    url = url_of(channel)
    match channel.kind:
        case ChannelKind.TEAMS:
            return teams(url)
        case ChannelKind.WEBHOOK:
            return webhook(url, secrets_of(channel, now), now)
        case ChannelKind.PAGERDUTY:
            return pagerduty(url, secrets_of(channel, now)[0])
        case _:
            return slack(url)
