"""Pages of access tokens, the credentials of automation. Only who may change the organization sees them."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenants.access import Access, organization_page
from tenants.forms import TokenForm
from tenants.key_views import STATE_TONES
from tenants.models import AccessToken
from tenants.roles import Permission
from tenants.selectors import token_list
from tenants.services import AlreadyIssuedError, access_token_issue, credential_revoke
from tenants.views import form_page


@require_safe
@organization_page(Permission.EDIT_ORGANIZATION)
def tokens(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    found = token_list(organization_id=access.organization.id)
    context = {
        "nav": "settings",
        "tab": "tokens",
        "now": now,
        "rows": [(token, token.state(now), STATE_TONES[token.state(now)]) for token in found],
    }
    return render(request, "tenants/tokens.html", context)


@form_page
@never_cache
@organization_page(Permission.EDIT_ORGANIZATION)
def issue(request: HttpRequest, access: Access) -> HttpResponse:
    form = TokenForm(request.POST or None)
    if form.is_valid():
        given = form.cleaned_data
        try:
            token, secret = access_token_issue(
                organization=access.organization, name=given["name"], scopes=frozenset(given["scopes"]),
                expires_at=given["expires_at"], token_id=given["attempt"], actor=access.user, now=timezone.now(),
            )  # fmt: skip
        except ValidationError as error:
            form.refuse(error)
        except AlreadyIssuedError:
            messages.warning(
                request,
                "This form had been sent already, and its secret was shown then. Nothing happened now. "
                "If you did not keep the secret, revoke that token and issue another.",
            )
            return _back(access)
        else:
            return _secret(request, token, secret)
    return render(
        request, "tenants/token_form.html", {"nav": "settings", "form": form}, status=422 if form.errors else 200
    )


def _secret(request: HttpRequest, token: AccessToken, secret: str) -> HttpResponse:
    return render(request, "tenants/token_secret.html", {"nav": "settings", "token": token, "secret": secret})


@form_page
@organization_page(Permission.EDIT_ORGANIZATION)
def revoke(request: HttpRequest, access: Access, token_id: int) -> HttpResponse:
    token = get_object_or_404(AccessToken, organization=access.organization, id=token_id)
    if request.method != "POST":
        return render(request, "tenants/token_revoke.html", {"nav": "settings", "token": token})
    if credential_revoke(credential=token, actor=access.user, now=timezone.now()):
        messages.success(request, f"{token.name} is revoked. Calls with it are refused from now on.")
    else:
        messages.info(request, f"{token.name} had been revoked already.")
    return _back(access)


def _back(access: Access) -> HttpResponse:
    return redirect("tokens", org_slug=access.organization.slug)
