"""What a reader can choose from on the pages of spend, and which budgets a choice is about. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analytics.figures import Part
from analytics.filters import STATUSES, Asked, Filters
from analytics.names import Directory
from budgets.models import Scope
from budgets.selectors import BudgetState
from usage.questions import Dimension

_INDENT = "\N{NO-BREAK SPACE}" * 3


def filter_choices(asked: Asked, directory: Directory, used: Mapping[Dimension, Sequence[str]]) -> list[dict[str, Any]]:
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


def names_of(parts: Iterable[Part]) -> dict[Dimension, list[str]]:
    """The providers and models among the parts."""
    pairs = {(part.provider, part.model) for part in parts}
    return {
        Dimension.PROVIDER: sorted({provider for provider, _ in pairs}),
        Dimension.MODEL: sorted({model for _, model in pairs}),
    }


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
        return [each for each in states if each.budget.team_id == filters.team]
    return [each for each in states if each.budget.scope_type == Scope.ORGANIZATION]
