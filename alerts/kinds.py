"""The kinds of alerts there are; an app that raises one names it here."""

from django.db import models


class AlertKind(models.TextChoices):
    BUDGET_THRESHOLD = "budget_threshold", "Budget threshold"
    UNPRICED_USAGE = "unpriced_usage", "Unpriced usage"
    INCREASE_REQUESTED = "increase_requested", "Increase requested"
    INCREASE_DECIDED = "increase_decided", "Increase decided"
    CHANNEL_PROBLEM = "channel_problem", "Channel problem"
    CHANNEL_TEST = "channel_test", "Test"
