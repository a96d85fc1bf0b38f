"""Accepting: durable, exactly once per organization, whatever arrives at once."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from django.db import connection
from django.test import Client

from ingest.models import Claim, InboxBatch
from tenants.access import organization_scope
from tests.factories import Tenant, make_key
from tests.ingest.payloads import event
from usage.records import decoder


def post(client: Client, tenant: Tenant, *events: dict[str, Any], secret: str = "") -> Any:
    return client.post(
        "/api/v1/events",
        data=json.dumps({"events": events}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret or tenant.secret}"},
    )


def waiting(tenant: Tenant) -> list[str]:
    with organization_scope(tenant.id):
        payloads = InboxBatch.objects.order_by("id").values_list("payload", flat=True)
        return [item.id for payload in payloads for item in decoder.decode(bytes(payload))]


def test_a_batch_is_accepted_whole(client: Client, tenant: Tenant) -> None:
    first, second = event(), event()
    answer = post(client, tenant, first, second)
    assert (answer.status_code, answer.json()["accepted"], answer.json()["duplicates"]) == (202, 2, 0)
    assert sorted(waiting(tenant)) == sorted([first["id"], second["id"]])


def test_a_repeated_batch_is_reported_as_duplicates(client: Client, tenant: Tenant) -> None:
    batch = [event(), event()]
    post(client, tenant, *batch)
    answer = post(client, tenant, *batch, event())
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (1, 2)
    assert len(waiting(tenant)) == 3


def test_the_same_content_written_differently_is_a_duplicate(client: Client, tenant: Tenant) -> None:
    noon = datetime.now(UTC).replace(microsecond=0)
    sent = event(time=noon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    post(client, tenant, sent)
    elsewhere = noon.astimezone(timezone(timedelta(hours=5, minutes=30)))
    same = {**dict(reversed(sent.items())), "time": elsewhere.isoformat(), "operation": "chat"}
    assert post(client, tenant, same).json()["duplicates"] == 1


def test_twice_in_one_batch_with_the_same_content(client: Client, tenant: Tenant) -> None:
    twin = event()
    answer = post(client, tenant, twin, twin)
    assert (answer.status_code, answer.json()["accepted"], answer.json()["duplicates"]) == (202, 1, 1)
    assert waiting(tenant) == [twin["id"]]


def test_twice_in_one_batch_with_other_content(client: Client, tenant: Tenant) -> None:
    answer = post(client, tenant, event(id="twin"), event(id="twin", model="gpt-4o"), event())
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/event-conflict")
    assert waiting(tenant) == []


def test_a_known_id_with_other_content_changes_nothing(client: Client, tenant: Tenant) -> None:
    known = event(cost="0.10")
    post(client, tenant, known)
    answer = post(client, tenant, event(), {**known, "cost": "0.20"})
    assert answer.status_code == 409
    assert answer.json()["errors"] == [{"pointer": "", "code": "event_conflict", "detail": f"id {known['id']}"}]
    assert waiting(tenant) == [known["id"]]
    with organization_scope(tenant.id):
        assert Claim.objects.count() == 1


def test_another_organization_may_use_the_same_id(client: Client, tenant: Tenant, stranger: Tenant) -> None:
    assert post(client, tenant, event(id="same")).json()["accepted"] == 1
    answer = post(client, stranger, event(id="same", model="other"))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def test_a_second_key_reporting_the_same_event_is_a_duplicate(client: Client, tenant: Tenant) -> None:
    sent = event()
    post(client, tenant, sent)
    _, secret = make_key(tenant, "rotated")
    assert post(client, tenant, sent, secret=secret).json()["duplicates"] == 1


def test_ndjson(client: Client, tenant: Tenant) -> None:
    lines = "\n".join(json.dumps(event()) for _ in range(3)) + "\n"
    answer = client.post(
        "/api/v1/events", data=lines, content_type="application/x-ndjson; charset=utf-8", headers=tenant.bearer
    )
    assert (answer.status_code, answer.json()["accepted"]) == (202, 3)
    broken = client.post(
        "/api/v1/events",
        data=json.dumps(event()) + "\n" + json.dumps(event(cost="x")),
        content_type="application/x-ndjson",
        headers=tenant.bearer,
    )
    assert broken.json()["errors"][0]["pointer"] == "/1/cost"


def test_a_cost_that_differs_is_kept_and_remarked(client: Client, tenant: Tenant, prices: None) -> None:
    answer = post(client, tenant, event(cost="5.00"), event())
    assert answer.status_code == 202
    assert [warning["pointer"] for warning in answer.json()["warnings"]] == ["/events/0/cost"]


def test_the_same_batch_from_32_connections_is_stored_once(committed_tenant: Tenant) -> None:
    batch = [event() for _ in range(20)]
    answers: list[Any] = []

    def send() -> None:
        shuffled = batch[len(answers) % 20 :] + batch[: len(answers) % 20]
        answers.append(post(Client(), committed_tenant, *shuffled))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["accepted"] for answer in answers) == 20
    assert sum(answer.json()["duplicates"] for answer in answers) == 31 * 20
    assert sorted(waiting(committed_tenant)) == sorted(item["id"] for item in batch)


def test_events_are_accepted_without_redis(committed_tenant: Tenant) -> None:
    here = connection.settings_dict
    environment = os.environ | {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": f"postgresql://{here['USER']}@/{here['NAME']}?host={here['HOST']}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.ingest.send_one", committed_tenant.secret],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "202", done.stderr
    assert "no worker could be woken" in done.stderr
    assert len(waiting(committed_tenant)) == 1
