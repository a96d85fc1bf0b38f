"""The shape of a back-test over the API."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from budgets.amounts import to_text
from budgets.backtest import Mark, Outcome, Tally, WindowReplay
from budgets.backtest_source import Grain
from budgets.models import Unit
from budgets.past_use import PastUse
from budgets.trial_report import Report
from common.money import to_usd


class TrialTallySerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    amount = serializers.CharField(help_text="in the budget's unit")
    cost = serializers.CharField(help_text="in USD")


def _moment(**options: Any) -> serializers.DateTimeField:
    return serializers.DateTimeField(allow_null=True, **options)


_WINDOW = inline_serializer(
    "TrialWindow",
    {
        "start": serializers.DateTimeField(),
        "end": serializers.DateTimeField(),
        "used_before": serializers.CharField(help_text="when its first call came"),
        "used": serializers.CharField(help_text="with the budget, at its end"),
        "limit_reached_at": _moment(),
        "stopped_from": _moment(help_text="the first call that was stopped"),
        "thresholds": inline_serializer(
            "TrialThreshold",
            {
                "percent": serializers.IntegerField(allow_null=True, help_text="null: set as an amount"),
                "amount": serializers.CharField(),
                "at": serializers.DateTimeField(),
            },
            many=True,
        ),
        "total": TrialTallySerializer(help_text="all that happened"),
        "stopped": TrialTallySerializer(help_text="refused, throttled, or waiting for approval"),
        "degraded": TrialTallySerializer(help_text="gone to a cheaper model, at its price"),
    },
    many=True,
)
_AFFECTED = inline_serializer(
    "TrialAffected",
    {
        "value": serializers.CharField(help_text="an id, or the name; empty: calls without one"),
        "name": serializers.CharField(),
        "requests": serializers.IntegerField(),
        "cost": serializers.CharField(),
    },
    many=True,
)
TRIAL = inline_serializer(
    "Trial",
    {
        "start": serializers.DateTimeField(),
        "end": serializers.DateTimeField(),
        "unit": serializers.ChoiceField(Unit.values),
        "limit": serializers.CharField(),
        "exact_to": serializers.ChoiceField(list(Grain), help_text="the event, or only the hour or day it was in"),
        "summary": serializers.CharField(),
        "notes": serializers.ListField(child=serializers.CharField()),
        "total": TrialTallySerializer(help_text="all that happened"),
        "stopped": TrialTallySerializer(help_text="refused, throttled, or waiting for approval"),
        **{outcome.value: TrialTallySerializer() for outcome in Outcome},
        "spared": serializers.CharField(help_text="USD that cheaper models would have saved"),
        "windows_total": serializers.IntegerField(help_text="with usage"),
        "windows": _WINDOW,
        "affected": serializers.DictField(child=_AFFECTED, help_text="by team, virtual_key, customer and model"),
        "past_windows": inline_serializer(
            "TrialPast",
            {
                "windows": serializers.IntegerField(),
                "highest": serializers.CharField(),
                "median": serializers.CharField(),
                "p90": serializers.CharField(),
                "exceeded": serializers.IntegerField(help_text="how many came to more than the limit"),
            },
            allow_null=True,
            help_text="what windows that have ended came to; null: there are none to tell; none reaches back to a month"
            " whose sums have no room for the value",
        ),
    },
)


def trial_shape(report: Report, past: PastUse | None) -> dict[str, Any]:
    tried = report.tried
    unit, replay = tried.budget.unit, tried.replay
    return {
        "start": tried.period.start,
        "end": tried.period.end,
        "unit": unit,
        "limit": to_text(unit, tried.trial.limit),
        "exact_to": tried.grain.value,
        "summary": report.sentence,
        "notes": report.notes,
        "total": _shape(unit, replay.total),
        "stopped": _shape(unit, replay.stopped),
        **{outcome.value: _shape(unit, replay.tally(outcome)) for outcome in Outcome},
        "spared": to_usd(replay.spared.cost),
        "windows_total": len(replay.windows),
        "windows": [_window(unit, window) for window in report.windows],
        "affected": {
            dimension: [
                {
                    "value": each.value,
                    "name": each.name,
                    "requests": each.tally.calls,
                    "cost": to_usd(each.tally.cost),
                }
                for each in found
            ]
            for dimension, found in report.affected.items()
        },
        "past_windows": _past(unit, past),
    }


def _window(unit: str, window: WindowReplay) -> dict[str, Any]:
    return {
        "start": window.period.start,
        "end": window.period.end,
        "used_before": to_text(unit, window.before),
        "used": to_text(unit, window.used),
        "limit_reached_at": window.full_at,
        "stopped_from": window.stopped_from,
        "thresholds": [_threshold(unit, mark, at) for mark, at in window.crossed],
        "total": _shape(unit, window.total),
        "stopped": _shape(unit, window.stopped),
        "degraded": _shape(unit, window.tallies[Outcome.DEGRADED]),
    }


def _threshold(unit: str, mark: Mark, at: datetime) -> dict[str, Any]:
    return {"percent": mark.percent, "amount": to_text(unit, mark.amount), "at": at}


def _shape(unit: str, tally: Tally) -> dict[str, Any]:
    return {"requests": tally.calls, "amount": to_text(unit, tally.amount), "cost": to_usd(tally.cost)}


def _past(unit: str, past: PastUse | None) -> dict[str, Any] | None:
    if past is None:
        return None
    return {
        "windows": past.windows,
        "highest": to_text(unit, past.highest),
        "median": to_text(unit, past.median),
        "p90": to_text(unit, past.ninth),
        "exceeded": past.exceeded,
    }
