"""The outbox at work: claim what is due, send it outside any transaction, record what came of it.

At least once: a worker that dies between sending and recording leaves a claim that runs out, and the delivery is sent
again. While a claim holds no other worker sends the same delivery.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce

from alerts.channels.base import Message, Result, Send
from alerts.followups import told_since
from alerts.gathering import due_deliveries, gather, lock_claims
from alerts.messages import message_of_delivery
from alerts.models import (
    DETAIL_LENGTH,
    OPEN_STATUSES,
    Action,
    Attempt,
    AttemptOutcome,
    Channel,
    Delivery,
    DeliveryStatus,
)
from alerts.retries import next_attempt
from alerts.senders import sender_of
from alerts.services import channel_disable, channel_trouble_report
from tenants.access import organization_scope
from tenants.models import Organization

# Longer than any attempt takes, so that a claim outlives its worker's sending.
LEASE = timedelta(minutes=5)
FOLLOWUP_WAIT = timedelta(seconds=5)
# Sent side by side: one receiver that hangs holds up no more than its batch.
BATCH = 8
# A run ends after this long; what is left is found by the next one.
RUN_S = 20.0

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery with everything that sending it takes."""

    organization_id: int
    delivery_id: int
    # None: it goes to one person by email.
    channel: Channel | None
    raised_at: datetime
    attempts: int
    claimed_until: datetime
    message: Message
    send: Send


def deliver_due(*, clock: Clock, run_s: float = RUN_S) -> int:
    """Makes the deliveries that are due, for about `run_s` seconds at most; returns the number of attempts."""
    stop = time.monotonic() + run_s
    made = 0
    with ThreadPoolExecutor(BATCH, thread_name_prefix="deliver") as pool:
        while time.monotonic() < stop and (jobs := claim(clock())):
            sending = [(job, pool.submit(job.send, job.message)) for job in jobs]
            broken = []
            for job, future in sending:
                error = future.exception()
                if error is None:
                    record(job, future.result(), now=clock())
                else:
                    broken.append(error)
            made += len(jobs)
            if broken:
                # The rest is recorded; these keep their claims, and are tried again when those run out.
                raise BaseExceptionGroup("deliveries that broke", broken)
    return made


