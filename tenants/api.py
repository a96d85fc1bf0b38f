"""Keys, teams, members and the audit trail over the API."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, Problem
from tenants.api_base import TenantAPIView, object_of
from tenants.models import CredentialState, Team, VirtualKey
from tenants.selectors import KeyFilter, audit_list, grace_ends, key_list, member_list, team_list, team_parents
from tenants.serializers import (
    AUDIT_PAGE,
    KEY_PAGE,
    MEMBER_PAGE,
    TEAM_PAGE,
    AuditSerializer,
    IssuedKeySerializer,
    KeyCreateSerializer,
    KeyRotateSerializer,
    KeySerializer,
    MemberSerializer,
    TeamChangeSerializer,
    TeamCreateSerializer,
    TeamSerializer,
)
from tenants.services import credential_revoke, team_create, team_rename, virtual_key_issue, virtual_key_rotate
from tenants.tree import subtree_ids

PAGE_PARAMETERS = [
    OpenApiParameter("limit", int, description="1 to 100"),
    OpenApiParameter("cursor", str, description="`next` of the page before"),
]
KEY_PARAMETERS = [
    OpenApiParameter("team", str, description="The id of a team: its keys, and those of the teams below it"),
    OpenApiParameter("state", str, enum=CredentialState.values),
    *PAGE_PARAMETERS,
]
PAGING = frozenset({"limit", "cursor"})


class KeysView(TenantAPIView):
    scopes = {"GET": "keys:read", "POST": "keys:write"}

    @extend_schema(
        operation_id="keys_list",
        summary="Virtual keys, newest first",
        parameters=KEY_PARAMETERS,
        responses={200: KEY_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, PAGING | {"team", "state"})
        now, limit = timezone.now(), page_limit(given)
        found = key_list(
            organization_id=self.caller.organization_id,
            narrowed=_key_filter(self, given),
            now=now,
            limit=limit + 1,
            before_id=_position(given),
        )
        return _page(KeySerializer(found, many=True, context=_context(self, found, now)), limit)

    @extend_schema(
        operation_id="keys_create",
        summary="Issue a virtual key",
        description="The answer holds the secret, which is stored as a hash and shown this once.",
        request=KeyCreateSerializer,
        responses={201: IssuedKeySerializer, **problems(400, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        given, now = _checked(KeyCreateSerializer(data=request.data)), timezone.now()
        given["team"] = _team_reference(self, "/team", given["team"])
        key, secret = virtual_key_issue(actor=self.token(), now=now, **given)
        return _issued(self, key, secret, now, status=201)


class KeyView(TenantAPIView):
    scopes = {"GET": "keys:read"}

    @extend_schema(operation_id="keys_get", summary="One virtual key", responses={200: KeySerializer, **problems(404)})
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return _key_response(self, _key(self, identifier), timezone.now())


class KeyRevokeView(TenantAPIView):
    scopes = {"POST": "keys:write"}

    @extend_schema(
        operation_id="keys_revoke",
        summary="Revoke a virtual key",
        description="It ends at once, with every secret it had. Doing it again changes nothing.",
        request=None,
        responses={200: KeySerializer, **problems(400, 404, 413, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        key, now = _key(self, identifier), timezone.now()
        credential_revoke(credential=key, actor=self.token(), now=now)
        key.refresh_from_db(fields=["revoked_at"])
        return _key_response(self, key, now)


class KeyRotateView(TenantAPIView):
    scopes = {"POST": "keys:write"}

    @extend_schema(
        operation_id="keys_rotate",
        summary="Give a virtual key a new secret",
        description="Its id, team and budgets stay. Every secret before ends after `grace_hours` at the latest.",
        request=KeyRotateSerializer,
        responses={200: IssuedKeySerializer, **problems(400, 404, 409, 413, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        key, now = _key(self, identifier), timezone.now()
        given = _checked(KeyRotateSerializer(data=request.data))
        grace = timedelta(hours=given["grace_hours"])
        key, secret = virtual_key_rotate(key=key, grace=grace, actor=self.token(), now=now)
        return _issued(self, key, secret, now, status=200)


class TeamsView(TenantAPIView):
    scopes = {"GET": "org:read", "POST": "org:write"}

    @extend_schema(
        operation_id="teams_list",
        summary="Teams, parents before their children",
        parameters=PAGE_PARAMETERS,
        responses={200: TEAM_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, PAGING)
        limit = page_limit(given)
        found = team_list(organization_id=self.caller.organization_id, after_id=_position(given) or 0, limit=limit + 1)
        return _page(TeamSerializer(found, many=True), limit)

    @extend_schema(
        operation_id="teams_create",
        summary="Add a team",
        request=TeamCreateSerializer,
        responses={201: TeamSerializer, **problems(400, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        given = _checked(TeamCreateSerializer(data=request.data))
        parent = None if given["parent"] is None else _team_reference(self, "/parent", given["parent"])
        team = team_create(
            organization=self.organization(), name=given["name"], parent=parent, actor=self.token(), now=timezone.now()
        )
        return Response(TeamSerializer(team).data, status=201)


class TeamView(TenantAPIView):
    scopes = {"GET": "org:read", "PATCH": "org:write"}

    @extend_schema(operation_id="teams_get", summary="One team", responses={200: TeamSerializer, **problems(404)})
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return Response(TeamSerializer(_team(self, identifier)).data)

    @extend_schema(
        operation_id="teams_change",
        summary="Rename a team",
        description="Its slug stays.",
        request=TeamChangeSerializer,
        responses={200: TeamSerializer, **problems(400, 404, 413, 415)},
    )
    def patch(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        team = _team(self, identifier)
        given = _checked(TeamChangeSerializer(data=request.data))
        team_rename(team=team, name=given["name"], actor=self.token(), now=timezone.now())
        return Response(TeamSerializer(team).data)


class MembersView(TenantAPIView):
    scopes = {"GET": "org:read"}

    @extend_schema(
        operation_id="members_list",
        summary="Members, in the order they joined",
        parameters=PAGE_PARAMETERS,
        responses={200: MEMBER_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, PAGING)
        limit = page_limit(given)
        found = member_list(
            organization_id=self.caller.organization_id, after_id=_position(given) or 0, limit=limit + 1
        )
        return _page(MemberSerializer(found, many=True), limit)


class AuditView(TenantAPIView):
    scopes = {"GET": "org:read"}

    @extend_schema(
        operation_id="audit_list",
        summary="The audit trail, newest first",
        parameters=PAGE_PARAMETERS,
        responses={200: AUDIT_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, PAGING)
        limit = page_limit(given)
        found = audit_list(organization_id=self.caller.organization_id, limit=limit + 1, before_id=_position(given))
        return _page(AuditSerializer(found, many=True), limit)


def _key_filter(view: TenantAPIView, given: dict[str, str]) -> KeyFilter:
    state = given.get("state")
    if state is not None and state not in CredentialState.values:
        raise _invalid("/state", f"must be one of {', '.join(CredentialState.values)}")
    if "team" not in given:
        return KeyFilter(state=state)
    team = _team_reference(view, "/team", given["team"])
    return KeyFilter(state=state, team_ids=subtree_ids(team_parents(view.caller.organization_id), [team.id]))


def _team_reference(view: TenantAPIView, pointer: str, identifier: str) -> Team:
    """The team of this id; one answer for a missing, malformed or foreign one."""
    number = parse_id(identifier)
    team = Team.objects.filter(organization_id=view.caller.organization_id, id=number or 0).first()
    if team is None:
        raise Problem("validation-error", errors=(Fault(pointer, "unknown_reference", "There is no such team."),))
    return team


def _team(view: TenantAPIView, identifier: str) -> Team:
    return object_of(Team.objects.filter(organization_id=view.caller.organization_id), identifier)


def _key(view: TenantAPIView, identifier: str) -> VirtualKey:
    found = VirtualKey.objects.filter(organization_id=view.caller.organization_id)
    key: VirtualKey = object_of(found.select_related("team", "created_by"), identifier)
    return key


def _position(given: dict[str, str]) -> int | None:
    """The id where the page before ended."""
    if "cursor" not in given:
        return None
    (position,) = decode_cursor(given["cursor"], (int,))
    if not 0 < position < 2**63:
        raise _invalid("/cursor", "is not a cursor")
    return int(position)


def _invalid(pointer: str, detail: str) -> Problem:
    return Problem("validation-error", errors=(Fault(pointer, "invalid", detail),))


def _checked(serializer: BaseSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _page(serializer: BaseSerializer[Any], limit: int) -> Response:
    rows = [dict(row) for row in serializer.data]
    return page_of(rows, limit=limit, cursor=encode_cursor(int(rows[limit - 1]["id"])) if len(rows) > limit else None)


def _context(view: TenantAPIView, keys: list[VirtualKey], now: datetime) -> dict[str, Any]:
    graces = grace_ends(organization_id=view.caller.organization_id, keys=keys, now=now)
    return {"now": now, "graces": graces}


def _key_response(view: TenantAPIView, key: VirtualKey, now: datetime) -> Response:
    return Response(KeySerializer(key, context=_context(view, [key], now)).data)


def _issued(view: TenantAPIView, key: VirtualKey, secret: str, now: datetime, *, status: int) -> Response:
    body = IssuedKeySerializer(key, context={**_context(view, [key], now), "secret": secret}).data
    return Response(body, status=status, headers={"Cache-Control": "no-store"})
