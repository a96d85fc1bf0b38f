"""The page that the link in an approver's mail leads to: one request, without signing in."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from budgets.approvals.forms import DecisionForm
from budgets.approvals.link import invited_by
from budgets.approvals.selectors import active_members, increase_requests
from budgets.approvals.views import decide, decision_context, form_page
from budgets.models import IncreaseRequest
from tenants.access import organization_scope
from tenants.models import Membership


@form_page
@never_cache
def increase_link(request: HttpRequest) -> HttpResponse:
    """GET shows, POST decides. The token is in the query both times, since a mail's link can only be a GET.

    404 for a token that is not one, that is too old, or whose holder is no longer a member.
    """
    invited = invited_by(request.GET.get("token", ""))
    if invited is None:
        raise Http404("No such link")
    with organization_scope(invited.organization_id):
        members = active_members(invited.organization_id)
        member = next((each for each in members if each.id == invited.membership_id), None)
        found = increase_requests(invited.organization_id).filter(id=invited.request_id).first()
        if member is None or found is None:
            raise Http404("No such link")
        return _page(request, found, member)


def _page(request: HttpRequest, found: IncreaseRequest, member: Membership) -> HttpResponse:
    now, status = timezone.now(), 200
    form = DecisionForm(request.POST if request.method == "POST" else None, initial={"version": found.version})
    if form.is_bound:
        status = decide(request, form, found, member, now)
        found = increase_requests(found.organization_id).get(id=found.id)
    context = decision_context(found, member, now) | {"form": form, "member": member}
    return render(request, "budgets/increase_link.html", context, status=status)
