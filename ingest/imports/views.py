"""Pages of imports: everybody sees what was brought in; owners, admins and finance bring it in."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from ingest.files.columns import Defaults
from ingest.imports import tasks
from ingest.imports.forms import MappingForm, UploadForm, too_large
from ingest.imports.selectors import import_list, importable_keys
from ingest.imports.services import FAULTS_KEPT, import_cancel, import_check, import_start, import_upload
from ingest.models import AT_WORK, OPEN, ImportState, UsageImport
from tenants.access import Access, organization_page
from tenants.roles import Permission
from tenants.views import cursor_of, form_page

PAGE_SIZE = 25
# What a multipart form adds around its file.
FORM_BYTES = 65_536
TONES = {
    ImportState.DONE: "good",
    ImportState.CHECKED: "info",
    ImportState.CHECKING: "info",
    ImportState.IMPORTING: "info",
    ImportState.FAILED: "bad",
}


# Checking the token reads the body; how long it is must be looked at before that.
@csrf_exempt
@form_page
@organization_page()
def imports(request: HttpRequest, access: Access) -> HttpResponse:
    """The list of imports and the form of a new one."""
    if request.method != "POST":
        return _list(request, access, UploadForm())
    access.require(Permission.IMPORT_USAGE)
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.IMPORT_FILE_LIMIT + FORM_BYTES:
        return _list(request, access, UploadForm(), status=413, refusal=too_large())
    return _upload(request, access)


@csrf_protect
def _upload(request: HttpRequest, access: Access) -> HttpResponse:
    form = UploadForm(request.POST, files=request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            made = import_upload(
                organization=access.organization, name=file.name, file=file, actor=access.user, now=timezone.now()
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            return redirect("import_detail", org_slug=access.organization.slug, import_id=made.id)
    return _list(request, access, form, status=413 if form.has_code("too_large") else 422)


def _list(
    request: HttpRequest, access: Access, form: UploadForm, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    cursor = cursor_of(request)
    found = import_list(organization_id=access.organization.id, limit=PAGE_SIZE + 1, before_id=cursor)
    shown = found[:PAGE_SIZE]
    context = {
        "nav": "imports",
        "now": timezone.now(),
        "form": form,
        "refusal": refusal,
        "may_import": access.may(Permission.IMPORT_USAGE),
        "rows": [(each, TONES.get(ImportState(each.state), "")) for each in shown],
        "summary": f"{len(shown)} import{'s' if len(shown) != 1 else ''}",
        "previous_url": request.path if cursor else "",
        "next_url": f"{request.path}?{urlencode({'cursor': shown[-1].id})}" if len(found) > PAGE_SIZE else "",
    }
    return render(request, "ingest/imports.html", context, status=status)


@form_page
@organization_page()
def detail(request: HttpRequest, access: Access, import_id: int) -> HttpResponse:
    """One import: its mapping, its check, its progress, its result. The form's `action` says what to do."""
    found = _found(access, import_id)
    if request.method == "POST":
        access.require(Permission.IMPORT_USAGE)
        return _act(request, access, found)
    if getattr(request, "htmx", False):
        return _part(request, found)
    return _detail(request, access, found, None)


def _found(access: Access, import_id: int) -> UsageImport:
    everything = UsageImport.objects.filter(organization=access.organization).select_related("virtual_key")
    return get_object_or_404(everything, id=import_id)


def _part(request: HttpRequest, found: UsageImport) -> HttpResponse:
    """What moves while a worker is at it; when it is done, the whole page has changed."""
    response = render(request, "ingest/_import_progress.html", {"found": found})
    if found.state not in AT_WORK:
        response["HX-Refresh"] = "true"
    return response


def _act(request: HttpRequest, access: Access, found: UsageImport) -> HttpResponse:
    try:
        action = _ACTIONS[request.POST.get("action", "")]
    except KeyError as error:
        raise Http404("No such action") from error
    return action(request, access, found)


def _check(request: HttpRequest, access: Access, found: UsageImport) -> HttpResponse:
    form = MappingForm(request.POST, usage_import=found, keys=importable_keys(organization_id=found.organization_id))
    if form.is_valid():
        try:
            import_check(
                usage_import=found,
                fields=form.meant,
                defaults=Defaults(form.cleaned_data["provider"] or None, form.cleaned_data["model"] or None),
                virtual_key=form.key,
                allow_old=form.cleaned_data["allow_old"],
                actor=access.user,
                now=timezone.now(),
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            tasks.after_commit()
            return _back(access, found)
    return _detail(request, access, found, form, status=422)


def _start(request: HttpRequest, access: Access, found: UsageImport) -> HttpResponse:
    try:
        import_start(usage_import=found, actor=access.user, now=timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        tasks.after_commit()
    return _back(access, found)


def _cancel(request: HttpRequest, access: Access, found: UsageImport) -> HttpResponse:
    try:
        import_cancel(usage_import=found, actor=access.user, now=timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    return _back(access, found)


_ACTIONS: dict[str, Callable[[HttpRequest, Access, UsageImport], HttpResponse]] = {
    "check": _check,
    "start": _start,
    "cancel": _cancel,
}


def _back(access: Access, found: UsageImport) -> HttpResponse:
    return redirect("import_detail", org_slug=access.organization.slug, import_id=found.id)


def _detail(
    request: HttpRequest, access: Access, found: UsageImport, form: MappingForm | None, *, status: int = 200
) -> HttpResponse:
    may_act = access.may(Permission.IMPORT_USAGE)
    context: dict[str, Any] = {
        "nav": "imports",
        "now": timezone.now(),
        "found": found,
        "tone": TONES.get(ImportState(found.state), ""),
        "at_work": found.state in AT_WORK,
        "may_act": may_act,
        "may_cancel": may_act and found.state in OPEN,
        "hidden_faults": found.refused - len(found.faults) if len(found.faults) == FAULTS_KEPT else 0,
    }
    if may_act and found.state in (ImportState.DRAFT, ImportState.CHECKED):
        keys = importable_keys(organization_id=found.organization_id)
        form = form or MappingForm(usage_import=found, keys=keys)
        context |= {"form": form, "columns": _with_samples(form, found)}
    return render(request, "ingest/import.html", context, status=status)


def _with_samples(form: MappingForm, found: UsageImport) -> list[tuple[Any, list[str]]]:
    """Each column's field with what stands in it in the first rows."""
    return [
        (field, [row[number] for row in found.sample if number < len(row) and row[number]])
        for number, field in enumerate(form.columns)
    ]
