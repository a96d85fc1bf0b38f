"""`make bench`: what the product does beside what the machine could do at best, in one run."""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from bench import alert_latency, alert_truth, memory, reservations, scale, throughput  # noqa: E402

PARTS = ("alerts", "throughput", "memory", "reservations", "alert-latency", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)} (all of them, half an hour)")
    parser.add_argument("--events", type=int, default=100_000, help="events per throughput (100000)")
    parser.add_argument("--stored", type=int, default=scale.LARGE, help="events stored for scale (20 million)")
    given = parser.parse_args()
    parts = given.parts or PARTS
    if not set(parts) <= set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    if "alerts" in parts:
        alert_truth.measure()
    if parts == ["alerts"]:
        # It needs no database.
        return
    call_command("migrate", database="owner", verbosity=0)
    call_command("load_prices", verbosity=0)
    print(f"{os.cpu_count()} cores; fsync and synchronous_commit on", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        if "throughput" in parts:
            throughput.measure(given.events, log)
        if "memory" in parts:
            memory.measure(log)
        if "reservations" in parts:
            reservations.measure()
        if "scale" in parts:
            scale.measure(log, small=given.stored // 20, large=given.stored)
        if "alert-latency" in parts:
            alert_latency.measure(log)


if __name__ == "__main__":
    main()
