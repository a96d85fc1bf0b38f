"""Pages of members: who is in, who is invited, and with which role."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from tenants.access import Access, organization_page
from tenants.forms import InviteForm, RoleForm, team_choices
from tenants.mails import invitation_mail, send
from tenants.members import (
    RATE_LIMITED,
    invitation_withdraw,
    member_change,
    member_invite,
    member_remove,
    open_invitations,
)
from tenants.models import Invitation, Membership
from tenants.roles import Permission, Role, grantable
from tenants.selectors import member_list, team_tree
from tenants.views import form_page


@dataclass(frozen=True, slots=True)
class Row:
    """One member as the list shows it."""

    membership: Membership
    teams: list[str]
    is_self: bool
    may_edit: bool


@require_safe
@organization_page()
def members(request: HttpRequest, access: Access) -> HttpResponse:
    names = {node.team.id: node.team.name for node in team_tree(access.organization)}
    may_grant = grantable(access.role)
    context = {
        "nav": "teams",
        "tab": "members",
        "now": timezone.now(),
        "rows": [
            Row(
                membership,
                [names[team_id] for team_id in membership.team_ids if team_id in names],
                membership.user_id == access.user.id,
                membership.role in may_grant,
            )
            for membership in member_list(organization_id=access.organization.id)
        ],
        "may_edit": access.may(Permission.EDIT_MEMBERS),
    }
    if context["may_edit"]:
        pending = open_invitations(access.organization).select_related("invited_by").order_by("-id")
        context["invitations"] = [(each, each.role in may_grant) for each in pending]
    return render(request, "tenants/members.html", context)


@form_page
@organization_page(Permission.EDIT_MEMBERS)
def invite(request: HttpRequest, access: Access) -> HttpResponse:
    _refuse_roles_above(request, access)
    form = InviteForm(request.POST or None, **_choices(access))
    if form.is_valid():
        try:
            invitation, token = member_invite(access=access, now=timezone.now(), **_given(form))
        except ValidationError as error:
            form.refuse(error)
        else:
            mail = invitation_mail(invitation, token)
            # After the commit: a link that does not work yet, or never will, must not be mailed.
            transaction.on_commit(partial(_send, request, mail, invitation.email))
            return _back(access)
    status = 429 if form.has_code(RATE_LIMITED) else 422 if form.errors else 200
    return render(request, "tenants/member_invite.html", {"nav": "teams", "form": form}, status=status)


def _send(request: HttpRequest, mail: EmailMessage, address: str) -> None:
    if send(mail):
        messages.success(request, f"The invitation is on its way to {address}.")
    else:
        messages.error(request, f"The mail server did not take the invitation to {address}. Invite again later.")


@form_page
@organization_page(Permission.EDIT_MEMBERS)
def edit(request: HttpRequest, access: Access, member_id: int) -> HttpResponse:
    membership = _editable(access, member_id)
    _refuse_roles_above(request, access)
    initial = {"role": membership.role, "team_ids": membership.team_ids}
    form = RoleForm(request.POST or None, initial=initial, **_choices(access))
    if form.is_valid():
        try:
            member_change(access=access, membership=membership, now=timezone.now(), **_given(form))
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{membership.user} is now {membership.get_role_display().lower()}.")
            return _back(access)
    context = {"nav": "teams", "form": form, "membership": _editable(access, member_id)}
    return render(request, "tenants/member_form.html", context, status=422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_MEMBERS)
def remove(request: HttpRequest, access: Access, member_id: int) -> HttpResponse:
    membership = _editable(access, member_id)
    if request.method != "POST":
        return render(request, "tenants/member_remove.html", {"nav": "teams", "membership": membership})
    try:
        member_remove(access=access, membership=membership, now=timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, f"{membership.user.email} is no longer a member.")
    return redirect("home") if membership.user_id == access.user.id else _back(access)


@require_POST
@organization_page(Permission.EDIT_MEMBERS)
def withdraw(request: HttpRequest, access: Access, invitation_id: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, organization=access.organization, id=invitation_id)
    if invitation_withdraw(access=access, invitation=invitation, now=timezone.now()):
        messages.success(request, f"The invitation to {invitation.email} is withdrawn.")
    else:
        messages.info(request, f"The invitation to {invitation.email} was used or withdrawn already.")
    return _back(access)


def _editable(access: Access, member_id: int) -> Membership:
    found = Membership.objects.filter(organization=access.organization).select_related("user")
    membership = get_object_or_404(found, id=member_id)
    if membership.role not in grantable(access.role):
        raise PermissionDenied("You cannot change this member.")
    return membership


def _refuse_roles_above(request: HttpRequest, access: Access) -> None:
    """A role that exists but is not theirs to grant is a matter of rights, not of filling in the form."""
    role = request.POST.get("role", "")
    if role in set(Role) and role not in grantable(access.role):
        raise PermissionDenied("You cannot hand out this role.")


def _choices(access: Access) -> dict[str, Any]:
    tree = team_tree(access.organization)
    return {"roles": grantable(access.role), "teams": team_choices(tree, [node.team.id for node in tree])}


def _given(form: RoleForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in form.fields}


def _back(access: Access) -> HttpResponse:
    return redirect("members", org_slug=access.organization.slug)
