"""What rules about the networks of keys read."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from alerts.lists import NAMED, Item, named
from alerts.machine import Level
from alerts.models import AlertRule
from alerts.rule_kinds import RuleKind, ScopeType, networks_of
from alerts.watching import Reading
from common.ids import parse_id
from common.periods import PeriodKind, period_at
from tenants.models import VirtualKey
from tenants.selectors import team_parents
from tenants.tree import ancestor_ids, subtree_ids
from usage.key_networks import MOST_OF_A_KEY
from usage.models import KeyNetwork
from watch.origins import Seen, unfamiliar
from watch.place import Place


def read_key_networks(place: Place) -> Iterator[Reading]:
    """Keys that were used today or yesterday from networks that are new to them: for each day one reading, in which
    whatever appeared on it is gathered."""
    since = period_at(PeriodKind.DAY, place.now - timedelta(days=1), place.zone).start
    found = KeyNetwork.objects.filter(organization_id=place.organization.id)
    fresh = found.filter(appeared_at__gte=since)
    keys = {key.id: key for key in _keys(place, fresh)}
    by_key: dict[int, list[Seen]] = defaultdict(list)
    for row in found.filter(virtual_key_id__in=keys):
        by_key[row.virtual_key_id].append(Seen(row.network, row.first_seen_at, row.appeared_at))
    ours = networks_of(place.rule.kind, place.rule.parameters)["ours"]
    for key_id in sorted(by_key):
        seen = by_key[key_id]
        news = unfamiliar(seen, since=since, days=place.values["days"], ours=ours, most=MOST_OF_A_KEY)
        for day, of_day in _by_day(place, news).items():
            known = sum(each.appeared_at < of_day[0].appeared_at for each in seen)
            yield _reading(place, keys[key_id], day, of_day, known)


def _keys(place: Place, fresh: QuerySet[KeyNetwork]) -> QuerySet[VirtualKey]:
    """The keys of the rule's scope that can still be used and were used from somewhere new, whatever it is."""
    keys = VirtualKey.objects.filter(
        organization=place.organization, revoked_at__isnull=True, id__in=fresh.values("virtual_key_id")
    )
    return keys.filter(_scope(place)).select_related("team")


def _scope(place: Place) -> Q:
    named = parse_id(place.rule.scope_value)
    if named is None:
        return Q()
    if place.rule.scope_type == ScopeType.TEAM:
        return Q(team_id__in=subtree_ids(team_parents(place.organization.id), [named]))
    return Q(id=named)


def rule_about(key: VirtualKey) -> AlertRule | None:
    """One of the rules that are on and watch where this key is used from, whichever comes first by name."""
    above = ancestor_ids(team_parents(key.organization_id), key.team_id)
    covers = (
        Q(scope_value="")
        | Q(scope_type=ScopeType.VIRTUAL_KEY, scope_value=str(key.id))
        | Q(scope_type=ScopeType.TEAM, scope_value__in=[str(team_id) for team_id in above])
    )
    rules = AlertRule.objects.present().filter(organization_id=key.organization_id, enabled=True)
    return rules.filter(covers, kind=RuleKind.KEY_NEW_NETWORK).order_by("name", "id").first()


def _by_day(place: Place, news: Sequence[Seen]) -> dict[str, list[Seen]]:
    """By the organization's day on which they appeared."""
    days: dict[str, list[Seen]] = defaultdict(list)
    for each in news:
        days[_local(place, each.appeared_at)].append(each)
    return days


def _local(place: Place, moment: datetime) -> str:
    return f"{moment.astimezone(place.zone):%Y-%m-%d}"


def _reading(place: Place, key: VirtualKey, day: str, news: Sequence[Seen], known: int) -> Reading:
    gathered = [Item(each.network, each.appeared_at) for each in news]
    what = f"a new network, {news[0].network}" if len(news) == 1 else f"{len(news)} new networks"
    return Reading(
        f"virtual_key:{key.id}:{day}",
        Level.BAD,
        day,
        f"Key {key.name} is used from {what}",
        {
            "virtual_key": key.name,
            "team": key.team.name,
            **named("networks", gathered),
            "first_seen": news[0].appeared_at.isoformat(),
            "known_networks": known,
            "timezone": place.zone.key,
            "rule": place.rule.name,
            # Everybody may see it, and who looks after the key finds there where it is used from and how to end it.
            "link": place.path(f"keys?team={key.team_id}"),
        },
        value=f"Used from {', '.join(item.name for item in gathered[-NAMED:])}",
        gathered=gathered,
    )
