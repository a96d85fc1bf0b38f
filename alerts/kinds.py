"""The kinds of alerts there are; an app that raises one names it here."""

from django.db import models


class AlertKind(models.TextChoices):
    BUDGET_THRESHOLD = "budget_threshold", "Budget threshold"
    FORECAST_OVERRUN = "forecast_overrun", "Forecast of an overrun"
    RUN_OUT = "run_out", "Budget runs out"
    SPEND_ANOMALY = "spend_anomaly", "Unusual spend"
    COST_PER_REQUEST_SPIKE = "cost_per_request_spike", "Dearer requests"
    CACHE_HIT_DROP = "cache_hit_drop", "Fewer cache hits"
    ERROR_SPEND = "error_spend", "Spend on errors"
    NEW_MODEL = "new_model", "New model"
    UNPRICED_USAGE = "unpriced_usage", "Unpriced usage"
    KEY_SILENT = "key_silent", "Silent key"
    KEY_NEW_NETWORK = "key_new_network", "Key used from a new network"
    INGESTION_STALLED = "ingestion_stalled", "Ingestion stalled"
    PRICE_CHANGED = "price_changed", "Price changed"
    INCREASE_REQUESTED = "increase_requested", "Increase requested"
    INCREASE_DECIDED = "increase_decided", "Increase decided"
    CHANNEL_PROBLEM = "channel_problem", "Channel problem"
    CHANNEL_TEST = "channel_test", "Test"
    RULE_TEST = "rule_test", "Test of a rule"
    # What follows an alert rather than being one.
    RECOVERY = "recovery", "Recovered"
    REMINDER = "reminder", "Still firing"
    # It ended without having recovered: told to channels that keep incidents only.
    ENDED = "ended", "Ended"
    # Several alerts in one message of a channel that had enough of them.
    DIGEST = "digest", "Digest"


# Notices that close the incident of the alert they are about.
CLOSING = frozenset({AlertKind.RECOVERY.value, AlertKind.ENDED.value})
