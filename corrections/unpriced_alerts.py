"""Alerts of usage without a price follow what repricing does: they recover once all usage of their model has a price,
and fire again where that is undone. In the transaction that books the last of a run, under the settling lock."""

from datetime import datetime

from alerts.endings import open_alerts
from alerts.facts import one_line
from alerts.kinds import AlertKind
from alerts.models import Alert
from alerts.recovering import alert_fires_again, alert_recovers
from corrections.inbox import unpriced_as_priced


def priced_models_recover(organization_id: int, now: datetime) -> int:
    """How many alerts recovered."""
    fired = list(open_alerts(organization_id).filter(kind=AlertKind.UNPRICED_USAGE))
    unpriced = _unpriced(organization_id) if fired else set()
    priced = [alert for alert in fired if _model_of(alert) not in unpriced]
    for alert in priced:
        alert_recovers(alert, note="All its usage has a price.", now=now)
    return len(priced)


def unpriced_models_fire_again(organization_id: int, now: datetime) -> int:
    """How many alerts opened again: of each model the latest, where that had recovered."""
    fired = Alert.objects.select_for_update(of=("self",)).filter(
        organization_id=organization_id, kind=AlertKind.UNPRICED_USAGE
    )
    latest = {_model_of(alert): alert for alert in fired.order_by("created_at", "id")}
    unpriced = _unpriced(organization_id) if latest else set()
    again = [alert for model, alert in latest.items() if model in unpriced and alert.recovered_at is not None]
    for alert in again:
        alert_fires_again(alert, note="A repricing was undone.", now=now)
    return len(again)


def _unpriced(organization_id: int) -> set[tuple[str, str]]:
    """Written as facts are."""
    return {(one_line(provider), one_line(model)) for provider, model in unpriced_as_priced(organization_id)}


def _model_of(alert: Alert) -> tuple[str, str]:
    return str(alert.facts["provider"]), str(alert.facts["model"])
