"""The time zones that people can choose."""

from functools import cache
from zoneinfo import available_timezones

# Zones named after places. The others (EST5EDT, Etc/GMT+5, localtime) are relics that mislead.
_REGIONS = frozenset(
    {"Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


@cache
def known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def zone_choices() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """(region, ((name, text), …)) for a select, UTC first. Old names stay: browsers still report them."""
    regions: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(known_zones()):
        region = name.partition("/")[0]
        if region in _REGIONS:
            regions.setdefault(region, []).append((name, name.replace("_", " ")))
    return (("Universal", (("UTC", "UTC"),)), *((region, tuple(zones)) for region, zones in regions.items()))