def claim(now: datetime) -> list[Job]:
    """Up to BATCH deliveries that are due, now ours; every organization that waits gets its share.

    What is above a channel's limit goes into its digest first (`alerts.gathering`).
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM alerts_organizations_with_due_deliveries(%s, %s)", [now, BATCH])
        organization_ids = [organization_id for (organization_id,) in cursor.fetchall()]
    share = BATCH // max(1, len(organization_ids))
    return [job for organization_id in organization_ids for job in _claim_of(organization_id, share, now)]


def _claim_of(organization_id: int, most: int, now: datetime) -> list[Job]:
    claimed_until = now + LEASE
    with organization_scope(organization_id):
        lock_claims(organization_id)
        gather(organization_id, now)
        _put_off_followups(organization_id, now)
        due = due_deliveries(organization_id, now)
        # Whoever updates the row first has the delivery; for the other the condition no longer holds.
        taken = [
            delivery_id
            for delivery_id in due.order_by("next_attempt_at", "id").values_list("id", flat=True)[:most]
            if due.filter(id=delivery_id).update(
                status=DeliveryStatus.SENDING, claimed_until=claimed_until, attempts=F("attempts") + 1
            )
        ]
        deliveries = Delivery.objects.filter(organization_id=organization_id, id__in=taken)
        organization = Organization.objects.get(id=organization_id)
        return [_job(organization, delivery, now) for delivery in deliveries.select_related("alert__about", "channel")]


def _put_off_followups(organization_id: int, now: datetime) -> None:
    """What follows something of an incident that its channel is still to be told waits, and looks due to nobody."""
    untold = Delivery.objects.filter(
        Q(alert_id=OuterRef("incident")) | Q(alert__about_id=OuterRef("incident")),
        organization_id=organization_id,
        channel_id=OuterRef("channel_id"),
        id__lt=OuterRef("id"),
        status__in=OPEN_STATUSES,
    )
    following = due_deliveries(organization_id, now).filter(~Q(action=Action.FIRE) | Q(alert__about__isnull=False))
    waiting = following.annotate(incident=Coalesce("alert__about_id", "alert_id")).filter(Exists(untold))
    Delivery.objects.filter(organization_id=organization_id, id__in=list(waiting.values_list("id", flat=True))).update(
        next_attempt_at=now + FOLLOWUP_WAIT
    )


def _job(organization: Organization, delivery: Delivery, now: datetime) -> Job:
    if delivery.claimed_until is None:
        raise ValueError("the delivery is not claimed")
    return Job(
        organization_id=organization.id,
        delivery_id=delivery.id,
        channel=delivery.channel,
        raised_at=told_since(delivery),
        attempts=delivery.attempts,
        claimed_until=delivery.claimed_until,
        message=message_of_delivery(organization, delivery),
        send=sender_of(delivery, now),
    )


def record(job: Job, result: Result, *, now: datetime) -> None:
    """Writes down an attempt and where its delivery stands now. A worker whose claim has run out changes no state."""
    retry_at = None
    if result.outcome is AttemptOutcome.RETRY:
        retry_at = next_attempt(
            attempts=job.attempts,
            raised_at=job.raised_at,
            now=now,
            spread=random.random(),
            retry_after_s=result.retry_after_s,
        )
    with organization_scope(job.organization_id):
        Attempt.objects.create(
            organization_id=job.organization_id,
            delivery_id=job.delivery_id,
            at=now,
            outcome=result.outcome,
            detail=result.detail[:DETAIL_LENGTH],
        )
        delivery = Delivery.objects.select_for_update().get(organization_id=job.organization_id, id=job.delivery_id)
        if delivery.status != DeliveryStatus.SENDING or delivery.claimed_until != job.claimed_until:
            return
        delivery.claimed_until = None
        delivery.reached = [*delivery.reached, *result.reached]
        delivery.status = _status_after(result, retry_at)
        delivery.sent_at = now if delivery.status == DeliveryStatus.SENT else None
        delivery.next_attempt_at = retry_at or delivery.next_attempt_at
        delivery.save()
        _note_on_channel(job, result, gave_up=delivery.status == DeliveryStatus.FAILED, now=now)


def _status_after(result: Result, retry_at: datetime | None) -> DeliveryStatus:
    match result.outcome:
        case AttemptOutcome.DELIVERED:
            return DeliveryStatus.SENT
        case AttemptOutcome.BLOCKED:
            return DeliveryStatus.BLOCKED
        case AttemptOutcome.RETRY if retry_at is not None:
            return DeliveryStatus.PENDING
        case _:
            return DeliveryStatus.FAILED


def _note_on_channel(job: Job, result: Result, *, gave_up: bool, now: datetime) -> None:
    """Keeps the channel's last error; a channel that is dead goes off, and the other channels are told of trouble."""
    if job.channel is None:
        return
    error = result.warning if result.outcome is AttemptOutcome.DELIVERED else result.detail
    channel = Channel.objects.present().filter(organization_id=job.organization_id, id=job.channel.id).first()
    if channel is None:
        return
    channel.last_error, channel.last_error_at = error[:DETAIL_LENGTH], now if error else None
    channel.save(update_fields=["last_error", "last_error_at"])
    if not channel.enabled:
        return
    if result.channel_is_dead:
        channel_disable(channel=channel, reason=result.detail, actor=None, now=now)
        title, dedup_key = f"Channel {channel.name} was switched off", f"channel_off:{channel.id}:{job.delivery_id}"
    elif gave_up or result.outcome is AttemptOutcome.BLOCKED:
        title, dedup_key = f"Channel {channel.name} does not work", f"channel_failing:{channel.id}:{now:%Y-%m-%d}"
    else:
        return
    channel_trouble_report(channel=channel, dedup_key=dedup_key, title=title, reason=result.detail, now=now)
