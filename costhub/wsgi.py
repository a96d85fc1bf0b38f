"""WSGI entry point for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from costhub.preflight import check_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

application = get_wsgi_application()
check_database()

# Models can be imported only once Django is set up.
from ingest.turned_away import turned_away  # noqa: E402
from usage.key_networks import key_networks  # noqa: E402

turned_away.start_writing()
key_networks.start_writing()
