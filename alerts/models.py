"""What fired, whom to tell, and every attempt to tell them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from alerts.kinds import AlertKind
from alerts.machine import Phase
from alerts.rule_kinds import KINDS, KindSpec, RuleKind, ScopeType
from common.models import TenantModel, tenant_key
from tenants.models import User

DETAIL_LENGTH = 200
SUBJECT_LENGTH = 300


class ChannelKind(models.TextChoices):
    EMAIL = "email", "Email"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    WEBHOOK = "webhook", "Webhook"
    PAGERDUTY = "pagerduty", "PagerDuty"
    # Mail to whoever owns the organization, for trouble with the other channels. Nobody makes or changes it.
    OWNERS = "owners", "Owners"


# What people set up themselves.
SETTABLE_KINDS = [(kind.value, kind.label) for kind in ChannelKind if kind is not ChannelKind.OWNERS]


class Severity(models.TextChoices):
    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class DeliveryStatus(models.TextChoices):
    PENDING = "pending", "Waiting"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    # Above the channel's limit: told by the digest it names.
    GATHERED = "gathered", "In a digest"
    FAILED = "failed", "Failed"
    BLOCKED = "blocked", "Blocked"


# A delivery in one of these is still to be made; the others are final.
OPEN_STATUSES = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)


class Action(models.TextChoices):
    """What of an alert a channel is told. Only those that keep incidents are told more than the first."""

    FIRE = "fire", "Fired"
    ACKNOWLEDGE = "acknowledge", "Acknowledged"
    RESOLVE = "resolve", "Recovered"


class AttemptOutcome(models.TextChoices):
    DELIVERED = "delivered", "Delivered"
    RETRY = "retry", "Will be tried again"
    FAILED = "failed", "Failed"
    BLOCKED = "blocked", "Blocked"


class ChannelQuerySet(models.QuerySet["Channel"]):
    def present(self) -> "ChannelQuerySet":
        return self.filter(deleted_at__isnull=True).exclude(kind=ChannelKind.OWNERS)

    def listening(self) -> "ChannelQuerySet":
        return self.present().filter(enabled=True)


class Channel(TenantModel):
    """Where alerts go. A deleted channel keeps its name for the history and loses its address."""

    kind = models.CharField(max_length=10, choices=ChannelKind.choices)
    name = models.CharField(max_length=100)
    recipients = ArrayField(models.EmailField(max_length=254), default=list, blank=True)
    # A webhook's URL is a secret: sealed, never shown again; the host is what pages may say of it.
    sealed_url = models.BinaryField(null=True)
    url_host = models.CharField(max_length=260, blank=True)
    # A webhook's signing secret or PagerDuty's routing key. The one before signs along until `old_secret_until`.
    sealed_secret = models.BinaryField(null=True)
    sealed_old_secret = models.BinaryField(null=True)
    old_secret_until = models.DateTimeField(null=True, blank=True)
    # Messages in any hour; what comes above is gathered into one digest.
    hourly_limit = models.PositiveSmallIntegerField(default=20)
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=DETAIL_LENGTH, blank=True)
    last_error = models.CharField(max_length=DETAIL_LENGTH, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=utc_now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(deleted_at__isnull=True) & ~Q(kind="owners"),
                name="channel_name_unique_in_organization",
            ),
            models.UniqueConstraint(
                fields=["organization"], condition=Q(kind="owners"), name="channel_owners_once_in_organization"
            ),
            models.CheckConstraint(
                condition=Q(
                    deleted_at__isnull=False,
                    enabled=False,
                    recipients=[],
                    sealed_url__isnull=True,
                    sealed_secret__isnull=True,
                    sealed_old_secret__isnull=True,
                )
                | (Q(deleted_at__isnull=True, kind="email", sealed_url__isnull=True) & ~Q(recipients=[]))
                | Q(
                    deleted_at__isnull=True,
                    kind__in=["slack", "teams"],
                    sealed_url__isnull=False,
                    recipients=[],
                    sealed_secret__isnull=True,
                )
                | Q(
                    deleted_at__isnull=True,
                    kind__in=["webhook", "pagerduty"],
                    sealed_url__isnull=False,
                    recipients=[],
                    sealed_secret__isnull=False,
                )
                | Q(deleted_at__isnull=True, kind="owners", recipients=[], sealed_url__isnull=True),
                name="channel_has_the_address_of_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(sealed_old_secret__isnull=True) | Q(kind="webhook", old_secret_until__isnull=False),
                name="channel_old_secret_says_until_when",
            ),
            models.CheckConstraint(
                condition=Q(hourly_limit__gte=1, hourly_limit__lte=1000), name="channel_hourly_limit_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seal_purpose(self) -> str:
        return f"alerts.channel:{self.id}:url"

    @property
    def secret_purpose(self) -> str:
        return f"alerts.channel:{self.id}:secret"


class ReviewEvery(models.TextChoices):
    WEEK = "week", "Weekly"
    MONTH = "month", "Monthly"
    NEVER = "never", "Never"


class MailChoice(TenantModel):
    """Which mails a member wants from an organization; without a row: alerts, and no review."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    alerts = models.BooleanField(default=True)
    review = models.CharField(max_length=5, choices=ReviewEvery.choices, default=ReviewEvery.NEVER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="mailchoice_once_per_member"),
            models.CheckConstraint(condition=Q(review__in=ReviewEvery.values), name="mailchoice_review_known"),
        ]


