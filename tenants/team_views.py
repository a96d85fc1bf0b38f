"""Pages of teams: the tree everybody sees, and the forms that make it grow."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from tenants.access import Access, organization_page
from tenants.forms import NewTeamForm, TeamForm, team_choices
from tenants.roles import Permission
from tenants.selectors import active_keys_by_team, member_list, team_tree
from tenants.services import team_create, team_rename
from tenants.views import form_page


@require_safe
@organization_page()
def teams(request: HttpRequest, access: Access) -> HttpResponse:
    now, tree = timezone.now(), team_tree(access.organization)
    keys = active_keys_by_team(organization_id=access.organization.id, now=now)
    managers: dict[int, list[str]] = {}
    for membership in member_list(organization_id=access.organization.id):
        for team_id in membership.team_ids:
            managers.setdefault(team_id, []).append(str(membership.user))
    context = {
        "nav": "teams",
        "tab": "teams",
        "rows": [(node, keys.get(node.team.id, 0), managers.get(node.team.id, [])) for node in tree],
        "may_edit": access.may(Permission.EDIT_TEAMS),
    }
    return render(request, "tenants/teams.html", context)


@form_page
@organization_page(Permission.EDIT_TEAMS)
def create(request: HttpRequest, access: Access) -> HttpResponse:
    tree = team_tree(access.organization)
    teams = team_choices(tree, [node.team.id for node in tree])
    form = NewTeamForm(request.POST or None, teams=teams, initial={"parent": request.GET.get("parent")})
    if form.is_valid():
        parent_id = form.cleaned_data["parent"]
        try:
            team = team_create(
                organization=access.organization,
                name=form.cleaned_data["name"],
                parent=None if parent_id is None else access.team(parent_id),
                actor=access.user,
                now=timezone.now(),
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{team.name} is added.")
            return _back(access)
    context = {"nav": "teams", "form": form}
    return render(request, "tenants/team_form.html", context, status=422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_TEAMS)
def edit(request: HttpRequest, access: Access, team_id: int) -> HttpResponse:
    team = access.team(team_id)
    form = TeamForm(request.POST or None, initial={"name": team.name})
    if form.is_valid():
        try:
            team_rename(team=team, name=form.cleaned_data["name"], actor=access.user, now=timezone.now())
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"The team is now called {team.name}.")
            return _back(access)
    context = {"nav": "teams", "form": form, "team": access.team(team_id)}
    return render(request, "tenants/team_form.html", context, status=422 if form.errors else 200)


def _back(access: Access) -> HttpResponse:
    return redirect("teams", org_slug=access.organization.slug)
