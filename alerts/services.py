"""Writes to alerts and channels. Each runs inside `organization_scope`, in its caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from alerts.addresses import Address, address_set, secret_rotated
from alerts.facts import GivenFacts, facts_checked, one_line
from alerts.followups import follow_up
from alerts.kinds import AlertKind
from alerts.models import (
    DETAIL_LENGTH,
    OPEN_STATUSES,
    SUBJECT_LENGTH,
    Alert,
    AlertEventKind,
    AlertRule,
    Channel,
    ChannelKind,
    Delivery,
    DeliveryStatus,
    Severity,
)
from alerts.standing import alert_noted, channels_told, governing_rule, noted_as_acknowledged
from alerts.waking import wake_after_commit
from common.display import moment
from common.ids import new_id
from common.problems import Problem
from tenants.models import AccessToken, Organization, User
from tenants.services import actor_name, audit_record

CHANNELS_LIMIT = 50
# Messages in an hour: what a person reads, and what a program takes.
HOURLY_LIMIT, PROGRAMS_HOURLY_LIMIT = 20, 600
HOURLY_LIMITS = range(1, 1_001)
LONGEST_OVERLAP = timedelta(days=7)
TEST_INTERVAL = timedelta(seconds=30)
SNOOZE_LIMIT = timedelta(days=30)
TITLE_LENGTH = DEDUP_KEY_LENGTH = 200

Actor = User | AccessToken | None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom an alert is for, beside the channels. `link`: a path only they get; else that of the facts."""

    email: str
    link: str = ""


def alert_raise(
    *,
    organization_id: int,
    kind: str,
    dedup_key: str,
    severity: str,
    title: str,
    facts: GivenFacts,
    now: datetime,
    subject: str = "",
    people: Iterable[Person] = (),
) -> Alert | None:
    """The alert with a pending delivery for every channel that listens and each of the people, by email; None when
    this dedup key had fired before.

    A rule of the organization about this kind and subject (such as "budget:17") decides otherwise where there is one:
    whether it fires at all, how severe it is and who is told.
    """
    rule = governing_rule(organization_id, kind, subject)
    if rule is not None and not rule.enabled:
        return None
    alert = alert_write(
        organization_id, channels_told(organization_id, rule, now), kind, dedup_key,
        rule.severity or severity if rule else severity, title, facts, now, rule=rule, subject=subject,
    )  # fmt: skip
    if alert is not None:
        Delivery.objects.bulk_create(
            Delivery(
                organization_id=organization_id,
                alert=alert,
                recipient=person.email,
                link=person.link,
                next_attempt_at=now,
            )
            for person in people
        )
    return alert


def alert_write(
    organization_id: int,
    channels: Iterable[Channel],
    kind: str,
    dedup_key: str,
    severity: str,
    title: str,
    facts: GivenFacts,
    now: datetime,
    *,
    rule: AlertRule | None = None,
    subject: str = "",
    about: Alert | None = None,
    seen_by: str = "",
) -> Alert | None:
    """An alert, or with `about` a notice that follows one, and its deliveries to just these channels.

    `seen_by`: who made it themselves and so has nothing to acknowledge.
    """
    alert = Alert(
        id=new_id(),
        organization_id=organization_id,
        kind=kind,
        severity=Severity(severity),
        dedup_key=bounded(dedup_key),
        title=one_line(title)[:TITLE_LENGTH],
        facts=facts_checked(facts),
        created_at=now,
        rule=rule,
        subject=subject[:SUBJECT_LENGTH],
        about=about,
        acknowledged_at=now if seen_by else None,
        acknowledged_by=seen_by,
    )
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    if not Alert.objects.filter(organization_id=organization_id, id=alert.id).exists():
        return None
    Delivery.objects.bulk_create(
        Delivery(organization_id=organization_id, alert=alert, channel=channel, next_attempt_at=now)
        for channel in channels
    )
    wake_after_commit()
    return alert


def bounded(dedup_key: str) -> str:
    """The key, or for one that is too long (names come from users) its beginning and a digest of all of it."""
    if len(dedup_key) <= DEDUP_KEY_LENGTH:
        return dedup_key
    return f"{dedup_key[:100]}…{sha256(dedup_key.encode()).hexdigest()}"


