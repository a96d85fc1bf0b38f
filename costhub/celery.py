"""The Celery application. A message only wakes work that already lives in Postgres, so losing one loses nothing."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

from costhub.preflight import check_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

app = Celery("costhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["ingest.imports", "budgets.reservations"])


@worker_init.connect
def refuse_an_unsafe_database(**_: Any) -> None:
    check_database()
