"""What a reader can choose from on the pages of spend, and which budgets a choice is about. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from analytics.filters import LABELLED, LABELS, STATUSES, Asked, Filters
from analytics.names import Directory
from budgets.models import Scope
from budgets.selectors import BudgetState
from usage.questions import Dimension

_INDENT = "\N{NO-BREAK SPACE}" * 3


def filter_choices(asked: Asked, directory: Directory, used: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The select boxes of `components/filters.html`."""
    chosen = asked.filters
    return [
        _choice("provider", "Provider", chosen.provider, _names(used[Dimension.PROVIDER], chosen.provider)),
        _choice("model", "Model", chosen.model, _names(used[Dimension.MODEL], chosen.model)),
        _choice(
            "team",
            "Team",
            str(chosen.team or ""),
            [(str(each), _INDENT * depth + directory.team(each)) for each, depth in directory.depths.items()],
        ),
        _choice("key", "Key", str(chosen.key or ""), [(str(each), name) for each, name in directory.key_names.items()]),
    ]


def label_choices(asked: Asked, used: Mapping[str, Sequence[str]], *names: str) -> list[dict[str, Any]]:
    """The same of what callers may add (all of it, or the ones named), where there is such usage."""
    chosen = asked.filters.labels
    choices = [
        _choice(name, LABELS[name], chosen.get(name, ""), _names(used[LABELLED[name]], chosen.get(name, "")))
        for name in names or LABELLED
    ]
    return [choice for choice in choices if choice["options"]]


def status_choices(asked: Asked) -> list[dict[str, Any]]:
    return [
        _choice("status", "Status", asked.status, [(status, status.capitalize()) for status in STATUSES]),
        _choice("unpriced", "Price", "1" if asked.unpriced else "", [("1", "Unpriced only")]),
    ]


def _names(used: Sequence[str], chosen: str) -> list[tuple[str, str]]:
    """A name stays to choose while it is chosen, even without usage in the range."""
    return [(name, name) for name in sorted({*used, chosen} - {""})]


def _choice(name: str, label: str, value: str, options: Sequence[tuple[str, str]]) -> dict[str, Any]:
    listed = [{"value": each, "text": text} for each, text in options]
    return {"name": name, "label": label, "value": value, "options": listed}


def budgets_about(filters: Filters, states: Sequence[BudgetState]) -> list[BudgetState]:
    """The budgets of what the page is filtered by: a key's, a team's, or else the whole organization's."""
    if filters.key is not None:
        return [each for each in states if each.budget.virtual_key_id == filters.key]
    if filters.team is not None:
        return [each for each in states if each.budget.scope_type == Scope.TEAM and each.budget.team_id == filters.team]
    return [each for each in states if each.budget.scope_type == Scope.ORGANIZATION]
