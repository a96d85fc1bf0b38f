"""`python -m tests.ingest.send_one SECRET`: reports one event in a process of its own; prints the answer's status."""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from django.test import Client  # noqa: E402

from tests.ingest.payloads import event  # noqa: E402

if __name__ == "__main__":
    answer = Client(headers={"Host": "127.0.0.1"}).post(
        "/api/v1/events",
        data=json.dumps(event()),
        content_type="application/json",
        headers={"Authorization": f"Bearer {sys.argv[1]}"},
    )
    print(answer.status_code)
