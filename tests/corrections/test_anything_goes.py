"""Whatever is reported, repriced and undone, in any order: every sum is what a plain model of the events says."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from common.problems import Problem
from corrections.models import RepriceRun, RunState
from corrections.reported import Item, adjustments_report
from pricing.usage_buckets import from_inclusive
from tenants.access import organization_scope
from tests.analytics.support import at, settle
from tests.budgets.support import make_budget
from tests.corrections.support import anew, applied, assert_sums_agree, undo, work
from tests.corrections.test_runs import CUSTOM, LONG_AGO, UNKNOWN
from tests.factories import Tenant
from tests.pricing.drafts import DISCOUNT, add_rule
from usage.models import Rollup

NANO = "gpt-4.1-nano"
MEASURES = ("events", "requests", "errors", "unpriced_requests", "list_cost", "cost", "input_tokens", "output_tokens")
Usage = dict[str, int]
Price = tuple[Fraction, Fraction, Fraction]  # nano-USD per uncached input, cached input and output token


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    into, out = draw(st.integers(0, 3000)), draw(st.integers(0, 300))
    return {
        "input_tokens": into,
        "cache_read_input_tokens": draw(st.integers(0, into)),
        "output_tokens": out,
        "reasoning_output_tokens": draw(st.integers(0, out)),
        "requests": draw(st.sampled_from((1, 1, 0, 3))),
        # No model here has a price for them: what has some cannot be charged.
        "images": draw(st.sampled_from((0, 0, 0, 1))),
    }


_statuses = st.sampled_from(("ok", "error", "cancelled"))
_events = st.fixed_dictionaries(
    {
        "model": st.sampled_from((NANO, NANO, UNKNOWN)),
        "status": _statuses,
        "cache": st.sampled_from(("miss", "miss", "hit")),
        "minutes": st.integers(0, 3000),
        "usage": usages(),
    }
)
_reports = st.tuples(
    st.integers(0, 50),
    st.one_of(
        st.tuples(st.just("refund"), st.integers(-(10**6), -1)),
        st.tuples(st.just("correction"), st.integers(1, 10**6)),
        st.tuples(st.just("status"), _statuses),
        st.tuples(st.just("usage"), usages()),
    ),
)
_steps = st.one_of(
    st.tuples(st.just("add"), st.lists(_events, min_size=1, max_size=3)),
    st.tuples(st.just("report"), st.lists(_reports, min_size=1, max_size=4)),
    st.tuples(st.just("percent"), st.integers(-90, 90)),
    st.tuples(st.just("custom"), st.integers(1, 9)),
    st.tuples(st.just("reprice"), st.none()),
    st.tuples(st.just("undo"), st.none()),
)

_CALL: dict[str, Any] = {
    "model": NANO,
    "status": "ok",
    "cache": "miss",
    "minutes": 5,
    "usage": {
        "input_tokens": 1500, "cache_read_input_tokens": 300, "output_tokens": 250, "reasoning_output_tokens": 50,
        "requests": 1, "images": 0,
    },
}  # fmt: skip


@dataclass
class Known:
    """An event as somebody with a pencil would keep it. Costs in nano-USD; `reported` are refunds and the like."""

    id: str
    at: datetime
    model: str
    cache: str
    status: str
    usage: Usage
    priced: bool = False
    list_cost: int = 0
    cost: int = 0
    reported: int = 0

    def measures(self) -> dict[str, int]:
        requests = self.usage["requests"]
        return {
            "events": 1,
            "requests": requests,
            "errors": requests if self.status == "error" else 0,
            "unpriced_requests": 0 if self.priced else requests,
            "list_cost": self.list_cost,
            "cost": self.cost + self.reported,
            "input_tokens": self.usage["input_tokens"],
            "output_tokens": self.usage["output_tokens"],
        }


@dataclass
class Priced:
    """A run: how the events it booked for stood before, and those whose counts were corrected since."""

    run: RepriceRun
    before: dict[str, tuple[bool, int, int]]
    recounted: set[str] = field(default_factory=set)


class World:
    """The product and the model side by side; every step is done to both."""

    def __init__(self, tenant: Tenant, now: datetime) -> None:
        self.tenant, self.now = tenant, now
        self.events: list[Known] = []
        self.runs: list[Priced] = []
        self.listed: dict[str, Price] = {NANO: (Fraction(100), Fraction(25), Fraction(400))}
        self.paid = dict(self.listed)
        self.reports = 0

    def do(self, step: str, what: Any) -> None:
        getattr(self, step)(what)

    def price(self, event: Known) -> tuple[int, int] | None:
        """List cost and cost of what it counts, at the prices of now; None: not known."""
        if event.cache == "hit":
            return 0, 0
        if event.model not in self.listed or event.usage["images"]:
            return None
        cached, into = event.usage["cache_read_input_tokens"], event.usage["input_tokens"]
        counts = (into - cached, cached, event.usage["output_tokens"])
        listed, paid = self.listed[event.model], self.paid[event.model]
        # `round` of a Fraction is half-even, as money is rounded.
        return tuple(round(sum(map(Fraction.__mul__, price, map(Fraction, counts)))) for price in (listed, paid))  # type: ignore[return-value]

    def charge(self, event: Known) -> bool:
        """Gives it the price of now, if there is one; whether anything changed."""
        found = self.price(event)
        if found is None:
            return False
        before = event.priced, event.list_cost, event.cost
        event.priced, event.list_cost, event.cost = True, *found
        return before != (True, *found)

    def add(self, drawn: list[dict[str, Any]]) -> None:
        sent = []
        for each in drawn:
            moment = self.now - timedelta(minutes=each["minutes"])
            event = Known(f"k{len(self.events)}", moment, each["model"], each["cache"], each["status"], each["usage"])
            self.charge(event)
            self.events.append(event)
            sent.append(at(moment, id=event.id, **{name: each[name] for name in ("model", "cache", "status", "usage")}))
        settle(self.tenant, sent)

    def report(self, drawn: list[tuple[int, tuple[str, Any]]]) -> None:
        items = []
        for number, (kind, value) in drawn if self.events else ():
            event = self.events[number % len(self.events)]
            self.reports += 1
            item = Item(f"r{self.reports}", event.at, event.id, kind, f"because {number % 2}")
            items.append(item._replace(**self._reported(event, kind, value)))
        if not items:
            return
        pointers = [""] * len(items)
        with organization_scope(self.tenant.id):
            for accepted in (len(items), 0):
                answer = adjustments_report(
                    organization=self.tenant.organization, items=items, pointers=pointers, actor=None, now=self.now
                )
                assert answer == (accepted, len(items) - accepted)

    def _reported(self, event: Known, kind: str, value: Any) -> dict[str, Any]:
        if kind == "status":
            event.status = value
            return {"status": value}
        if kind == "usage":
            event.usage = value
            self.charge(event)
            for priced in self.runs:
                priced.recounted.add(event.id)
            return {"usage": from_inclusive(**value)}
        event.reported += value
        return {"cost": value}

    def percent(self, percent: int) -> None:
        rule = DISCOUNT | {"model": NANO, "percent": Decimal(percent)}
        add_rule(self.tenant, self.now, confirmed=True, **rule, effective_from=self.now - LONG_AGO)
        self.paid[NANO] = tuple(price * Fraction(100 + percent, 100) for price in self.listed[NANO])  # type: ignore[assignment]

    def custom(self, amount: int) -> None:
        rule = CUSTOM | {"units": {"input": str(amount), "output": str(2 * amount)}}
        add_rule(self.tenant, self.now, confirmed=True, **rule, effective_from=self.now - LONG_AGO)
        into = Fraction(1000 * amount)
        self.listed[UNKNOWN] = self.paid[UNKNOWN] = (into, into, 2 * into)

    def reprice(self, _: None) -> None:
        before = {event.id: (event.priced, event.list_cost, event.cost) for event in self.events}
        changed = {event.id for event in self.events if self.charge(event)}
        run = applied(self.tenant, self.now)
        assert (run.state, run.events_booked) == (RunState.APPLIED, len(changed))
        if changed:
            self.runs.append(Priced(run, {name: before[name] for name in changed}))

    def undo(self, _: None) -> None:
        if not self.runs:
            return
        last = self.runs[-1]
        if last.recounted & last.before.keys():
            with pytest.raises(Problem, match="corrected since"):
                undo(self.tenant, last.run, self.now)
            return
        undo(self.tenant, last.run, self.now)
        work(self.tenant, self.now)
        assert anew(self.tenant, last.run).state == RunState.UNDONE
        for event in self.events:
            if event.id in last.before:
                event.priced, event.list_cost, event.cost = last.before[event.id]
        self.runs.pop()

    def check(self) -> None:
        assert_sums_agree(self.tenant)
        expected: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(MEASURES, 0))
        for event in self.events:
            for name, measure in event.measures().items():
                expected[event.status][name] += measure
        found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(MEASURES, 0))
        with organization_scope(self.tenant.id):
            for row in Rollup.objects.filter(organization_id=self.tenant.id, dimension="status"):
                for name in MEASURES:
                    found[row.value][name] += int(getattr(row, name))
        nothing = dict.fromkeys(MEASURES, 0)
        assert {status: sums for status, sums in found.items() if sums != nothing} == expected


def test_any_sequence_makes_the_sums_of_the_model(tenant: Tenant, prices: None, now: datetime) -> None:
    make_budget(tenant, now=now - timedelta(days=10))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_events, min_size=1, max_size=3), st.lists(_steps, min_size=1, max_size=12))
    # What a run booked was moved before it is undone.
    @example(
        [_CALL, _CALL | {"model": UNKNOWN}],
        [
            ("custom", 3),
            ("percent", -50),
            ("reprice", None),
            ("report", [(0, ("status", "error")), (1, ("status", "error"))]),
            ("undo", None),
        ],
    )
    # Counts without a price for them, then with one; undoing is refused.
    @example(
        [_CALL, _CALL | {"model": UNKNOWN}],
        [
            (
                "report",
                [(1, ("usage", _CALL["usage"] | {"requests": 3})), (0, ("usage", _CALL["usage"] | {"images": 1}))],
            ),
            ("custom", 3),
            ("reprice", None),
            ("report", [(1, ("usage", _CALL["usage"]))]),
            ("undo", None),
        ],
    )
    def play(first: list[dict[str, Any]], steps: list[tuple[str, Any]]) -> None:
        with transaction.atomic():
            world = World(tenant, now)
            world.add(first)
            for step, what in steps:
                world.do(step, what)
            world.check()
            transaction.set_rollback(True)

    play()
