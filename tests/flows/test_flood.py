"""I45: one key that floods is told to slow down, and nobody else notices."""

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.ingest.payloads import event
from tests.product import Product, running_product

SECONDS = 3.0
PER_SECOND = 15


@dataclass
class Flood(threading.Thread):
    """Sends single events over one connection, as fast as it can or with a pause."""

    product: Product
    secret: str
    pause_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.product.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            connection.request("POST", "/api/v1/events", json.dumps(event()), headers)
            answer = connection.getresponse()
            answer.read()
            self.statuses[answer.status] += 1
            if answer.status == 429:
                self.refused = dict(answer.getheaders())
            time.sleep(self.pause_s)


def test_a_flood_from_one_key() -> None:
    with running_product(LOG_LEVEL="ERROR", INGEST_KEY_REQUESTS_PER_SECOND=str(PER_SECOND)) as product:
        loud = product.run_json("-m", "tests.faults.tenant")["secret"]
        issue = ("manage.py", "issue_key", "--organization", "faults", "--team", "default", "--name", "quiet")
        quiet = product.run(*issue).splitlines()[-1]
        # The first requests of a process load its prices; what is measured comes after.
        Flood(product, quiet, pause_s=0.1).run()
        floods = [Flood(product, loud) for _ in range(4)]
        neighbour = Flood(product, quiet, pause_s=0.2)
        for sender in (*floods, neighbour):
            sender.start()
        for sender in (*floods, neighbour):
            sender.join(60)
    total = sum((flood.statuses for flood in floods), Counter[int]())
    refused = next(flood.refused for flood in floods if flood.refused)
    assert set(total) == {202, 429}
    # A burst of the whole bucket, then what comes back in time; the last answers may come a little late.
    assert total[202] <= PER_SECOND * (SECONDS + 1 + 1)
    assert refused["Content-Type"] == "application/problem+json"
    assert int(refused["Retry-After"]) >= 1
    assert f'"key-requests";q={PER_SECOND};w=1' in refused["RateLimit-Policy"]
    assert '"key-requests";r=0;t=1' in refused["RateLimit"]
    assert set(neighbour.statuses) == {202}
    assert neighbour.statuses[202] > 5