def alert_acknowledge(*, alert: Alert, actor: User | AccessToken, now: datetime) -> bool:
    """Marks the alert as seen, once; False when somebody had done so before."""
    name = actor_name(actor)
    taken = Alert.objects.filter(
        organization_id=alert.organization_id, id=alert.id, acknowledged_at__isnull=True
    ).update(acknowledged_at=now, acknowledged_by=name)
    if taken:
        alert.acknowledged_at, alert.acknowledged_by = now, name
        noted_as_acknowledged(alert, by=name, now=now)
        audit_record(
            organization_id=alert.organization_id, actor=actor, action="alert.acknowledged", target=alert, now=now,
            alert=alert.title,
        )  # fmt: skip
        follow_up(alert=alert, now=now)
    return bool(taken)


def alert_snooze(*, alert: Alert, until: datetime, actor: User | AccessToken, now: datetime) -> None:
    """Nobody is told more until then; what still fires is told again. Problem 409 for what fires no more."""
    if not now < until <= now + SNOOZE_LIMIT:
        raise ValidationError({"until": f"Choose a moment within the next {SNOOZE_LIMIT.days} days."})
    open_ = Alert.objects.filter(
        organization_id=alert.organization_id, id=alert.id, acknowledged_at__isnull=True, recovered_at__isnull=True
    )
    if not open_.update(snoozed_until=until):
        raise Problem("conflict", "It was acknowledged or has recovered: nobody is told more of it.")
    alert.snoozed_until = until
    note = f"Until {moment(until.astimezone(UTC))}"
    alert_noted(alert, AlertEventKind.SNOOZED, now, by=actor_name(actor), note=note)
    audit_record(
        organization_id=alert.organization_id, actor=actor, action="alert.snoozed", target=alert, now=now,
        alert=alert.title, until=until.isoformat(),
    )  # fmt: skip


def channel_create(
    *,
    organization: Organization,
    kind: str,
    name: str,
    actor: Actor,
    now: datetime,
    recipients: Sequence[str] | None = None,
    url: str | None = None,
    secret: str | None = None,
    hourly_limit: int | None = None,
) -> Channel:
    """A new channel that listens at once. Email takes `recipients`; Slack, Teams and webhooks take a `url`; webhooks
    a signing `secret`, PagerDuty its routing key as `secret`.

    ValidationError for fields that make no sense; Problem url-not-allowed for a URL that the kind does not allow.
    """
    if Channel.objects.present().filter(organization=organization).count() >= CHANNELS_LIMIT:
        raise ValidationError(f"An organization has at most {CHANNELS_LIMIT} channels.")
    channel = Channel(id=new_id(), organization=organization, kind=kind, name=one_line(name), created_at=now)
    channel.hourly_limit = _limit_checked(default_hourly_limit(kind) if hourly_limit is None else hourly_limit)
    address_set(channel, Address(recipients, url, secret))
    _save(channel, force_insert=True)
    _audit(channel, "channel.created", actor, now, kind=kind, name=channel.name)
    return channel


def default_channel_create(*, organization: Organization, owner: User, now: datetime) -> Channel:
    """The channel every organization starts with: email to its owner."""
    return channel_create(
        organization=organization, kind=ChannelKind.EMAIL, name="Email to the owner", recipients=[owner.email],
        actor=owner, now=now,
    )  # fmt: skip


def channel_update(
    *,
    channel: Channel,
    actor: Actor,
    now: datetime,
    name: str | None = None,
    recipients: Sequence[str] | None = None,
    url: str | None = None,
    secret: str | None = None,
    hourly_limit: int | None = None,
) -> Channel:
    """Changes what is given. A new address clears the trouble the old one had made. See `channel_create`; Problem
    secret-required for another host without the secret."""
    address = Address(recipients, url, secret)
    if name is not None:
        channel.name = one_line(name)
    if hourly_limit is not None:
        channel.hourly_limit = _limit_checked(hourly_limit)
    if address.is_given:
        address_set(channel, address)
        channel.last_error, channel.last_error_at = "", None
    _save(channel)
    changed = {"name": channel.name, **({"address": "changed"} if address.is_given else {})}
    _audit(channel, "channel.updated", actor, now, **changed)
    return channel


def default_hourly_limit(kind: str) -> int:
    return PROGRAMS_HOURLY_LIMIT if kind in {ChannelKind.WEBHOOK, ChannelKind.PAGERDUTY} else HOURLY_LIMIT


