"""Which model a name means: the price source's match clauses, compiled once.

A clause is JSON: {"equals": t}, {"starts_with": t}, {"ends_with": t}, {"contains": t}, {"regex": r}, {"or": [...]},
{"and": [...]}. Names are compared in lower case. Clauses are asked in the source's order and the first match wins.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

Clause = dict[str, Any]
Matcher = Callable[[str], bool]

_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_DATE = re.compile(r"(?<!\d)(20\d{2})-?(\d{2})-?(\d{2})(?!\d)")


def compile_clause(clause: Clause) -> Matcher:
    """A predicate on a lower-case name. Raises ValueError on a clause of an unknown kind."""
    ((kind, operand),) = clause.items()
    match kind:
        case "or":
            return _any([compile_clause(part) for part in operand])
        case "and":
            return _all([compile_clause(part) for part in operand])
        case "regex":
            return _searches(re.compile(operand))
        case "equals":
            return operand.lower().__eq__  # type: ignore[no-any-return]
        case "starts_with":
            return _starts(operand.lower())
        case "ends_with":
            return _ends(operand.lower())
        case "contains":
            return _contains(operand.lower())
    raise ValueError(f"unknown match clause {kind!r}")


def literals(clause: Clause) -> Iterator[str]:
    """Every literal name or part of a name in a clause, lower-case; regular expressions are left out."""
    for kind, operand in clause.items():
        if kind in {"or", "and"}:
            for part in operand:
                yield from literals(part)
        elif kind != "regex":
            yield operand.lower()


def exact_names(clause: Clause) -> Iterator[str]:
    """The names that satisfy the clause by equality alone, lower-case."""
    for part in clause.get("or", [clause]):
        if "equals" in part:
            yield part["equals"].lower()


class ModelIndex:
    """Names → position of the model, for one provider's models in the source's order."""

    def __init__(self, clauses: Sequence[Clause]) -> None:
        self._exact: dict[str, int] = {}
        self._others: list[tuple[int, Matcher]] = []
        for position, clause in enumerate(clauses):
            for name in exact_names(clause):
                self._exact.setdefault(name, position)
            if set(clause) != {"equals"}:
                self._others.append((position, compile_clause(clause)))

    def find(self, name: str) -> int | None:
        """The position of the first model that `name` means, or None. Dates may be written -20251211 or -2025-12-11."""
        lowered = name.lower()
        found = self._first(lowered)
        if found is None and (dashed := _COMPACT_DATE.sub(_dashed, lowered)) != lowered:
            found = self._first(dashed)
        return found

    def _first(self, name: str) -> int | None:
        exact = self._exact.get(name)
        for position, matches in self._others:
            if exact is not None and position >= exact:
                return exact
            if matches(name):
                return position
        return exact


def earliest_date(clause: Clause, *names: str) -> date | None:
    """The earliest date written into a model's names: it did not exist before, whatever else is unknown."""
    dates = [
        day
        for text in (*literals(clause), *names)
        for match in _DATE.finditer(text)
        if (day := _date(*match.groups())) is not None
    ]
    return min(dates, default=None)


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _dashed(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    return f"-{year}-{month}-{day}" if _date(year, month, day) else match.group(0)


def _any(parts: list[Matcher]) -> Matcher:
    return lambda name: any(part(name) for part in parts)


def _all(parts: list[Matcher]) -> Matcher:
    return lambda name: all(part(name) for part in parts)


def _searches(pattern: re.Pattern[str]) -> Matcher:
    return lambda name: pattern.search(name) is not None


def _starts(text: str) -> Matcher:
    return lambda name: name.startswith(text)


def _ends(text: str) -> Matcher:
    return lambda name: name.endswith(text)


def _contains(text: str) -> Matcher:
    return lambda name: text in name
