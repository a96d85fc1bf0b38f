"""Real PostgreSQL 18 and Redis for one-command use, kept in a folder and reached over unix sockets only.

`urls` and `secrets` are what the settings need; `python -m costhub.embedded run -- COMMAND` runs a command beside
both servers; `manage.py up` keeps them running for the whole product.
"""

from costhub.embedded.home import EmbeddedError, Home, ServerUrls, secrets, urls

__all__ = ["EmbeddedError", "Home", "ServerUrls", "secrets", "urls"]