def _limit_checked(hourly_limit: int) -> int:
    if hourly_limit not in HOURLY_LIMITS:
        raise ValidationError({"hourly_limit": "A limit is 1 to 1,000 messages an hour."})
    return hourly_limit


def channel_secret_rotate(*, channel: Channel, secret: str, overlap: timedelta, actor: Actor, now: datetime) -> Channel:
    """Signs with another secret; the one before signs along for `overlap`. ValidationError for another kind."""
    if channel.kind != ChannelKind.WEBHOOK:
        raise ValidationError("Only a webhook has a signing secret.")
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise ValidationError({"overlap_hours": "An overlap lasts 0 to 168 hours."})
    secret_rotated(channel, secret, overlap=overlap, now=now)
    _save(channel)
    _audit(channel, "channel.secret_rotated", actor, now, overlap_hours=str(overlap // timedelta(hours=1)))
    return channel


def channel_disable(*, channel: Channel, reason: str, actor: Actor, now: datetime) -> bool:
    """Switches the channel off; False when it was off already."""
    taken = Channel.objects.listening().filter(organization_id=channel.organization_id, id=channel.id)
    if not taken.update(enabled=False, disabled_reason=reason[:DETAIL_LENGTH]):
        return False
    channel.enabled, channel.disabled_reason = False, reason[:DETAIL_LENGTH]
    _audit(channel, "channel.disabled", actor, now, reason=reason)
    return True


def channel_delete(*, channel: Channel, actor: Actor, now: datetime) -> None:
    """Forgets the channel's address; its name stays in the history of alerts. Waiting deliveries will not be made."""
    channel.enabled, channel.deleted_at = False, now
    channel.recipients, channel.sealed_url, channel.url_host = [], None, ""
    channel.sealed_secret, channel.sealed_old_secret, channel.old_secret_until = None, None, None
    _save(channel)
    Delivery.objects.filter(organization_id=channel.organization_id, channel=channel, status__in=OPEN_STATUSES).update(
        status=DeliveryStatus.FAILED, claimed_until=None
    )
    _audit(channel, "channel.deleted", actor, now, name=channel.name)


def channel_test(*, channel: Channel, actor: Actor, now: datetime) -> Alert | None:
    """An alert for this channel alone; None when one was sent a moment ago or the channel is off."""
    if not channel.enabled:
        return None
    slot = int(now.timestamp() // TEST_INTERVAL.total_seconds())
    alert = alert_write(
        channel.organization_id,
        [channel],
        AlertKind.CHANNEL_TEST,
        f"channel_test:{channel.id}:{slot}",
        Severity.INFO,
        "This is a test from CostHub",
        {"channel": channel.name, "sent by": _name_of(actor)},
        now,
        seen_by=_name_of(actor),
    )
    if alert is not None:
        _audit(channel, "channel.tested", actor, now)
    return alert


def channel_trouble_report(*, channel: Channel, dedup_key: str, title: str, reason: str, now: datetime) -> None:
    """Tells the other channels, and the owners by mail, that this one does not work."""
    listening = Channel.objects.listening().filter(organization_id=channel.organization_id).exclude(id=channel.id)
    others = [*listening, _owners_channel(channel.organization_id, now)]
    facts = {"channel": channel.name, "reason": reason}
    alert_write(
        channel.organization_id, others, AlertKind.CHANNEL_PROBLEM, dedup_key, Severity.WARNING, title, facts, now
    )


def _owners_channel(organization_id: int, now: datetime) -> Channel:
    """The organization's channel to its owners, made when it is first needed."""
    made = Channel(
        organization_id=organization_id, kind=ChannelKind.OWNERS, name="Owners by email", created_at=now
    )  # fmt: skip
    Channel.objects.bulk_create([made], ignore_conflicts=True)
    return Channel.objects.get(organization_id=organization_id, kind=ChannelKind.OWNERS)


def _save(channel: Channel, *, force_insert: bool = False) -> None:
    channel.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            channel.save(force_insert=force_insert)
    except IntegrityError as error:
        if "channel_name_unique_in_organization" not in str(error):
            raise
        raise ValidationError({"name": "Another channel has this name."}) from error


def _audit(channel: Channel, action: str, actor: Actor, now: datetime, **facts: str) -> None:
    audit_record(organization_id=channel.organization_id, actor=actor, action=action, target=channel, now=now, **facts)


def _name_of(actor: Actor) -> str:
    if isinstance(actor, User):
        return actor.email
    return actor.hint if actor is not None else "CostHub"
