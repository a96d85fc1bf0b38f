"""What the budgets of a batch of usage are found by. Pure."""

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
    values = {scope: {named(item) for item in charged} - {""} for scope, named in _NAMED.items() if scope in scopes}
    tags = {tag for item in charged for tag in item.event.tags.items()} if Scope.TAG in scopes else set()
    if tags:
        values[Scope.TAG] = {value for _, value in tags}
    return Calls(
        teams={item.team_id for item in charged},
        keys={item.virtual_key_id for item in charged},
        values=values,
        tag_names={name for name, _ in tags},
    )
