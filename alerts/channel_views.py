"""Pages of channels: everybody sees them, roles that may edit channels change them."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts.channels.webhook import new_secret
from alerts.enabling import channel_enable
from alerts.forms import FORMS, ChannelForm, RotateSecretForm, form_of, new_form, secret_version
from alerts.models import Channel, ChannelKind
from alerts.selectors import channel_list
from alerts.services import (
    channel_create,
    channel_delete,
    channel_disable,
    channel_secret_rotate,
    channel_test,
    channel_update,
)
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@organization_page()
def channels(request: HttpRequest, access: Access) -> HttpResponse:
    context = {
        "nav": "alerts",
        "now": timezone.now(),
        "channels": channel_list(organization_id=access.organization.id),
        "may_edit": access.may(Permission.EDIT_CHANNELS),
    }
    return render(request, "alerts/channels.html", context)


@form_page
@never_cache
@organization_page(Permission.EDIT_CHANNELS)
def create(request: HttpRequest, access: Access, kind: str) -> HttpResponse:
    if kind not in FORMS:
        raise Http404
    form = new_form(kind, request.POST if request.method == "POST" else None)
    # A webhook's secret is made by us and shown once.
    made = {"secret": new_secret()} if kind == ChannelKind.WEBHOOK else {}
    if form.is_valid():
        try:
            channel = channel_create(
                organization=access.organization,
                kind=kind,
                name=form.cleaned_data["name"],
                hourly_limit=form.cleaned_data["hourly_limit"],
                actor=access.user,
                now=timezone.now(),
                **form.address(),
                **made,
            )
        except (ValidationError, Problem) as error:
            form.refuse(error)
        else:
            if made:
                return _secret(request, channel, made["secret"])
            messages.success(request, f"{channel.name} will get every alert from now on. Send a test to see it work.")
            return _back(access)
    return _form(request, form, {"kind": ChannelKind(kind)})


@form_page
@organization_page(Permission.EDIT_CHANNELS)
def edit(request: HttpRequest, access: Access, channel_id: int) -> HttpResponse:
    channel = _channel(access, channel_id)
    form = form_of(channel, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            channel_update(
                channel=channel,
                actor=access.user,
                now=timezone.now(),
                name=form.cleaned_data["name"],
                hourly_limit=form.cleaned_data["hourly_limit"],
                **form.address(),
            )
        except (ValidationError, Problem) as error:
            form.refuse(error)
        else:
            messages.success(request, f"{channel.name} is saved.")
            return _back(access)
    return _form(request, form, {"kind": ChannelKind(channel.kind), "channel": _channel(access, channel_id)})


@form_page
@never_cache
@organization_page(Permission.EDIT_CHANNELS)
def rotate(request: HttpRequest, access: Access, channel_id: int) -> HttpResponse:
    """A webhook's signing secret made anew; shown in answer to the form, this once."""
    channel = get_object_or_404(
        Channel.objects.present(), organization=access.organization, id=channel_id, kind=ChannelKind.WEBHOOK
    )
    form = RotateSecretForm(request.POST or None, initial={"present": secret_version(channel)})
    if not form.is_valid():
        context = {"nav": "alerts", "form": form, "channel": channel}
        return render(request, "alerts/channel_rotate.html", context, status=422 if form.errors else 200)
    if not form.is_about(channel):
        messages.warning(request, "The secret had been changed already. Nothing happened now.")
        return redirect("channel_edit", org_slug=access.organization.slug, channel_id=channel.id)
    secret, now = new_secret(), timezone.now()
    overlap = timedelta(hours=form.cleaned_data["overlap_hours"])
    channel_secret_rotate(channel=channel, secret=secret, overlap=overlap, actor=access.user, now=now)
    return _secret(request, channel, secret)


@form_page
@organization_page(Permission.EDIT_CHANNELS)
def delete(request: HttpRequest, access: Access, channel_id: int) -> HttpResponse:
    channel = _channel(access, channel_id)
    if request.method != "POST":
        return render(request, "alerts/channel_delete.html", {"nav": "alerts", "channel": channel})
    channel_delete(channel=channel, actor=access.user, now=timezone.now())
    messages.success(request, f"{channel.name} is deleted.")
    return _back(access)


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def enable(request: HttpRequest, access: Access, channel_id: int) -> HttpResponse:
    channel = _channel(access, channel_id)
    channel_enable(channel=channel, actor=access.user, now=timezone.now())
    messages.success(request, f"{channel.name} is on.")
    return _back(access)


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def disable(request: HttpRequest, access: Access, channel_id: int) -> HttpResponse:
    channel = _channel(access, channel_id)
    reason = f"Switched off by {access.user.email}."
    channel_disable(channel=channel, reason=reason, actor=access.user, now=timezone.now())
    messages.success(request, f"{channel.name} is off. Alerts that fire now do not go there.")
    return _back(access)


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def test(request: HttpRequest, access: Access, channel_id: int) -> HttpResponse:
    channel = _channel(access, channel_id)
    alert = channel_test(channel=channel, actor=access.user, now=timezone.now())
    if alert is None:
        messages.info(request, "A test went out a moment ago, or the channel is off.")
        return _back(access)
    messages.success(request, f"A test is on its way to {channel.name}; what comes of it shows here.")
    return redirect("alert", org_slug=access.organization.slug, alert_id=alert.id)


def _channel(access: Access, channel_id: int) -> Channel:
    return get_object_or_404(Channel.objects.present(), organization=access.organization, id=channel_id)


def _secret(request: HttpRequest, channel: Channel, secret: str) -> HttpResponse:
    """The one page that shows a signing secret."""
    context = {"nav": "alerts", "channel": channel, "secret": secret}
    return render(request, "alerts/channel_secret.html", context)


def _back(access: Access) -> HttpResponse:
    return redirect("channels", org_slug=access.organization.slug)


def _form(request: HttpRequest, form: ChannelForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.errors else 200
    return render(request, "alerts/channel_form.html", {"nav": "alerts", "form": form, **context}, status=status)
