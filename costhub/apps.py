from django.apps import AppConfig

# Imported here so that every Django process sends its tasks through the one Celery application.
from costhub.celery import app as celery_app

__all__ = ["CosthubConfig", "celery_app"]


class CosthubConfig(AppConfig):
    name = "costhub"
