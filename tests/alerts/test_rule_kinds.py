"""Parameters of rules: what is taken, what is refused, and that what is stored reads as the same again."""

from typing import Any

import pytest

from alerts.kinds import AlertKind
from alerts.rule_kinds import KINDS, Measure, Parameter, RuleKind, parameters_checked, values_of
from alerts.rules import DEFAULTS


@pytest.mark.parametrize("kind", RuleKind)
def test_every_kind_has_defaults_that_it_takes_itself(kind: RuleKind) -> None:
    stored, faults = parameters_checked(kind, {})
    assert not faults
    assert parameters_checked(kind, stored) == (stored, {})
    assert values_of(kind, stored) == values_of(kind, {})
    assert AlertKind(kind.value).label == kind.label


def test_parameters_in_the_units_of_detectors() -> None:
    assert values_of(RuleKind.SPEND_ANOMALY, {"times": "2.5", "floor": "0.01"}) == {"times": 250, "floor": 10_000_000}


@pytest.mark.parametrize(
    ("measure", "given"),
    [
        (Measure.COUNT, 0), (Measure.COUNT, -1), (Measure.COUNT, 10**30), (Measure.COUNT, True), (Measure.COUNT, "5"),
        (Measure.COUNT, 1.5), (Measure.COUNT, None), (Measure.COUNT, [5]),
        (Measure.USD, 5), (Measure.USD, "0"), (Measure.USD, "-1"), (Measure.USD, "1e3"), (Measure.USD, "NaN"),
        (Measure.USD, "1_0"), (Measure.USD, "٥"), (Measure.USD, "0.0000000001"), (Measure.USD, "1000000001"),
        (Measure.TIMES, 2), (Measure.TIMES, "1"), (Measure.TIMES, "1.09"), (Measure.TIMES, "100.01"),
        (Measure.TIMES, "1.555"), (Measure.TIMES, "inf"), (Measure.TIMES, ""),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(measure: Measure, given: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        Parameter("x", "X", measure, 1).read(given)


def test_faults_are_named_and_the_unknown_is_refused() -> None:
    _, faults = parameters_checked(RuleKind.SPEND_ANOMALY, {"times": "0", "colour": "red"})
    assert set(faults) == {"times", "colour"}


def test_defaults_look_at_what_their_kind_can_look_at() -> None:
    assert {kind for kind, *_ in DEFAULTS} == set(RuleKind)
    for kind, _, scope, severity in DEFAULTS:
        assert scope in KINDS[kind].scopes
        assert severity or kind is RuleKind.BUDGET_THRESHOLD
