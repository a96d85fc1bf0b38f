"""The kinds of alerts there are; an app that raises one names it here."""

from django.db import models


class AlertKind(models.TextChoices):
    BUDGET_THRESHOLD = "budget_threshold", "Budget threshold"
    UNPRICED_USAGE = "unpriced_usage", "Unpriced usage"
    CHANNEL_PROBLEM = "channel_problem", "Channel problem"
    CHANNEL_TEST = "channel_test", "Test"
    # Several alerts in one message of a channel that had enough of them.
    DIGEST = "digest", "Digest"
