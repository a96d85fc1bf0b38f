"""The page of where a virtual key is used from, for those who look after the key."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from tenants.access import Access, organization_page
from tenants.members import key_team_ids
from tenants.models import VirtualKey
from tenants.roles import Permission
from usage.key_networks import ABSENCE, KEPT, MOST_OF_A_KEY, networks_of_key
from watch.key_readers import rule_about


@require_safe
@organization_page(Permission.ISSUE_KEYS)
def networks(request: HttpRequest, access: Access, key_id: int) -> HttpResponse:
    keys = VirtualKey.objects.filter(organization=access.organization).select_related("team")
    key = get_object_or_404(keys, id=key_id)
    if key.team_id not in key_team_ids(access):
        raise PermissionDenied("You do not look after this key's team.")
    context = {
        "nav": "keys",
        "now": timezone.now(),
        "key": key,
        "networks": list(networks_of_key(organization_id=access.organization.id, virtual_key_id=key.id)),
        "most": MOST_OF_A_KEY,
        "absence": ABSENCE.days,
        "kept": KEPT.days,
        "rule": rule_about(key),
        "may_edit": access.may(Permission.EDIT_CHANNELS),
    }
    return render(request, "watch/key_networks.html", context)
