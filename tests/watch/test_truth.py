"""The bench of alert truth holds on one of its scopes; all of them are `python -m bench alerts`."""

import random

from bench.alert_truth import SHAPES, crossings_of, simulated, truth_of


def test_incidents_are_found_and_nothing_else() -> None:
    scope = simulated(SHAPES[0], random.Random(1))
    truth = truth_of(scope)
    assert truth.recall >= 0.9
    assert max(truth.false_by_month) <= 1
    crossings, once, wrong = crossings_of(scope, limit=scope.hours.running[-1] // 12)
    assert crossings > 20
    assert (once, wrong) == (crossings, 0)
