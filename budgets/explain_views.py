"""Pages that explain: what applies to a key at a moment, and why a request was refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from budgets.amounts import spoken, spoken_exact
from budgets.explain import Explanation, explain
from budgets.explain_api import LABELS
from budgets.explain_forms import ExplainForm
from budgets.models import Action, Budget
from budgets.reasons import easing, resets, why_not
from budgets.refusals import (
    Position,
    RefusalFilter,
    Refused,
    cursor_after,
    position_at,
    refusals,
    refusals_of_request,
)
from budgets.reservations.models import Reason
from budgets.verdict import Standing
from common.display import moment
from common.filters import filter_choices
from common.ids import parse_id
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.models import VirtualKey

PAGE_SIZE = 50
_DOES = {
    Action.THROTTLE: "throttles",
    Action.DEGRADE: "suggests cheaper models",
    Action.APPROVE: "asks for approval",
    Action.BLOCK: "blocks",
}
_SHADOW = {"refused": False, "shadow": True}


@dataclass(frozen=True, slots=True)
class Line:
    """A budget that applies, as the page says it."""

    standing: Standing
    limit: str
    used: str
    left: str
    added: list[str]
    resets: str
    actions: list[str]

    @property
    def passed(self) -> bool:
        return self.standing.left <= 0


@require_safe
@organization_page()
def explain_page(request: HttpRequest, access: Access) -> HttpResponse:
    """A key and a moment explained, or the refusal of a request where its id is given."""
    now, zone = timezone.now(), ZoneInfo(access.organization.timezone)
    request_id = request.GET.get("request_id", "").strip()
    asked = "virtual_key" in request.GET
    form = ExplainForm(request.GET if asked else None, keys=_keys(access), zone=zone)
    question = form.question(now) if asked and form.is_valid() else None
    context: dict[str, Any] = {"nav": "budgets", "now": now, "form": form, "request_id": request_id}
    if request_id:
        found = refusals_of_request(organization_id=access.organization.id, request_id=request_id)
        context |= _refusal(found, zone)
    if question is not None:
        context |= _explained(explain(question), zone)
    return render(request, "budgets/explain.html", context, status=_status(form, context, request_id))


@require_safe
@organization_page()
def refusals_page(request: HttpRequest, access: Access) -> HttpResponse:
    chosen = _chosen(request)
    narrowed = RefusalFilter(
        reason=chosen.get("reason"),
        virtual_key_id=parse_id(chosen.get("key", "")),
        budget_id=parse_id(chosen.get("budget", "")),
        shadow=_SHADOW.get(chosen.get("was", "")),
    )
    cursor = request.GET.get("cursor", "")
    found = refusals(
        organization_id=access.organization.id, narrowed=narrowed, after=_position(cursor), limit=PAGE_SIZE + 1
    )
    shown = found[:PAGE_SIZE]
    more = {**chosen, "cursor": cursor_after(shown[-1])} if len(found) > PAGE_SIZE else None
    context = {
        "nav": "budgets",
        "now": timezone.now(),
        "rows": shown,
        "filters": _filters(chosen, access),
        "clear_url": request.path if chosen else "",
        "summary": f"{len(shown)} refusals" if len(shown) != 1 else "1 refusal",
        "previous_url": f"{request.path}?{urlencode(chosen)}" if cursor else "",
        "next_url": f"{request.path}?{urlencode(more)}" if more else "",
    }
    return render(request, "budgets/refusals.html", context)


def _status(form: ExplainForm, context: dict[str, Any], request_id: str) -> int:
    if form.errors:
        return 422
    return 404 if request_id and not context["refusals"] else 200


def _explained(found: Explanation, zone: ZoneInfo) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "found": found,
        "at": moment(found.question.at.astimezone(zone)),
        "lines": [_line(standing) for standing in found.standings],
        "reasons": [(why_not(obstacle), obstacle) for obstacle in verdict.obstacles],
        "eased": [easing(standing, action) for standing, action in verdict.eased],
    }


def _line(standing: Standing) -> Line:
    budget, unit = standing.budget, standing.budget.unit
    return Line(
        standing=standing,
        limit=spoken(unit, standing.limit),
        used=spoken(unit, standing.amount),
        left=spoken(unit, abs(standing.left)),
        added=[
            f"{extra.get_kind_display().lower()} of {spoken(unit, extra.amount)}"
            + (f" until {moment(extra.ends_at.astimezone(budget.zone))}" if extra.ends_at else "")
            for extra in standing.extras
        ],
        resets=resets(budget, standing.window.end),
        actions=[f"{_DOES[Action(action.action)]} from {action.at_percent}%" for action in standing.reached],
    )


def _refusal(found: Sequence[Refused], zone: ZoneInfo) -> dict[str, Any]:
    context: dict[str, Any] = {"refusals": found}
    if found:
        first = found[0].refusal
        context |= {
            "refused": any(not each.refusal.shadow for each in found),
            "key": found[0].key,
            "refused_at": moment(first.at.astimezone(zone)),
            "call": _call(first.subject),
            "numbers": [(each.budget, _numbers(each)) for each in found if each.budget is not None],
            "again": _again(found[0]),
        }
    return context


def _call(subject: dict[str, Any]) -> list[tuple[str, str]]:
    """What was called, without what was not said."""
    named = [(name.replace("_", " ").capitalize(), subject.get(name)) for name in ("provider", "model", *LABELS, "id")]
    tags = [(f"Tag {name}", value) for name, value in (subject.get("tags") or {}).items()]
    return [(name, str(value)) for name, value in (*named, *tags) if value]


def _numbers(refused: Refused) -> list[tuple[str, str]]:
    budget, numbers = refused.budget, refused.numbers
    if budget is None:
        return []
    pairs = {
        "Limit": numbers.limit,
        "Used": numbers.spent,
        "Held by calls in flight": numbers.reserved,
        "The call needed": numbers.requested,
    }
    return [(name, spoken_exact(budget.unit, amount)) for name, amount in pairs.items() if amount is not None]


def _again(refused: Refused) -> str:
    """The parameters that ask whether the same call would be refused now."""
    subject = refused.refusal.subject
    names = ("provider", "model", *LABELS)
    given = {"virtual_key": str(refused.refusal.virtual_key_id)} | {
        name: str(subject.get(name) or "") for name in names
    }
    return urlencode({name: value for name, value in given.items() if value})


def _keys(access: Access) -> list[VirtualKey]:
    keys = VirtualKey.objects.select_related("team", "organization").filter(organization=access.organization)
    return list(keys.order_by("name", "id"))


def _position(cursor: str) -> Position | None:
    try:
        return position_at(cursor) if cursor else None
    except Problem:
        return None


def _chosen(request: HttpRequest) -> dict[str, str]:
    """The filters of the URL that are known; anything else is as good as not given."""
    given = {name: request.GET.get(name, "") for name in ("reason", "was", "key", "budget")}
    known = {"reason": Reason.values, "was": list(_SHADOW)}
    return {
        name: value
        for name, value in given.items()
        if (value in known[name] if name in known else parse_id(value) is not None)
    }


def _filters(chosen: dict[str, str], access: Access) -> list[dict[str, Any]]:
    budgets = Budget.objects.filter(organization=access.organization).order_by("name", "id").values_list("id", "name")
    choices: dict[str, tuple[str, list[tuple[str, str]]]] = {
        "reason": ("Reason", [(value, str(label)) for value, label in Reason.choices]),
        "was": ("Outcome", [("refused", "Refused"), ("shadow", "Would have been")]),
        "key": ("Key", [(str(key.id), f"{key.name} ({key.team.name})") for key in _keys(access)]),
        "budget": ("Budget", [(str(budget_id), name) for budget_id, name in budgets]),
    }
    return filter_choices(choices, chosen)
