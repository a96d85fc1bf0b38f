"""Bearer tokens on the API: who is calling, for which organization, and what may they do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from common.problems import Problem, unauthenticated
from tenants import tokens

# What a virtual key may do besides reading its own /api/v1/me.
VIRTUAL_KEY_SCOPES = frozenset({"usage:write", "me"})

# Half of the ten seconds within which a revoked credential must be dead everywhere.
BELIEVED_SECONDS = 5.0
BELIEVED_CREDENTIALS = 10_000
# By the digest of the bearer text, so that no secret lies in memory longer than its request.
_believed: dict[bytes, "_Proven"] = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """A proven credential. `team_id` and `virtual_key_id` are set for virtual keys only."""

    organization_id: int
    credential_id: int
    scopes: frozenset[str]
    team_id: int | None = None

    @property
    def virtual_key_id(self) -> int | None:
        return self.credential_id if self.team_id is not None else None

    def require(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Problem("insufficient-scope", f"This needs the scope {scope}.")


@dataclass(frozen=True, slots=True)
class _Proven:
    """A caller and when its credential ends; `until` is when, on the monotonic clock, to look again."""

    caller: Caller
    ended_at: datetime | None
    until: float


def authenticate(request: HttpRequest, now: datetime) -> Caller:
    """The caller of the request's Authorization header; Problem 401, always the same one, for anything else."""
    return _proven(_bearer(request), now).caller


def authenticate_often(request: HttpRequest, now: datetime) -> Caller:
    """The same for callers that come hundreds of times a second: one that was proven is believed for some seconds.

    A credential that ends by the clock ends at once, one that is revoked within `BELIEVED_SECONDS`.
    """
    bearer = _bearer(request)
    key = sha256(bearer.encode()).digest()
    found = _believed.get(key)
    if found is None or found.until < time.monotonic():
        found = _proven(bearer, now)
        if len(_believed) >= BELIEVED_CREDENTIALS:
            _believed.clear()
        _believed[key] = found
    if found.ended_at is not None and found.ended_at <= now:
        raise unauthenticated()
    return found.caller


def forget_proofs() -> None:
    """Makes this process look every credential up again."""
    _believed.clear()


def _bearer(request: HttpRequest) -> str:
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "bearer":
        raise unauthenticated()
    return text.strip()


def _proven(bearer: str, now: datetime) -> _Proven:
    token = tokens.parse_token(bearer)
    if token is None or token.prefix == tokens.INVITATION_PREFIX:
        raise unauthenticated()
    is_key = token.prefix in tokens.VIRTUAL_KEY_PREFIXES.values()
    lookup = "tenants_virtual_key" if is_key else "tenants_access_token"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT organization_id, id, digest, ended_at, team_id, scopes FROM {lookup}(%s)", [token.public_id]
        )
        rows = cursor.fetchall()
    for organization_id, credential_id, digest, ended_at, team_id, scopes in rows:
        if token.matches(bytes(digest), settings.KEY_PEPPER) and (ended_at is None or ended_at > now):
            granted = VIRTUAL_KEY_SCOPES if is_key else frozenset(scopes)
            caller = Caller(organization_id, credential_id, granted, team_id)
            return _Proven(caller, ended_at, time.monotonic() + BELIEVED_SECONDS)
    raise unauthenticated()


class BearerAuthentication(BaseAuthentication):
    """DRF's view of `authenticate`: `request.auth` is the Caller. Sessions count for nothing on the API."""

    def __init__(self, prove: Callable[[HttpRequest, datetime], Caller] = authenticate) -> None:
        self._prove = prove

    def authenticate(self, request: Request) -> tuple[None, Caller]:
        return None, self._prove(request._request, timezone.now())

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="costhub"'


class HasScope(BasePermission):
    """The view names the scope each method needs: `scopes = {"GET": "keys:read", "POST": "keys:write"}`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        method = "GET" if request.method == "HEAD" else request.method
        scope = view.scopes.get(method)
        if scope is not None:
            cast("Caller", request.auth).require(scope)
        return True
