"""Sends bodies over HTTP from a process of its own: `python -m bench.client URL SECRET CONNECTIONS < bodies`."""

import http.client
import json
import pickle
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit


def main() -> None:
    url, secret, connections = urlsplit(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    bodies: list[bytes] = pickle.load(sys.stdin.buffer)
    work, lock, accepted = iter(bodies), threading.Lock(), Counter[str]()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def send() -> None:
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
        for body in _each(work, lock):
            connection.request("POST", "/api/v1/events", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            with lock:
                accepted[str(answer.status)] += 1
                if answer.status == 202:
                    accepted["events"] += json.loads(text)["accepted"]

    threads = [threading.Thread(target=send) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"seconds": time.perf_counter() - started, "answers": accepted}, sys.stdout)


def _each(work: Iterator[bytes], lock: threading.Lock) -> Iterator[bytes]:
    while True:
        with lock:
            body = next(work, None)
        if body is None:
            return
        yield body


if __name__ == "__main__":
    main()
