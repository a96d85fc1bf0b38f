"""What pages of tenants share, and the page of the audit trail."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from common.ids import parse_id
from tenants.access import Access, organization_page
from tenants.models import AuditEntry
from tenants.roles import Permission
from tenants.selectors import audit_list

form_page = require_http_methods(["GET", "HEAD", "POST"])

AUDIT_PAGE_SIZE = 50
# How the audit trail calls what model names alone would not tell a reader.
OBJECTS = {"virtualkey": "key", "accesstoken": "access token", "retiredsecret": "secret"}


def cursor_of(request: HttpRequest) -> int | None:
    """Where the page before ended; anything that is no id is as good as not given."""
    return parse_id(request.GET.get("cursor", ""))


@require_safe
@organization_page(Permission.EDIT_ORGANIZATION)
def audit(request: HttpRequest, access: Access) -> HttpResponse:
    cursor = cursor_of(request)
    found = audit_list(organization_id=access.organization.id, limit=AUDIT_PAGE_SIZE + 1, before_id=cursor)
    shown = found[:AUDIT_PAGE_SIZE]
    more = f"{request.path}?{urlencode({'cursor': shown[-1].id})}" if len(found) > AUDIT_PAGE_SIZE else ""
    context = {
        "nav": "settings",
        "tab": "audit",
        "now": timezone.now(),
        "rows": [(entry, _spoken(entry), _facts(entry)) for entry in shown],
        "summary": f"{len(shown)} entries" if len(shown) != 1 else "1 entry",
        "previous_url": request.path if cursor else "",
        "next_url": more,
    }
    return render(request, "tenants/audit.html", context)


def _spoken(entry: AuditEntry) -> str:
    """ "virtualkey.issued" as "Key issued"."""
    thing, _, verb = entry.action.partition(".")
    return f"{OBJECTS.get(thing, thing)} {verb}".replace("_", " ").strip().capitalize()


def _facts(entry: AuditEntry) -> list[tuple[str, str]]:
    """Name first, as it says most; the rest as it comes."""
    facts = [(name.replace("_", " "), str(value)) for name, value in entry.facts.items()]
    return sorted(facts, key=lambda fact: fact[0] not in {"name", "email"})
