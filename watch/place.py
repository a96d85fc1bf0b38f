"""Where a rule looks: the subjects of its scope, and their figures by the hour. Reads rollups only."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from alerts.models import AlertRule
from alerts.rule_kinds import ScopeType, values_of
from common.periods import Period, PeriodKind, period_at
from tenants.models import Organization, Team, VirtualKey
from tenants.tree import subtree_ids
from usage.dimensions import OVERFLOW
from usage.questions import Interval
from usage.selectors import Spend, SpendQuery, SpendRow, spend
from watch.hours import HOUR, WEEKS, Hours

# Eight weeks to compare with, for each day of the last week as well.
SPAN = timedelta(weeks=WEEKS, days=9)
# An hour's usage is settled well before then.
SETTLED_AFTER = timedelta(minutes=5)
# Of a scope without a value, so many subjects are watched: those that cost most in the last four weeks.
EACH = 50
LATELY = timedelta(days=28)
ALL = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing a rule looks at. `values` are those of its dimension that count in it."""

    key: str
    label: str
    values: frozenset[str]
    path: str


@dataclass(frozen=True)
class Place:
    """A rule at a moment. `back`: how far its figures by the hour reach."""

    organization: Organization
    rule: AlertRule
    now: datetime
    back: timedelta = SPAN

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.organization.timezone)

    @cached_property
    def hour(self) -> datetime:
        """The end of the last hour whose usage is settled: a full hour of the organization's clocks."""
        return period_at(PeriodKind.HOUR, self.now - SETTLED_AFTER, self.zone).start

    @cached_property
    def today(self) -> Period:
        return period_at(PeriodKind.DAY, self.now, self.zone)

    @property
    def day(self) -> str:
        return self.day_of(self.now)

    def day_of(self, moment: datetime) -> str:
        """The local day, as what one alert stands for."""
        return f"{moment.astimezone(self.zone):%Y-%m-%d}"

    @cached_property
    def values(self) -> dict[str, int]:
        """The rule's parameters as detectors take them."""
        return values_of(self.rule.kind, self.rule.parameters)

    @property
    def dimension(self) -> str | None:
        """The dimension that tells the subjects apart; None for the organization as a whole."""
        match self.rule.scope_type:
            case ScopeType.ORGANIZATION:
                return None
            case ScopeType.TAG:
                return f"tag.{self.rule.tag_name}"
        return self.rule.scope_type

    def path(self, tail: str) -> str:
        return f"/o/{self.organization.slug}/{tail}"

    def spend(self, period: Period, interval: Interval | None = None, also: tuple[str, ...] = ()) -> list[SpendRow]:
        """Spend in the period, by what else is asked for and by the scope's dimension, last."""
        groups = also if self.dimension is None else (*also, self.dimension)
        return spend(
            SpendQuery(
                self.organization.id, period.start, period.end, self.zone, interval, groups, self._narrowed(),
                home=self.zone,
            )
        )  # fmt: skip

    def _narrowed(self) -> dict[str, list[str]]:
        if self.dimension is None or not self.rule.scope_value:
            return {}
        return {self.dimension: sorted(frozenset().union(*(subject.values for subject in self.subjects)))}

    def value(self, row: SpendRow) -> str:
        return ALL if self.dimension is None else row.group[self.dimension]

    @cached_property
    def subjects(self) -> list[Subject]:
        """What the rule looks at now; nothing where its team, key or value is gone."""
        match self.rule.scope_type:
            case ScopeType.ORGANIZATION:
                return [Subject("organization", self.organization.name, frozenset({ALL}), self.path(""))]
            case ScopeType.TEAM:
                return self._named(self._teams())
            case ScopeType.VIRTUAL_KEY:
                return self._named(self._keys())
        if self.rule.scope_value:
            return [self._labelled(self.rule.scope_value)]
        return [self._labelled(value) for value in self._dearest(EACH)]

    def _named(self, found: Iterable[Subject]) -> list[Subject]:
        """Just the one that the rule names, else those that cost most."""
        wanted, subjects = self.rule.scope_value, list(found)
        if wanted:
            return [each for each in subjects if each.key == f"{self.rule.scope_type}:{wanted}"]
        costs = self._costs
        spent = {each.key: sum(costs.get(value, 0) for value in each.values) for each in subjects}
        dearest = sorted(subjects, key=lambda each: -spent[each.key])[:EACH]
        return [each for each in dearest if spent[each.key] > 0]

    def _teams(self) -> Iterable[Subject]:
        teams = list(Team.objects.filter(organization=self.organization).order_by("id"))
        parents = {team.id: team.parent_id for team in teams}
        for team in teams:
            below = frozenset(str(team_id) for team_id in subtree_ids(parents, [team.id]))
            yield Subject(f"team:{team.id}", f"Team {team.name}", below, self.path(f"?team={team.id}"))

    def _keys(self) -> Iterable[Subject]:
        keys = VirtualKey.objects.filter(organization=self.organization, revoked_at__isnull=True).order_by("id")
        for key in keys:
            values = frozenset({str(key.id)})
            yield Subject(f"virtual_key:{key.id}", f"Key {key.name}", values, self.path(f"?virtual_key={key.id}"))

    def _labelled(self, value: str) -> Subject:
        tag = self.rule.tag_name
        label = f"Tag {tag} = {value}" if tag else f"{ScopeType(self.rule.scope_type).label} {value}"
        return Subject(f"{self.dimension}:{value}", label, frozenset({value}), self.path(""))

    def _dearest(self, most: int) -> list[str]:
        costs = self._costs
        return sorted((value for value in costs if value not in (ALL, OVERFLOW)), key=lambda each: -costs[each])[:most]

    @cached_property
    def _costs(self) -> Mapping[str, int]:
        """Value of the dimension → what it cost lately."""
        assert self.dimension is not None
        lately = Period(period_at(PeriodKind.DAY, self.now - LATELY, self.zone).start, self.today.end)
        query = SpendQuery(
            self.organization.id, lately.start, lately.end, self.zone, group_by=(self.dimension,), home=self.zone
        )
        return {row.group[self.dimension]: row.spend.cost for row in spend(query)}

    @cached_property
    def hourly(self) -> Mapping[str, Mapping[datetime, Spend]]:
        """Value of the dimension → start of an hour → what was used in it; of settled hours."""
        found: dict[str, dict[datetime, Spend]] = defaultdict(dict)
        for row in self.spend(Period(self.begin, self.hour), Interval.HOUR):
            if row.start is not None:
                found[self.value(row)][row.start.astimezone(UTC)] = row.spend
        return found

    @property
    def begin(self) -> datetime:
        return self.hour - self.back

    def hours(self, subject: Subject, figure: Callable[[Spend], int]) -> Hours:
        """A figure of the subject by the hour."""
        sums: dict[datetime, int] = defaultdict(int)
        for value in subject.values:
            for start, used in self.hourly.get(value, {}).items():
                sums[start] += figure(used)
        return Hours.of(self.begin, self.hour, sums)

    def since(self, subject: Subject) -> datetime | None:
        """The first hour in which the subject used anything; None when it never did."""
        return min((start for value in subject.values for start in self.hourly.get(value, {})), default=None)


def days_before(hours: Hours, end: datetime, count: int) -> list[int]:
    """What the 24 hours had that ended one, two, … days before; days before the figures begin are left out."""
    found = (hours.before(end - HOUR * 24 * back, HOUR * 24) for back in range(1, count + 1))
    return [each for each in found if each is not None]
