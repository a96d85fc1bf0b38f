"""Single events by what they belong to, and traces as a whole. Runs inside the organization's scope."""

from collections.abc import Sequence

from django.db.models import Q

from usage.dimensions import COLUMNS, TAG_PREFIX
from usage.models import Trace


def having(dimension: str, values: Sequence[str]) -> Q:
    """Events whose dimension (a name of `usage.dimensions.COLUMNS`, or "tag." and a name) has one of the values."""
    if dimension.startswith(TAG_PREFIX):
        name, found = dimension.removeprefix(TAG_PREFIX), Q()
        for value in values:
            found |= Q(tags__contains={name: value})
        return found
    return Q(**{f"{COLUMNS[dimension]}__in": list(values)})


def of_trace(organization_id: int, trace_id: str) -> Q:
    """Events of a trace, with the time it took beside its id, so that only its months are looked through."""
    trace = Trace.objects.filter(organization_id=organization_id, trace_id=trace_id).first()
    if trace is None:
        return Q(time__in=[])
    return Q(trace_id=trace_id, time__gte=trace.first_at, time__lte=trace.last_at)
