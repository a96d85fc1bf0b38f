"""How much of a quota is left, as a bucket that refills evenly. Pure.

A bucket holds `amount` units and refills within `seconds`. Its whole state is its debt: the seconds until it is full
again. Taking units adds to the debt, time pays it off, and what would bring it over `seconds` is refused.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Quota:
    """`amount` units in any `seconds`, and a burst of as much. `name` and `unit` are what a caller is told."""

    name: str
    amount: int
    unit: str = "requests"
    seconds: int = 1

    def price(self, units: int) -> float:
        """The debt that taking `units` makes. More than the bucket holds costs all of it, or nobody could."""
        return min(units, self.amount) * self.seconds / self.amount

    def shortage(self, debt: float, units: int) -> float:
        """Seconds until `units` may be taken from a bucket with this debt; 0 when they may be taken now."""
        seconds = debt + self.price(units) - self.seconds
        # Sums of fractions miss by a hair.
        return seconds if seconds > 1e-9 else 0.0

    def left(self, debt: float) -> int:
        """Whole units that may be taken at once."""
        return max(0, math.floor((self.seconds - debt) * self.amount / self.seconds + 1e-6))

    @property
    def policy(self) -> str:
        """An item of the header `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
        unit = "" if self.unit == "requests" else f';qu="{self.unit}"'
        return f'"{self.name}";q={self.amount};w={self.seconds}{unit}'


class Standing(NamedTuple):
    """Where a caller stands with one quota after asking; `short` by as many seconds when that quota refused."""

    quota: Quota
    left: int
    debt: float
    short: float = 0.0

    @property
    def limit(self) -> str:
        """An item of the header `RateLimit`: what is left, and the seconds until the quota is whole again."""
        return f'"{self.quota.name}";r={self.left};t={math.ceil(self.debt)}'

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least 1, after which the same request fits."""
        return max(1, math.ceil(self.short))


def debt_at(full_at: float, now: float, quota: Quota) -> float:
    """The debt of a bucket that is full at `full_at`; never more than a whole one, though a clock may step back."""
    return max(0.0, min(float(quota.seconds), full_at - now))
