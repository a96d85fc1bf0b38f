"""Alerts of usage without a price follow what repricing does: they recover once all usage of their model has a price,
and fire again where that is undone. In the transaction that books the last of a run, under the settling lock."""

from datetime import datetime

from alerts.endings import open_alerts
from alerts.facts import one_line
from alerts.kinds import AlertKind
from alerts.models import Alert
from alerts.recovering import alert_recovers, recovered_fires_again
from corrections.inbox import unpriced_as_priced
from corrections.models import RepriceRun


def priced_models_recover(organization_id: int, now: datetime) -> int:
    """How many alerts recovered."""
    fired = list(open_alerts(organization_id).filter(kind=AlertKind.UNPRICED_USAGE))
    unpriced = _unpriced(organization_id) if fired else set()
    priced = [alert for alert in fired if _model_of(alert) not in unpriced]
    for alert in priced:
        alert_recovers(alert, note="All its usage has a price.", now=now)
    return len(priced)


def unpriced_models_fire_again(run: RepriceRun, now: datetime) -> int:
    """How many alerts opened again: of each model that has usage which the undone run had priced the latest, where that
    had recovered and its rule is on."""
    fired = Alert.objects.filter(organization_id=run.organization_id, kind=AlertKind.UNPRICED_USAGE)
    latest = {_model_of(alert): alert for alert in fired.order_by("created_at", "id")}
    unpriced = _unpriced(run.organization_id, booked_by=run.id) if latest else set()
    return sum(
        recovered_fires_again(
            organization_id=run.organization_id, dedup_key=alert.dedup_key, note="A repricing was undone.", now=now
        )
        for model, alert in latest.items()
        if model in unpriced
    )


def _unpriced(organization_id: int, booked_by: int | None = None) -> set[tuple[str, str]]:
    """Written as facts are."""
    found = unpriced_as_priced(organization_id, booked_by=booked_by)
    return {(one_line(provider), one_line(model)) for provider, model in found}


def _model_of(alert: Alert) -> tuple[str, str]:
    return str(alert.facts["provider"]), str(alert.facts["model"])
