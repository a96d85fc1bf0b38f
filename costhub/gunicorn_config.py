"""gunicorn for CostHub: threads, since requests wait for Postgres; strict limits, since anybody may connect."""

import gc
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gunicorn.glogging import Logger

from costhub import env

PROBES = {"/healthz", "/readyz"}


class PathLogger(Logger):
    """An access log of paths: a query string may hold a key that somebody put there by mistake."""

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: Any) -> None:
        # Probes come every few seconds and say nothing when all is well.
        if environ.get("PATH_INFO") not in PROBES or not str(resp.status).startswith("200"):
            super().access(resp, req, environ, request_time)

    def atoms(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: Any) -> Any:
        known = super().atoms(resp, req, environ, request_time)
        # Quoted again, since a decoded path may break the line and forge entries. Django has made it Unicode by now.
        known["U"] = quote(environ.get("PATH_INFO", ""), errors="replace")
        return known


bind = env.text("COSTHUB_BIND", "127.0.0.1:8000")
wsgi_app = "costhub.wsgi:application"
worker_class = "gthread"
workers = env.number("WEB_WORKERS", 2, minimum=1, maximum=64)
threads = env.number("WEB_THREADS", 8, minimum=1, maximum=64)
# Seconds without a sign of life from a worker's main loop before it is killed, and to finish requests when stopping.
timeout = 30
graceful_timeout = 5
keepalive = 5
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
# Heartbeats are files; in memory they cannot stall on a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
logger_class = PathLogger
accesslog = "-"
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'


def post_fork(server: Any, worker: Any) -> None:
    """What was loaded stays for good, so the collector need not walk over it; batches make and drop objects by the
    thousand, so it need not look after every seven hundred either."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
