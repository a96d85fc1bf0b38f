"""What goes wrong between Redis, Postgres and a process in an unlucky moment, one moment a test."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as NoAnswer

from budgets.models import LedgerEntry
from budgets.reservations import settled
from budgets.reservations.authorize import outage
from budgets.reservations.engine import Opened, Settled, Standing, prefix_of
from budgets.reservations.models import Authorization
from budgets.reservations.outage import Outage
from budgets.reservations.settled import ORGANIZATIONS, Counted, bring_in, check, engine
from budgets.reservations.sweep import sweep, sweep_organization
from tenants.access import organization_scope
from tests.budgets.support import USD, use
from tests.budgets.test_authorizations import HELD, hard
from tests.budgets.test_reservation_life import SPENT, acme, ask, ends_its_lease, rows, spent, standing
from tests.factories import Tenant
from tests.ingest.payloads import event

__all__ = ["acme"]


@pytest.fixture(autouse=True)
def no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "_outage", Outage())
    outage.over()


def in_another_process(step: Callable[[], object]) -> None:
    """Does it with a database connection of its own."""

    def run() -> None:
        step()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def settles_and_dies(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, usage: dict[str, Any]) -> None:
    """The usage is in the ledger, and no counter heard of it."""
    with monkeypatch.context() as dead:
        dead.setattr("budgets.reservations.lifecycle.bring_in", lambda *_, **__: [])
        dead.setattr("budgets.posting.bring_in", lambda *_, **__: [])
        use(tenant, usage)


def test_what_commits_while_something_is_brought_in_is_not_skipped(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second worker commits between two statements of the first one, and brings in what it settled right after."""
    hard(acme)
    ask(acme, "x")
    use(acme, event())
    changed, committed = settled._changed, list[bool]()

    def interrupted(*arguments: Any) -> list[Counted]:
        found = changed(*arguments)
        if not committed:
            committed.append(True)
            in_another_process(lambda: settles_and_dies(acme, monkeypatch, event()))
        return found

    monkeypatch.setattr(settled, "_changed", interrupted)
    bring_in(acme.id, timezone.now())
    bring_in(acme.id, timezone.now())
    assert standing(acme)[:2] == (2 * SPENT, HELD)


