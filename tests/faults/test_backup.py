"""A dump of a running product, restored into an empty server: the same figures, and the same walls between tenants."""

import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from costhub.embedded import Home
from tests.faults.test_kills import settled
from tests.ingest.payloads import event
from tests.product import CHECKOUT, Product, running_product

BESIDE_SERVER = ("-m", "costhub.embedded", "run", "--home")


@pytest.fixture
def empty_home(tmp_path: Path) -> Iterator[Home]:
    home = Home.at(tmp_path / "restored")
    home.create()
    yield home
    for path in (home.path, home.runtime, home.shared_postgres.parent):
        shutil.rmtree(path, ignore_errors=True)


def send(product: Product, secret: str, count: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=30)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    body = {"events": [event(trace_id=f"t{n % 3}", tags={"env": "prod"}) for n in range(count)]}
    connection.request("POST", "/api/v1/events", json.dumps(body), headers)
    assert connection.getresponse().status == 202


def manage(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


def report(environment: dict[str, str], home: Home, *arguments: str) -> Any:
    done = manage(environment, *BESIDE_SERVER, str(home.path), "--", sys.executable, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_backup_restores_to_the_same_figures(tmp_path: Path, empty_home: Home) -> None:
    file = tmp_path / "costhub.dump"
    with running_product(LOG_LEVEL="ERROR") as product:
        tenant = product.run_json("-m", "tests.faults.tenant")
        organization = tenant["organization"]
        send(product, tenant["secret"], 40)
        before = settled(product, organization)
        walls = product.run_json("-m", "tests.faults.bound", organization)
        product.run("manage.py", "backup", str(file))
        again = manage(product.environment, "manage.py", "restore", str(file))
        assert again.returncode != 0
        assert "already running" in again.stderr
        environment = product.environment | {"COSTHUB_HOME": str(empty_home.path)}
        # What a backup of the database does not hold: without the pepper no key would work any more.
        shutil.copy(product.home.path / "secrets.json", empty_home.path / "secrets.json")
    assert file.stat().st_mode & 0o077 == 0

    restored = manage(environment, "manage.py", "restore", str(file))
    assert restored.returncode == 0, restored.stderr[-3000:]
    assert report(environment, empty_home, "-m", "tests.faults.audit", organization) == before
    assert before["differences"] == []
    assert len(before["events"]) == 40
    after = report(environment, empty_home, "-m", "tests.faults.bound", organization)
    assert after == walls
    assert (after["role"], after["own"], after["foreign"], after["unscoped"]) == ("costhub_app", 40, 0, 0)

    second = manage(environment, "manage.py", "restore", str(file))
    assert second.returncode != 0
    assert "not empty" in second.stderr
    assert report(environment, empty_home, "-m", "tests.faults.audit", organization) == before
