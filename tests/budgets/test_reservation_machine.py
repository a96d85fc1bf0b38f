"""The engine against a plain model, whatever happens in whatever order."""

from typing import Any

from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from budgets.reservations.engine import Claim, Ending, Engine, Held, Missing, Refused, Settled, prefix_of
from budgets.reservations.reference import Reference
from common.ids import new_id

FAR = 4_000_000_000_000
OWNER = 7
COUNTERS = ("a", "b", "c")
LARGE = 10**18
# Small ones, so that limits are met; and such that no double holds.
AMOUNTS = st.one_of(st.integers(0, 40), st.integers(LARGE // 8, LARGE // 6), st.sampled_from([2**53 + 1, 2**53 - 1]))
LIMITS = st.one_of(st.integers(1, 100), st.integers(LARGE - 3, LARGE))


class Reservations(RuleBasedStateMachine):
    """`model`: what is settled, limits, and per hold what it counts with, by state."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.engine, self.organization = Engine(settings.REDIS_URL), new_id()
        self.settled = dict.fromkeys(COUNTERS, 0)
        self.version = dict.fromkeys(COUNTERS, 0)
        self.limit = dict.fromkeys(COUNTERS, 100)
        self.live: dict[Reference, dict[str, tuple[int, int]]] = {}
        self.lapsed: dict[Reference, dict[str, tuple[int, int]]] = {}

    def teardown(self) -> None:
        self._flush()
        self.engine.client.close()

    def _flush(self) -> None:
        keys = list(self.engine.client.scan_iter(f"{prefix_of(self.organization)}*", count=1000))
        if keys:
            self.engine.client.delete(*keys)

    def left(self, counter: str) -> int:
        held = sum(amounts.get(counter, (0, 0))[0] for amounts in self.live.values())
        after = sum(amounts.get(counter, (0, 0))[1] for amounts in self.lapsed.values())
        return self.limit[counter] - self.settled[counter] - held - after

    def sums(self, *counters: str) -> list[Settled]:
        return [Settled(counter, self.settled[counter], self.version[counter]) for counter in counters]

    @rule(
        target=holds,
        wanted=st.dictionaries(st.sampled_from(COUNTERS), st.tuples(AMOUNTS, st.booleans()), min_size=1),
        part=st.sampled_from([0, 1, 2]),
    )
    def reserve(self, wanted: dict[str, tuple[int, bool]], part: int) -> Any:
        claims = [
            Claim(counter, "cost", self.limit[counter], amount, amount, amount * part // 2, refuses)
            for counter, (amount, refuses) in wanted.items()
        ]
        reference = Reference.new(virtual_key_id=OWNER, caller_id=str(new_id()))
        before = tuple(self.left(claim.counter) for claim in claims)
        fits = all(
            claim.amount <= left for claim, left in zip(claims, before, strict=True) if claim.refuses and claim.amount
        )
        answer = self._ask(reference, claims)
        if fits:
            assert isinstance(answer, Held)
            self.live[reference] = {claim.counter: (claim.amount, claim.after) for claim in claims}
        else:
            assert isinstance(answer, Refused)
        assert answer.lefts == before
        return reference

    def _ask(self, reference: Reference, claims: list[Claim]) -> Any:
        for _ in range(2):
            answer = self.engine.reserve(
                self.organization, reference=reference, owner=OWNER, digest="d", claims=claims, lease_ms=10**7
            )
            if not isinstance(answer, Missing):
                return answer
            missing = [claims[index].counter for index in answer.indexes]
            self.engine.open(self.organization, [(counter, FAR) for counter in missing])
            self.engine.settle(self.organization, self.sums(*missing), [])
        return answer

    @rule(hold=consumes(holds), actual=AMOUNTS)
    def commit(self, hold: Reference, actual: int) -> None:
        counters = list({**self.live, **self.lapsed}.get(hold, {}))
        for counter in counters:
            self.settled[counter] = min(self.settled[counter] + actual, LARGE)
            self.version[counter] += 1
        self.engine.settle(self.organization, self.sums(*counters), [Ending(hold, OWNER)])
        self.live.pop(hold, None)
        self.lapsed.pop(hold, None)

    @rule(counter=st.sampled_from(COUNTERS), actual=AMOUNTS)
    def usage_without_a_hold(self, counter: str, actual: int) -> None:
        old = self.sums(counter)
        self.settled[counter] = min(self.settled[counter] + actual, LARGE)
        self.version[counter] += 1
        self.engine.settle(self.organization, self.sums(counter), [])
        self.engine.settle(self.organization, old, [])

    @rule(hold=holds)
    def release(self, hold: Reference) -> None:
        assert (self.engine.release(self.organization, hold, owner=OWNER) == "held") == (hold in self.live)
        self.live.pop(hold, None)

    @rule(hold=holds, actual=st.one_of(st.none(), AMOUNTS))
    def renew(self, hold: Reference, actual: int | None) -> None:
        amounts = () if actual is None else (actual, 1, 1)
        state, _ = self.engine.renew(self.organization, hold, owner=OWNER, lease_ms=10**7, actual=amounts)
        assert (state == "held") == (hold in self.live)
        if hold in self.live and actual is not None:
            self.live[hold] = dict.fromkeys(self.live[hold], (actual, actual))

    @rule(hold=holds)
    def lease_ends(self, hold: Reference) -> None:
        if hold in self.live:
            self.engine.client.zadd(f"{prefix_of(self.organization)}leases", {hold.member: 1})
            self.lapsed[hold] = self.live.pop(hold)

    @rule()
    def sweep(self) -> None:
        lapsed = self.engine.lapsed(self.organization)
        assert {hold.reference for hold in lapsed} == set(self.lapsed)
        for hold in lapsed:
            for counter, _, amount in hold.charges:
                self.settled[counter] = min(self.settled[counter] + amount, LARGE)
                self.version[counter] += 1
        endings = [Ending(hold.reference, OWNER) for hold in lapsed]
        self.engine.settle(self.organization, self.sums(*COUNTERS), endings, state="abandoned")
        self.lapsed.clear()

    @rule(counter=st.sampled_from(COUNTERS), limit=LIMITS)
    def another_limit(self, counter: str, limit: int) -> None:
        self.limit[counter] = limit

    @rule(counter=st.sampled_from(COUNTERS))
    def a_counter_is_lost(self, counter: str) -> None:
        self.engine.client.delete(f"{prefix_of(self.organization)}c:{counter}")

    @rule()
    def redis_is_emptied(self) -> None:
        self._flush()
        self.live.clear()
        self.lapsed.clear()

    @invariant()
    def every_counter_is_settled_and_held(self) -> None:
        self.engine.lapsed(self.organization)
        for counter, standing in zip(COUNTERS, self.engine.standing(self.organization, COUNTERS), strict=True):
            if standing is not None:
                assert standing.settled == self.settled[counter]
                assert standing.held == self.limit[counter] - self.left(counter) - self.settled[counter]


TestReservations = Reservations.TestCase
TestReservations.settings = hypothesis_settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