def test_a_counter_that_is_being_loaded_is_not_forgotten(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check runs between a counter's making and its loading."""
    hard(acme)
    ask(acme, "x")
    use(acme, event())
    engine().client.delete(*lost(acme))
    opened, checked = engine().open, list[bool]()

    def interrupted(*arguments: Any) -> list[Opened]:
        found = opened(*arguments)
        if not checked:
            checked.append(True)
            in_another_process(lambda: check(acme.id, timezone.now()))
        return found

    monkeypatch.setattr(engine(), "open", interrupted)
    ask(acme, "y")
    assert len(engine().counters(acme.id)) == 1
    assert standing(acme)[:2] == (SPENT, 2 * HELD)


def lost(tenant: Tenant) -> list[str]:
    """The keys of all counters, as after a window that is over and was forgotten."""
    prefix = prefix_of(tenant.id)
    return [f"{prefix}counters", *(f"{prefix}c:{name}" for name in engine().counters(tenant.id))]


def test_a_counter_whose_window_is_over_is_forgotten(acme: Tenant) -> None:
    hard(acme)
    ask(acme, "x")
    (name,) = engine().counters(acme.id)
    engine().client.delete(f"{prefix_of(acme.id)}c:{name}")
    check(acme.id, timezone.now())
    assert engine().counters(acme.id) == []


def test_a_counter_lost_while_it_was_doubted_is_made_whole(acme: Tenant) -> None:
    hard(acme)
    ask(acme, "x")
    (name,) = engine().counters(acme.id)
    engine().client.delete(f"{prefix_of(acme.id)}c:{name}")
    engine().doubt(acme.id, [name])
    assert ask(acme, "y").lefts == (USD - HELD,)
    assert standing(acme)[:2] == (0, 2 * HELD)


def test_the_answer_is_lost_and_the_call_goes_on_unchecked(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hold was placed under the name that the caller was given, so its usage ends it and corrects its charge."""
    budget = hard(acme, when_unavailable="open", grace_seconds=60, abandoned="full")
    ask(acme, "x")
    reserve = engine().reserve

    def unanswered(*arguments: Any, **named: Any) -> None:
        reserve(*arguments, **named)
        raise NoAnswer("nothing came")

    with monkeypatch.context() as lost:
        lost.setattr(engine(), "reserve", unanswered)
        granted = ask(acme, "y")
    assert granted.state == "uncounted"
    assert standing(acme)[:2] == (0, 2 * HELD)
    ends_its_lease(acme)
    assert sweep_organization(acme.id, timezone.now()) == 2
    use(acme, event(authorization=granted.authorization))
    assert (standing(acme)[:2], spent(acme, budget)) == ((HELD + SPENT, 0), HELD + SPENT)


def test_a_sweep_that_can_end_nothing_leaves_it_to_the_next(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    hard(acme)
    ask(acme, "x")
    ends_its_lease(acme)
    asked: list[int] = []
    lapsed = engine().lapsed

    def counted(organization_id: int) -> Any:
        asked.append(organization_id)
        return lapsed(organization_id)

    def away(*_: Any, **__: Any) -> None:
        raise NotConnected("away")

    monkeypatch.setattr(engine(), "lapsed", counted)
    with monkeypatch.context() as failing:
        failing.setattr(engine(), "settle", away)
        assert sweep_organization(acme.id, timezone.now()) == 1
        assert len(asked) == 1
    monkeypatch.setattr(settled, "_outage", Outage())
    assert sweep_organization(acme.id, timezone.now()) == 0
    assert standing(acme).held == 0


class Older:
    """What an organization had in Redis at a moment, to put back as a server does that lost what came after."""

    def __init__(self, tenant: Tenant) -> None:
        self._pattern = f"{prefix_of(tenant.id)}*"
        client = engine().client
        self._kept = {key: _dump(key) for key in client.scan_iter(self._pattern)}

    def come_back(self) -> None:
        client = engine().client
        for key in client.scan_iter(self._pattern):
            client.delete(key)
        for key, value in self._kept.items():
            _restore(key, value)
        client.set("budget:run", "the run before")


def _dump(key: str) -> Any:
    client = engine().client
    kinds: dict[str, Callable[[], Any]] = {
        "hash": lambda: client.hgetall(key),
        "zset": lambda: dict(client.zscan_iter(key)),
        "set": lambda: client.smembers(key),
        "string": lambda: client.get(key),
    }
    return kinds[str(client.type(key))]()


def _restore(key: str, value: Any) -> None:
    client = engine().client
    if isinstance(value, str):
        client.set(key, value)
    elif isinstance(value, set):
        client.sadd(key, *value)
    elif key.endswith(("leases", "lapsed")):
        client.zadd(key, value)
    else:
        client.hset(key, mapping=value)


def test_redis_comes_back_older_than_what_was_settled(acme: Tenant) -> None:
    """The next sweep sees that it was started again; holds that had ended count once more until their lease is over."""
    budget = hard(acme)
    granted = ask(acme, "x")
    before = Older(acme)
    use(acme, event(authorization=granted.authorization), event())
    before.come_back()
    assert standing(acme)[:2] == (0, HELD)
    assert sweep(timezone.now()) == 0
    assert standing(acme)[:2] == (2 * SPENT, HELD)
    ends_its_lease(acme)
    assert sweep(timezone.now()) == 0
    assert (standing(acme)[:2], spent(acme, budget)) == ((2 * SPENT, 0), 2 * SPENT)
    assert [row.state for row in rows(acme)] == ["committed"]


def test_a_hold_that_was_charged_comes_back_with_an_older_redis(acme: Tenant) -> None:
    budget = hard(acme, abandoned="full")
    ask(acme, "x")
    ends_its_lease(acme)
    before = Older(acme)
    assert sweep(timezone.now()) == 1
    before.come_back()
    assert sweep(timezone.now()) == 0
    assert (standing(acme)[:2], spent(acme, budget)) == ((HELD, 0), HELD)


def test_a_sweep_compares_counters_once_in_each_run_of_redis(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    hard(acme)
    ask(acme, "x")
    compared: list[object] = []
    monkeypatch.setattr("budgets.reservations.sweep.check_all", compared.append)
    engine().client.set("budget:run", "the run before")
    for _ in range(3):
        sweep(timezone.now())
    assert len(compared) == 1


def test_usage_that_arrives_before_a_counter_names_its_organization(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that makes the counter dies before the sweep can know of the organization; another one loads it."""
    hard(acme)

    class Dies(Exception):
        pass

    def dies(*_: Any, **__: Any) -> None:
        raise Dies

    with monkeypatch.context() as dead:
        dead.setattr(engine().client, "sadd", dies)
        with pytest.raises(Dies):
            ask(acme, "x")
    use(acme, event())
    ask(acme, "y")
    assert engine().client.sismember(ORGANIZATIONS, str(acme.id))


def test_an_organization_that_is_gone_holds_no_other_up(acme: Tenant) -> None:
    hard(acme)
    ask(acme, "x")
    ends_its_lease(acme)
    engine().client.sadd(ORGANIZATIONS, 1)
    assert sweep(timezone.now()) == 1
    assert not engine().client.sismember(ORGANIZATIONS, "1")


def test_a_ledger_older_than_the_counters_is_believed(acme: Tenant) -> None:
    """A database that was restored from a backup has forgotten versions that Redis has seen."""
    hard(acme)
    ask(acme, "x")
    use(acme, event())
    (name,) = engine().counters(acme.id)
    engine().settle(acme.id, [Settled(name, USD, 10**12)], [])
    assert check(acme.id, timezone.now()) == 1
    with organization_scope(acme.id):
        (version,) = LedgerEntry.objects.values_list("version", flat=True)
        assert Authorization.objects.count() == 0
    assert standing(acme) == Standing(SPENT, HELD, version)
