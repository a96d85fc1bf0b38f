"""What moved the bill: the biggest changes of cost, split into more requests and dearer requests. Pure, exact."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from analytics.figures import Compared

TOP = 6


@dataclass(frozen=True, slots=True)
class Mover:
    """One group's change in nano-USD. `by_requests` and `by_price` add up to `change`, to the last nano-dollar.

    `by_price` is what a request costs more or less: other models, longer prompts, less caching or new prices.
    """

    group: str
    compared: Compared
    change: int
    by_requests: int
    by_price: int

    @property
    def kind(self) -> str:
        """new, gone, requests or price: what the change is mostly due to."""
        if not self.compared.before.cost:
            return "new"
        if not self.compared.now.cost:
            return "gone"
        return "requests" if abs(self.by_requests) >= abs(self.by_price) else "price"


def movers(groups: Iterable[tuple[str, Compared]], top: int = TOP) -> list[Mover]:
    """The groups whose cost changed most, up or down, biggest change first."""
    moved = [mover(group, compared) for group, compared in groups if compared.change]
    return sorted(moved, key=lambda each: (-abs(each.change), each.group))[:top]


def mover(group: str, compared: Compared) -> Mover:
    before, now = compared.before, compared.now
    if not before.priced:
        by_requests = compared.change
    else:
        by_requests = int((Decimal(now.priced - before.priced) * before.cost / before.priced).to_integral_value())
    return Mover(group, compared, compared.change, by_requests, compared.change - by_requests)
