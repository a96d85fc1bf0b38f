"""The Celery application. A message only wakes work that already lives in Postgres, so losing one loses nothing."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

app = Celery("costhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
