"""Settings out of the environment, refused at start-up when they make no sense."""

import base64
import binascii
import os
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def text(name: str, default: str | None = None, *, env: Mapping[str, str] = os.environ) -> str:
    """The value of `name`; ImproperlyConfigured when it is missing and there is no default."""
    value = env.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set; see .env.example")
    return default


def flag(name: str, default: bool, *, env: Mapping[str, str] = os.environ) -> bool:
    value = env.get(name)
    if value is None:
        return default
    lowered = value.strip().lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be one of 1, 0, true, false, yes, no, on, off")


def number(name: str, default: int, *, minimum: int, maximum: int, env: Mapping[str, str] = os.environ) -> int:
    value = env.get(name, "").strip() or str(default)
    if not (value.isascii() and value.isdigit()) or not minimum <= int(value) <= maximum:
        raise ImproperlyConfigured(f"{name} must be a whole number from {minimum} to {maximum}")
    return int(value)


def words(name: str, default: str = "", *, env: Mapping[str, str] = os.environ) -> list[str]:
    """The words of a comma-separated value; empty means not set."""
    return [word.strip() for word in (env.get(name, "").strip() or default).split(",") if word.strip()]


def key_bytes(name: str, value: str, length: int) -> bytes:
    """A base64 key of exactly `length` bytes."""
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ImproperlyConfigured(f"{name} must be base64") from error
    if len(raw) != length:
        raise ImproperlyConfigured(f"{name} must be {length} bytes in base64, not {len(raw)}")
    return raw


def postgres(name: str, url: str) -> dict[str, str]:
    """Django's connection parameters for postgresql://user:password@host:port/name?host=/socket/dir."""
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured(f"{name} must look like postgresql://user:password@host:5432/database")
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or query.pop("user", "")),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or parts.hostname or "",
        "PORT": query.pop("port", "") or str(_port(name, parts) or ""),
        **({"sslmode": query["sslmode"]} if "sslmode" in query else {}),
    }


def smtp(name: str, url: str) -> dict[str, str | int | bool]:
    """smtp://user:password@host:port?tls=starttls|ssl as Django's EMAIL_* settings without the prefix."""
    parts = urlsplit(url)
    tls = parse_qs(parts.query).get("tls", ["none"])[-1]
    if parts.scheme != "smtp" or not parts.hostname or tls not in {"none", "starttls", "ssl"}:
        raise ImproperlyConfigured(f"{name} must look like smtp://user:password@host:587?tls=starttls")
    return {
        "HOST": parts.hostname,
        "PORT": _port(name, parts) or 25,
        "HOST_USER": unquote(parts.username or ""),
        "HOST_PASSWORD": unquote(parts.password or ""),
        "USE_TLS": tls == "starttls",
        "USE_SSL": tls == "ssl",
    }


def _port(name: str, parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} has a port that is not a number") from error
