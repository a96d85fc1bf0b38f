"""The page an invitation's link leads to."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from tenants.access import organization_scope
from tenants.members import invitation_accept
from tenants.models import Invitation, Membership, User
from tenants.selectors import invitation_of
from tenants.views import form_page


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an invitation cannot be accepted here and now."""

    status: int
    heading: str
    text: str


USED = Obstacle(410, "This invitation was used already", "Each link works once. If that was you, sign in.")
WITHDRAWN = Obstacle(410, "This invitation was withdrawn", "Ask whoever invited you for a new one.")
EXPIRED = Obstacle(410, "This invitation has expired", "Ask whoever invited you for a new one.")
SOMEBODY_ELSE = Obstacle(
    403, "This invitation is for another address", "Sign out, then sign in with the address that the mail came to."
)


@form_page
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """GET asks, POST accepts. The token is in the query both times, since a mail's link can only be a GET."""
    text, now = request.GET.get("token", ""), timezone.now()
    found = invitation_of(text)
    if found is None:
        raise Http404("No such invitation")
    user = request.user if isinstance(request.user, User) else None
    if user is not None and _is_member(found, user):
        messages.info(request, f"You are a member of {found.organization.name} already.")
        return _enter(found)
    obstacle = obstacle_of(found, user, now)
    if obstacle is not None:
        context = {"invitation": found, "obstacle": obstacle}
        return render(request, "tenants/invitation_refused.html", context, status=obstacle.status)
    if user is None:
        query = urlencode({"next": request.get_full_path(), "email": found.email})
        urls = {name: f"{reverse(f'account_{name}')}?{query}" for name in ("login", "signup")}
        return render(request, "tenants/invitation.html", {"invitation": found, **urls})
    if request.method != "POST":
        return render(request, "tenants/invitation.html", {"invitation": found})
    with organization_scope(found.organization_id):
        invitation_accept(invitation=found, user=user, now=now)
    messages.success(request, f"Welcome to {found.organization.name}.")
    return _enter(found)


def obstacle_of(invitation: Invitation, user: User | None, now: datetime) -> Obstacle | None:
    if invitation.accepted_at is not None:
        return USED
    if invitation.revoked_at is not None:
        return WITHDRAWN
    if invitation.expires_at <= now:
        return EXPIRED
    if user is not None and user.email.lower() != invitation.email:
        return SOMEBODY_ELSE
    return None


def _is_member(invitation: Invitation, user: User) -> bool:
    with organization_scope(invitation.organization_id):
        return Membership.objects.filter(organization_id=invitation.organization_id, user=user).exists()


def _enter(invitation: Invitation) -> HttpResponse:
    return redirect("overview", org_slug=invitation.organization.slug)
