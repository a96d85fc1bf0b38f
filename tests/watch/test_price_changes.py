"""A list price that changes is news to whoever uses its model: each change once."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert
from alerts.rule_kinds import RuleKind
from pricing.catalog import catalog_load
from pricing.price_source import SourceModel, SourcePeriod, SourceProvider, read_source
from pricing.terms import Terms
from tenants.access import organization_scope
from tests.budgets.support import use
from tests.factories import Tenant
from tests.watch.test_evaluate import DAY, NOW, make_rule, read, spent

Units = dict[str, str | None]
HOUSE = {"provider": "vllm", "model": "house-model"}


def listed(*prices: tuple[datetime, Units]) -> None:
    """The price list with a model of our own, priced so from these moments on."""
    periods = tuple(SourcePeriod(at, True, Terms(units=units)) for at, units in prices)
    names = ("house-model", "other-model")
    models = tuple(SourceModel(name, {"equals": name}, {"standard": periods}) for name in names)
    ours = SourceProvider("vllm", "vLLM", "https://vllm.example/prices", (), models)
    catalog_load(source=[*read_source(), ours], now=NOW, source_version=str(len(prices)))


def told(tenant: Tenant) -> list[tuple[str, list[str], str]]:
    with organization_scope(tenant.id):
        alerts = Alert.objects.order_by("id")
        return [(alert.title, alert.facts["changes"], alert.state) for alert in alerts]


def used(tenant: Tenant, at: datetime, **fields: Any) -> None:
    use(tenant, spent(at, 1, **HOUSE | fields), now=NOW)


@pytest.fixture
def ruled(tenant: Tenant, prices: None) -> Tenant:
    make_rule(tenant, RuleKind.PRICE_CHANGED)
    return tenant


OLD: Units = {"input": "1", "output": "2"}
DEARER: Units = {"input": "1.5", "output": "2"}
DEAREST: Units = {"input": "1.5", "output": "2", "cache_read": "1"}
TITLE = "The list price of vllm / house-model has changed"


def test_a_change_of_a_model_that_is_used_is_told_once_and_the_next_one_too(ruled: Tenant) -> None:
    listed((NOW - 60 * DAY, OLD), (NOW - 2 * DAY, DEARER))
    used(ruled, NOW - DAY)
    for minutes in (0, 20, 2000):
        read(ruled, NOW + minutes * timedelta(minutes=1))
    first = (TITLE, ["input: $1 → $1.5 per million"], "firing")
    assert told(ruled) == [first]
    listed((NOW - 60 * DAY, OLD), (NOW - 2 * DAY, DEARER), (NOW + 5 * DAY, DEAREST))
    read(ruled, NOW + 4 * DAY)
    assert told(ruled) == [first], "what is yet to come is no change"
    for days in (6, 7):
        read(ruled, NOW + days * DAY)
    second = (TITLE, ["cache read: none → $1 per million"], "firing")
    assert told(ruled) == [(*first[:2], "recovered"), second], "the news before it is over"


@pytest.mark.parametrize(
    ("periods", "used_at"),
    [
        # Known for long, the first price there is, and a model that was used long ago.
        ([(NOW - 60 * DAY, OLD), (NOW - 15 * DAY, DEARER)], NOW - DAY),
        ([(NOW - 2 * DAY, OLD)], NOW - DAY),
        ([(NOW - 60 * DAY, OLD), (NOW - 2 * DAY, DEARER)], NOW - 33 * DAY),
    ],
)
def test_what_is_no_news(ruled: Tenant, periods: list[tuple[datetime, Units]], used_at: datetime) -> None:
    listed(*periods)
    used(ruled, used_at)
    read(ruled)
    assert told(ruled) == []


def test_usage_of_another_organization_is_not_ours(ruled: Tenant, stranger: Tenant) -> None:
    listed((NOW - 60 * DAY, OLD), (NOW - 2 * DAY, DEARER))
    used(stranger, NOW - DAY)
    read(ruled)
    assert told(ruled) == []
