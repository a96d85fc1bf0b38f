"""Whether the web server on this machine answers: for the supervisor, and as a container's health check."""

import http.client
import os
import sys
from urllib.parse import urlsplit

HOST = "127.0.0.1"


def is_healthy(port: int, base_url: str) -> bool:
    """Ask as a browser would that was sent to `base_url`, since other host names are refused."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(base_url).netloc})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    bound_port = int(os.environ.get("COSTHUB_BIND", "127.0.0.1:8000").rpartition(":")[2])
    sys.exit(not is_healthy(bound_port, os.environ.get("BASE_URL", f"http://{HOST}:{bound_port}")))
