"""The list prices as one organization pays them: its own rules laid over the catalog. Pure.

For every name the changes of the list price and the ends of rules become one line of dates, made at the first question
and remembered. So an answer costs what it costs without rules: two dictionary reads and a search in a short list.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pricing.book import REMEMBERED_NAMES, PriceBook, PricePeriod, Resolution, Timeline
from pricing.normalize import normalize
from pricing.rate import Rate
from pricing.rules import Rule, RuleKind, by_precedence


class OrganizationBook:
    """Answers like a `PriceBook`. Safe to share between threads: what it remembers is only ever replaced."""

    def __init__(self, version: int, catalog: PriceBook, rules: Iterable[Rule]) -> None:
        self.version = version
        self.catalog = catalog
        self._rules = tuple(rules)
        self._timelines: dict[tuple[str, str, str], Timeline] = {}

    def resolve(self, provider: str, model: str, tier: str, at: datetime) -> Resolution:
        """`provider` and `model` as the caller wrote them; `at` is the aware time of the call."""
        key = (provider, model, tier)
        timeline = self._timelines.get(key)
        if timeline is None:
            timeline = self.timeline(provider, model, tier)
            if len(self._timelines) >= REMEMBERED_NAMES:
                self._timelines = {}
            self._timelines[key] = timeline
        return timeline.at(at)

    def timeline(self, provider: str, model: str, tier: str) -> Timeline:
        listed = self.catalog.timeline(provider, model, tier)
        rules = self.rules_for(provider, model, tier)
        if not rules:
            return listed
        ends = (rule.effective_to for rule in rules if rule.effective_to is not None)
        starts = sorted({*listed.starts, *(rule.effective_from for rule in rules), *ends})
        periods = [
            _contracted(listed.period_at(start), [rule for rule in rules if rule.in_force(start)]) for start in starts
        ]
        return Timeline(starts, periods, listed.before)

    def rates_of(self, provider: str, at: datetime) -> list[Rate]:
        """The list's; what an organization pays by its own rules is as a rule less."""
        return self.catalog.rates_of(provider, at)

    def rules_for(self, provider: str, model: str, tier: str) -> list[Rule]:
        """Every rule about this model, past and future ones too; of those in force at a moment the first wins."""
        listed = self.catalog.timeline(provider, model, tier).before
        _, reported = normalize(provider, model)
        return by_precedence(self._rules, listed.provider, reported, listed.model.lower(), tier)


def _contracted(period: PricePeriod, rules: Sequence[Rule]) -> PricePeriod:
    windows = tuple((start, end, _apply(rules, listed)) for start, end, listed in period.windows)
    return PricePeriod(_apply(rules, period.resolution), windows)


def _apply(rules: Sequence[Rule], listed: Resolution) -> Resolution:
    """`rules` are in force, the winner first."""
    for rule in rules:
        contract = rule.contract(listed.rate)
        if contract is None:
            continue
        if rule.kind is RuleKind.CUSTOM:
            name = listed.model if rule.model == listed.model.lower() else rule.model
            return Resolution(listed.provider, name, rate=contract, contract=contract, rule_id=rule.id)
        # A contracted price that no list price stands beside is the only one known, so it stands for both.
        return listed._replace(rate=listed.rate or contract, reason=None, contract=contract, rule_id=rule.id)
    return listed
