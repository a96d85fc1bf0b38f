"""What the budgets of a batch of usage are found by. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence

from budgets.applying import Calls
from budgets.models import Scope
from usage.records import Charged

_NAMED: Mapping[Scope, Callable[[Charged], str]] = {
    Scope.CUSTOMER: lambda item: item.event.customer,
    Scope.FEATURE: lambda item: item.event.feature,
    Scope.AGENT: lambda item: item.event.agent,
    Scope.USER: lambda item: item.event.end_user,
    Scope.MODEL: lambda item: item.model,
}


def calls_of(charged: Sequence[Charged], scopes: Collection[Scope]) -> Calls:
    """Of what the events name only what is of `scopes`: a batch may name thousands that no budget is set on."""
    values: dict[tuple[Scope, str], set[str]] = {
        (scope, ""): {named(item) for item in charged} - {""} for scope, named in _NAMED.items() if scope in scopes
    }
    if Scope.TAG in scopes:
        values |= _tags(charged)
    return Calls(
        teams={item.team_id for item in charged},
        keys={item.virtual_key_id for item in charged},
        values={place: found for place, found in values.items() if found},
    )


def _tags(charged: Sequence[Charged]) -> dict[tuple[Scope, str], set[str]]:
    found: dict[tuple[Scope, str], set[str]] = defaultdict(set)
    for item in charged:
        for name, value in item.event.tags.items():
            found[Scope.TAG, name].add(value)
    return found
