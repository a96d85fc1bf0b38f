"""Tests in several processes: each has a Redis database of its own, and what shares a costly fixture stays together.

Loaded before the settings.
"""

import os
from pathlib import Path

import pytest

worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if worker:
    number = int(worker.removeprefix("gw")) + 1
    url = os.environ["REDIS_URL"]
    os.environ["REDIS_URL"] = f"{url}?db={number}" if url.startswith("unix:") else f"{url.rsplit('/', 1)[0]}/{number}"

# Their fixtures start the whole product with its demo: once for all their files, not once for each.
TOGETHER = ("browser", "flows")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))


def _group(path: Path) -> str:
    return path.parent.name if path.parent.name in TOGETHER else f"{path.parent.name}/{path.stem}"
