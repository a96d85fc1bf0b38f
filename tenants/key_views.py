"""Pages of virtual keys: everybody sees them; admins, and managers for their teams, issue, rotate and revoke."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.filters import filter_choices
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.forms import KeyForm, OnceForm, RotateForm, team_choices
from tenants.members import key_team_ids
from tenants.models import CredentialState, VirtualKey
from tenants.roles import Permission
from tenants.selectors import KeyFilter, grace_ends, key_list, team_parents, team_tree
from tenants.services import AlreadyIssuedError, credential_revoke, virtual_key_issue, virtual_key_rotate
from tenants.tree import subtree_ids
from tenants.views import cursor_of, form_page

PAGE_SIZE = 50
STATE_TONES = {CredentialState.ACTIVE: "good", CredentialState.EXPIRED: "warn", CredentialState.REVOKED: "bad"}


@dataclass(frozen=True, slots=True)
class Row:
    """One key as the list shows it."""

    key: VirtualKey
    state: CredentialState
    tone: str
    # Until when the secret before the last rotation works.
    grace_ends: datetime | None
    may_act: bool

    @property
    def dialog(self) -> str:
        return f"revoke-{self.key.id}"

    @property
    def question(self) -> str:
        return f"Revoke {self.key.name}?"


@require_safe
@organization_page()
def keys(request: HttpRequest, access: Access) -> HttpResponse:
    tree, now = team_tree(access.organization), timezone.now()
    chosen = _chosen(request, {str(node.team.id) for node in tree})
    found = key_list(
        organization_id=access.organization.id,
        narrowed=_narrowed(access, chosen),
        now=now,
        limit=PAGE_SIZE + 1,
        before_id=cursor_of(request),
    )
    shown = found[:PAGE_SIZE]
    may_act = key_team_ids(access)
    more = {**chosen, "cursor": shown[-1].id} if len(found) > PAGE_SIZE else None
    context = {
        "nav": "keys",
        "now": now,
        "rows": _rows(access, shown, may_act, now),
        "filters": _filters(chosen, team_choices(tree, [node.team.id for node in tree])),
        "clear_url": request.path if chosen else "",
        "summary": f"{len(shown)} keys" if len(shown) != 1 else "1 key",
        "previous_url": f"{request.path}?{urlencode(chosen)}" if "cursor" in request.GET else "",
        "next_url": f"{request.path}?{urlencode(more)}" if more else "",
        "may_issue": bool(may_act),
    }
    return render(request, "tenants/keys.html", context)


@form_page
@never_cache
@organization_page(Permission.ISSUE_KEYS)
def issue(request: HttpRequest, access: Access) -> HttpResponse:
    teams = team_choices(team_tree(access.organization), key_team_ids(access))
    form = KeyForm(request.POST or None, teams=teams, initial={"team": request.GET.get("team")})
    if not form.is_valid():
        return _form(request, "tenants/key_form.html", form)
    given, now = form.cleaned_data, timezone.now()
    try:
        key, secret = virtual_key_issue(
            team=access.team(given["team"]), name=given["name"], mode=given["mode"], expires_at=given["expires_at"],
            key_id=given["attempt"], actor=access.user, now=now,
        )  # fmt: skip
    except ValidationError as error:
        form.refuse(error)
        return _form(request, "tenants/key_form.html", form)
    except AlreadyIssuedError:
        return _shown_before(request, access)
    return _secret(request, key, secret, now, rotated_until=None)


@form_page
@never_cache
@organization_page(Permission.ISSUE_KEYS)
def rotate(request: HttpRequest, access: Access, key_id: int) -> HttpResponse:
    key = _actable(access, key_id)
    form = RotateForm(request.POST or None)
    if not form.is_valid():
        return _form(request, "tenants/key_rotate.html", form, key=key)
    now = timezone.now()
    grace = timedelta(hours=form.cleaned_data["grace_hours"])
    try:
        key, secret = virtual_key_rotate(
            key=key, grace=grace, actor=access.user, now=now, retired_id=form.cleaned_data["attempt"]
        )
    except Problem as problem:
        messages.error(request, problem.detail)
        return _back(access)
    except AlreadyIssuedError:
        return _shown_before(request, access)
    return _secret(request, _actable(access, key_id), secret, now, rotated_until=now + grace)


@form_page
@organization_page(Permission.ISSUE_KEYS)
def revoke(request: HttpRequest, access: Access, key_id: int) -> HttpResponse:
    key = _actable(access, key_id)
    if request.method != "POST":
        return render(request, "tenants/key_revoke.html", {"nav": "keys", "key": key})
    if credential_revoke(credential=key, actor=access.user, now=timezone.now()):
        messages.success(request, f"{key.name} is revoked. Calls with it are refused from now on.")
    else:
        messages.info(request, f"{key.name} had been revoked already.")
    return _back(access)


def _actable(access: Access, key_id: int) -> VirtualKey:
    """The key, for a member who may act on it: 404 where there is none, 403 where it is another manager's."""
    found = VirtualKey.objects.filter(organization=access.organization).select_related("team")
    key: VirtualKey = get_object_or_404(found, id=key_id)
    if key.team_id not in key_team_ids(access):
        raise PermissionDenied("You do not look after this key's team.")
    return key


