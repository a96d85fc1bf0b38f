"""Celery tasks of reservations: the sweep of abandoned ones, the check of counters, forgetting."""

import logging
from datetime import timedelta

import redis
from celery import shared_task
from django.db import connection
from django.utils import timezone

from budgets.reservations.sweep import check_all, sweep
from tenants.access import organization_scope
from tenants.selectors import organization_ids

log = logging.getLogger(__name__)

KEPT_DAYS = 90


@shared_task(name="budgets.sweep_reservations", ignore_result=True)
def sweep_reservations() -> None:
    """Charges what was abandoned."""
    try:
        sweep(timezone.now())
    except redis.RedisError as error:
        log.warning("Redis does not answer; abandoned authorizations are charged later: %s", error)


@shared_task(name="budgets.check_counters", ignore_result=True)
def check_counters() -> None:
    """Compares the counters with the ledger and puts right what differs."""
    try:
        check_all(timezone.now())
    except redis.RedisError as error:
        log.warning("Redis does not answer; counters are checked later: %s", error)


@shared_task(name="budgets.forget_old_reservations", ignore_result=True)
def forget_old_reservations() -> None:
    """Forgets refusals, ended authorizations and checks after 90 days. What is charged provisionally stays."""
    before = timezone.now() - timedelta(days=KEPT_DAYS)
    for organization_id in organization_ids():
        with organization_scope(organization_id), connection.cursor() as cursor:
            for table, condition in (
                ("budgets_refusal", "at < %s"),
                ("budgets_authorization", "ended_at < %s AND state = 'committed'"),
                ("budgets_countercheck", "at < %s"),
            ):
                cursor.execute(
                    f"DELETE FROM {table} WHERE organization_id = %s AND {condition}", [organization_id, before]
                )
