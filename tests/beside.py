"""Loaded before the settings: of several processes that run tests, each has a Redis database of its own."""

import os

worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if worker:
    number = int(worker.removeprefix("gw")) + 1
    url = os.environ["REDIS_URL"]
    os.environ["REDIS_URL"] = f"{url}?db={number}" if url.startswith("unix:") else f"{url.rsplit('/', 1)[0]}/{number}"