def _narrowed(access: Access, chosen: dict[str, str]) -> KeyFilter:
    state = chosen.get("state")
    if "team" not in chosen:
        return KeyFilter(state=state)
    return KeyFilter(state=state, team_ids=subtree_ids(team_parents(access.organization.id), [int(chosen["team"])]))


def _chosen(request: HttpRequest, team_ids: set[str]) -> dict[str, str]:
    """The filters of the URL that are known; anything else is as good as not given."""
    known = {"team": team_ids, "state": set(CredentialState.values)}
    given = {name: request.GET.get(name, "") for name in known}
    return {name: value for name, value in given.items() if value in known[name]}


def _filters(chosen: dict[str, str], teams: list[tuple[str, str]]) -> list[dict[str, Any]]:
    choices = {"team": ("Team", teams), "state": ("State", CredentialState.choices)}
    return filter_choices(choices, chosen)


def _rows(access: Access, shown: list[VirtualKey], may_act: frozenset[int], now: datetime) -> list[Row]:
    graces = grace_ends(organization_id=access.organization.id, keys=shown, now=now)
    return [
        Row(key, key.state(now), STATE_TONES[key.state(now)], graces.get(key.id), key.team_id in may_act)
        for key in shown
    ]


def _form(request: HttpRequest, template: str, form: OnceForm, **context: Any) -> HttpResponse:
    return render(request, template, {"nav": "keys", "form": form, **context}, status=422 if form.errors else 200)


def _secret(
    request: HttpRequest, key: VirtualKey, secret: str, now: datetime, *, rotated_until: datetime | None
) -> HttpResponse:
    """The one page that shows the secret. Sent again, the same form shows nothing: see `_shown_before`."""
    context = {
        "nav": "keys",
        "now": now,
        "key": key,
        "secret": secret,
        "rotated_until": rotated_until,
        "snippet": _snippet(secret, now),
    }
    return render(request, "tenants/key_secret.html", context)


def _snippet(secret: str, now: datetime) -> str:
    return "\n".join(
        [
            f"curl {settings.BASE_URL}/api/v1/events \\",
            f"  -H 'Authorization: Bearer {secret}' \\",
            "  -H 'Content-Type: application/json' \\",
            f"""  -d '{{"id": "first-{now:%Y%m%d%H%M%S}", "time": "{now:%Y-%m-%dT%H:%M:%SZ}",""",
            """       "provider": "openai", "model": "gpt-4.1-nano",""",
            """       "usage": {"input_tokens": 1500, "output_tokens": 250}}'""",
        ]
    )


def _shown_before(request: HttpRequest, access: Access) -> HttpResponse:
    messages.warning(
        request,
        "This form had been sent already, and its secret was shown then. Nothing happened now. "
        "If you did not keep the secret, rotate the key to get a new one.",
    )
    return _back(access)


def _back(access: Access) -> HttpResponse:
    return redirect("keys", org_slug=access.organization.slug)
