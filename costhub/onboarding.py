"""Where people land, how an organization begins, and its settings: the pages that touch several apps at once."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.rules import default_rules_create
from alerts.services import default_channel_create
from tenants.access import LAST_ORGANIZATION, Access, memberships_of, organization_page, organization_scope
from tenants.forms import NewOrganizationForm, OrganizationForm
from tenants.models import Organization, User
from tenants.roles import Permission
from tenants.services import organization_create, organization_update
from tenants.views import form_page
from usage.verify import rebuild


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Signed out: to the sign-in page. Signed in: to the organization last looked at, or to make the first one."""
    if not isinstance(request.user, User):
        return redirect("account_login")
    slugs = [membership.organization.slug for membership in memberships_of(request.user)]
    if not slugs:
        return redirect("organization_create")
    last = request.session.get(LAST_ORGANIZATION)
    return redirect("overview", org_slug=last if last in slugs else slugs[0])


@form_page
@login_required
def create(request: HttpRequest) -> HttpResponse:
    """A new organization, whose alerts go to its owner by email until somebody says otherwise."""
    owner = request.user
    assert isinstance(owner, User)
    form = NewOrganizationForm(request.POST or None)
    if form.is_valid():
        try:
            organization = _begin(owner, form.cleaned_data["name"], form.cleaned_data["timezone"])
        except ValidationError as error:
            form.refuse(error)
        else:
            return redirect("overview", org_slug=organization.slug)
    context = {"form": form, "first": not memberships_of(owner)}
    return render(request, "tenants/organization_create.html", context, status=422 if form.errors else 200)


def _begin(owner: User, name: str, zone: str) -> Organization:
    now = timezone.now()
    with transaction.atomic():
        organization = organization_create(name=name, owner=owner, timezone=zone, now=now)
        with organization_scope(organization.id):
            default_channel_create(organization=organization, owner=owner, now=now)
            default_rules_create(organization=organization, now=now)
    return organization


@form_page
@organization_page()
def settings(request: HttpRequest, access: Access) -> HttpResponse:
    """Everybody sees the settings; who may, changes them."""
    organization = access.organization
    may_edit = access.may(Permission.EDIT_ORGANIZATION)
    form = OrganizationForm(
        request.POST or None, initial={"name": organization.name, "timezone": organization.timezone}
    )
    if request.method == "POST":
        access.require(Permission.EDIT_ORGANIZATION)
        if form.is_valid() and _saved(access, form):
            messages.success(request, "The settings are saved.")
            return redirect("settings", org_slug=organization.slug)
        organization.refresh_from_db()
    context = {"nav": "settings", "tab": "settings", "form": form, "may_edit": may_edit}
    return render(request, "tenants/settings.html", context, status=422 if form.errors else 200)


def _saved(access: Access, form: OrganizationForm) -> bool:
    now, organization = timezone.now(), access.organization
    before = organization.timezone
    try:
        organization_update(
            organization=organization,
            name=form.cleaned_data["name"],
            timezone=form.cleaned_data["timezone"],
            actor=access.user,
            now=now,
        )
    except ValidationError as error:
        form.refuse(error)
        return False
    if organization.timezone != before:
        # Sums are kept by the days of the zone, at the grain that its days need.
        rebuild(organization.id)
    return True