class ReviewMail(TenantModel):
    """A cost review that a member is to get, made once per period; `sent_at` once the mail server took it."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    every = models.CharField(max_length=5, choices=ReviewEvery.choices)
    # The local day that the reviewed period begins on.
    first = models.DateField()
    created_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "every", "first", "user"], name="reviewmail_once_per_period_and_member"
            ),
            models.CheckConstraint(condition=Q(every__in=["week", "month"]), name="reviewmail_period_known"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "organization"], condition=Q(sent_at__isnull=True), name="reviewmail_due"
            )
        ]


class AlertRuleQuerySet(models.QuerySet["AlertRule"]):
    def present(self) -> "AlertRuleQuerySet":
        return self.filter(deleted_at__isnull=True)


class AlertRule(TenantModel):
    """What to watch and whom to tell. A deleted rule keeps its name for the history of its alerts."""

    kind = models.CharField(max_length=40, choices=RuleKind.choices)
    name = models.CharField(max_length=100)
    scope_type = models.CharField(max_length=20, choices=ScopeType.choices)
    # The id of a budget, team or key, or the value of a label. Empty: each of them.
    scope_value = models.CharField(max_length=200, blank=True)
    tag_name = models.CharField(max_length=40, blank=True)
    # As in `alerts.rule_kinds`: every parameter of the kind, as people write it.
    parameters = models.JSONField(default=dict, blank=True)
    # Empty for thresholds of budgets alone: critical from 100 percent, else a warning.
    severity = models.CharField(max_length=10, choices=Severity.choices, blank=True)
    enabled = models.BooleanField(default=True)
    # Until then its alerts are written down and nobody is told.
    muted_until = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=254, blank=True)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = AlertRuleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(deleted_at__isnull=True),
                name="rule_name_unique_in_organization",
            ),
            models.CheckConstraint(condition=Q(kind__in=RuleKind.values), name="rule_kind_known"),
            models.CheckConstraint(condition=Q(scope_type__in=ScopeType.values), name="rule_scope_known"),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values) | Q(severity="", kind=RuleKind.BUDGET_THRESHOLD),
                name="rule_severity_known",
            ),
            models.CheckConstraint(
                condition=(Q(scope_type="tag") & ~Q(tag_name="")) | (~Q(scope_type="tag") & Q(tag_name="")),
                name="rule_tag_named_for_tags_only",
            ),
            models.CheckConstraint(
                condition=~Q(scope_type="organization") | Q(scope_value=""), name="rule_of_all_has_no_value"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def spec(self) -> KindSpec:
        return KINDS[RuleKind(self.kind)]

    def named_channels(self) -> "models.QuerySet[RuleChannel]":
        return RuleChannel.objects.filter(organization_id=self.organization_id, rule_id=self.id)


class RuleChannel(TenantModel):
    """A channel that a rule tells; a rule without any tells all that are on."""

    rule = tenant_key("alerts.AlertRule")
    channel = tenant_key("alerts.Channel")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "rule", "channel"], name="rule_names_a_channel_once")
        ]


class AlertState(models.TextChoices):
    FIRING = "firing", "Firing"
    SNOOZED = "snoozed", "Snoozed"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    RECOVERED = "recovered", "Recovered"


class Alert(TenantModel):
    """Something that fired, once per dedup key."""

    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    # What makes it the same alert again, e.g. rule, scope and period.
    dedup_key = models.CharField(max_length=200)
    title = models.CharField(max_length=200)
    # Names, amounts as decimal strings, moments as RFC 3339, a link as a path: see `alerts.facts`.
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    # Text, as in the audit trail: it outlives the account or the token it names.
    acknowledged_by = models.CharField(max_length=254, blank=True)
    rule = tenant_key("alerts.AlertRule", null=True)
    # What the rule found it at, e.g. "team:17".
    subject = models.CharField(max_length=SUBJECT_LENGTH, blank=True, db_default="")
    recovered_at = models.DateTimeField(null=True)
    # Until then nobody is told more; what still fires after that is told again.
    snoozed_until = models.DateTimeField(null=True)
    # Set for a notice that follows an alert (it recovered, it still fires) rather than being one.
    about = tenant_key("alerts.Alert", null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "dedup_key"], name="alert_fires_once_per_dedup_key"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alert_severity_known"),
        ]
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="alert_newest_first")]

    def __str__(self) -> str:
        return self.title

    @property
    def kind_label(self) -> str:
        known = dict(AlertKind.choices)
        return known.get(self.kind, self.kind.replace("_", " ").capitalize())

    @property
    def state(self) -> AlertState:
        """Snoozed is what would be firing; whose end has come and was not worked off yet counts as it was."""
        if self.recovered_at is not None:
            return AlertState.RECOVERED
        if self.acknowledged_at is not None:
            return AlertState.ACKNOWLEDGED
        return AlertState.FIRING if self.snoozed_until is None else AlertState.SNOOZED


class AlertEventKind(models.TextChoices):
    FIRED = "fired", "Fired"
    FIRED_AGAIN = "fired_again", "Fired again"
    ADDED = "added", "Found more"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    SNOOZED = "snoozed", "Snoozed"
    REMINDED = "reminded", "Told again after a snooze"
    RECOVERED = "recovered", "Recovered"
    ENDED = "ended", "Ended"


class AlertEvent(TenantModel):
    """What became of an alert: when, by whom, and at what value. Only ever appended."""

    alert = tenant_key("alerts.Alert")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=AlertEventKind.choices)
    # Empty: CostHub itself.
    by = models.CharField(max_length=254, blank=True)
    note = models.CharField(max_length=DETAIL_LENGTH, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=AlertEventKind.values), name="alert_event_kind_known")
        ]
        indexes = [models.Index(fields=["organization", "alert", "at"], name="alert_event_of_alert")]


class RuleStanding(TenantModel):
    """Where one subject of a rule stands, as `alerts.machine.Standing` has it, between two readings."""

    rule = tenant_key("alerts.AlertRule")
    subject = models.CharField(max_length=SUBJECT_LENGTH)
    phase = models.CharField(max_length=20, choices=[(phase.value, phase.value) for phase in Phase])
    period = models.CharField(max_length=100, blank=True)
    turning_since = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    # The alert of the period that it is in, once one was raised.
    alert = tenant_key("alerts.Alert", null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "rule", "subject"], name="standing_once_per_rule_and_subject"
            ),
            models.CheckConstraint(
                condition=Q(phase__in=[phase.value for phase in Phase]), name="standing_phase_known"
            ),
        ]


class Delivery(TenantModel):
    """The duty to tell one channel, or one person by email, of one alert: made with it, done by `alerts.deliver`."""

    alert = tenant_key("alerts.Alert")
    channel = tenant_key("alerts.Channel", null=True)
    # Whom the alert asks in person, and the path that this one's button leads to. The path may let its holder act, so
    # it is on no page and in no answer.
    recipient = models.EmailField(max_length=254, blank=True, default="")
    link = models.CharField(max_length=500, blank=True, default="")
    action = models.CharField(max_length=11, choices=Action.choices, default=Action.FIRE)
    # The delivery whose message tells of this one too; set when it is gathered.
    digest = tenant_key("alerts.Delivery", null=True)
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    # While this lies in the future, the worker that set it is at work and no other may send.
    claimed_until = models.DateTimeField(null=True)
    # Recipients who have it already; the next attempt leaves them out.
    reached = ArrayField(models.CharField(max_length=254), default=list)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "alert", "channel", "action"], name="delivery_once_per_alert_and_channel"
            ),
            models.CheckConstraint(condition=Q(action__in=Action.values), name="delivery_action_known"),
            models.CheckConstraint(
                condition=Q(status="gathered", digest__isnull=False) | (~Q(status="gathered") & Q(digest__isnull=True)),
                name="delivery_gathered_names_its_digest",
            ),
            models.UniqueConstraint(
                fields=["organization", "alert", "recipient"],
                condition=~Q(recipient=""),
                name="delivery_once_per_alert_and_person",
            ),
            models.CheckConstraint(
                condition=Q(channel__isnull=False, recipient="", link="")
                | (Q(channel__isnull=True) & ~Q(recipient="")),
                name="delivery_to_a_channel_or_a_person",
            ),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="delivery_status_known"),
            models.CheckConstraint(
                condition=Q(status="sent", sent_at__isnull=False) | (~Q(status="sent") & Q(sent_at__isnull=True)),
                name="delivery_sent_says_when",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "organization"], condition=Q(status__in=OPEN_STATUSES), name="delivery_due"
            ),
            # How much a channel had in the last hour.
            models.Index(
                fields=["organization", "channel", "sent_at"], condition=Q(status="sent"), name="delivery_sent_when"
            ),
            models.Index(
                fields=["organization", "digest"], condition=Q(status="gathered"), name="delivery_gathered_in"
            ),
        ]


class Attempt(TenantModel):
    """One attempt at a delivery and what came of it. Only ever appended."""

    delivery = tenant_key("alerts.Delivery")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=10, choices=AttemptOutcome.choices)
    # Our own words, fit for any member's eyes: never an address's secret part, never an answer's text.
    detail = models.CharField(max_length=DETAIL_LENGTH)

    class Meta:
        indexes = [models.Index(fields=["organization", "delivery", "at"], name="attempt_of_delivery")]
