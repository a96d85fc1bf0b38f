"""Which mails a member wants: the page, and the signed link in every mail."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from alerts.forms import MailChoiceForm
from alerts.mailing import choice_of, choice_set, subscription_of, unsubscribe
from alerts.models import ReviewEvery
from tenants.access import Access, organization_page

form_page = require_http_methods(["GET", "HEAD", "POST"])


@form_page
@organization_page()
def notifications(request: HttpRequest, access: Access) -> HttpResponse:
    choice = choice_of(access.organization, access.user)
    form = MailChoiceForm(
        request.POST if request.method == "POST" else None, initial={"alerts": choice.alerts, "review": choice.review}
    )
    if form.is_valid():
        choice_set(
            organization=access.organization,
            user=access.user,
            now=timezone.now(),
            alerts=form.cleaned_data["alerts"],
            review=ReviewEvery(form.cleaned_data["review"]),
        )
        messages.success(request, "Your choice is saved.")
        return redirect("notifications", org_slug=access.organization.slug)
    context = {"nav": "notifications", "form": form}
    return render(request, "alerts/notifications.html", context, status=422 if form.errors else 200)


# A mailbox posts here by itself (RFC 8058), with neither a session nor our token: the signed link is the proof.
@csrf_exempt
@never_cache
@form_page
def unsubscribe_page(request: HttpRequest) -> HttpResponse:
    """Looking changes nothing: what follows links in mails by itself only gets the page."""
    subscription = subscription_of(request.GET.get("token", ""))
    if subscription is None:
        raise Http404
    if request.method == "POST":
        unsubscribe(subscription, now=timezone.now())
    return render(request, "alerts/unsubscribe.html", {"subscription": subscription, "done": request.method == "POST"})
