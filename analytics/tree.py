"""A trace as a tree of calls with what each of them and everything below it costs. Pure.

Callers name spans as they like, so nothing is taken for granted: a parent may be missing, stand twice, or be its own
descendant. Every call stands in the tree exactly once, and the roots add up to the whole.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

# Browsers give up on elements that are nested much deeper.
DEEPEST = 40
FAILED = frozenset({"error", "cancelled"})


@dataclass(frozen=True, slots=True)
class Call:
    """One event of a trace. `cost` in nano-USD today; None: no price is known."""

    id: str
    time: datetime
    span_id: str
    parent_span_id: str
    provider: str
    model: str
    agent: str
    status: str
    cost: int | None
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: int | None = None


@dataclass(slots=True, eq=False)
class Node:
    """A call, or a span that was named as a parent but is no call itself (`call` is None).

    `cost` is its own, `total` with everything below, both in nano-USD; `unpriced` calls, itself and below, are in
    neither. `retried`: it failed and was called again.
    """

    span_id: str
    call: Call | None = None
    retried: bool = False
    cost: int = 0
    total: int = 0
    calls: int = 0
    unpriced: int = 0
    children: list["Node"] = field(default_factory=list)

    @property
    def time(self) -> datetime:
        """When it began; a span that is no call begins with the first one below it."""
        node = self
        while node.call is None:
            node = node.children[0]
        return node.call.time


@dataclass(frozen=True, slots=True)
class Line:
    """A node in reading order. `opens`: what follows stands below it; `closes`: how many such groups end after it."""

    node: Node
    depth: int
    opens: bool
    closes: int


def tree_of(calls: Iterable[Call]) -> list[Node]:
    """The roots, and below each node its children, by time."""
    ordered = sorted(calls, key=lambda call: (call.time, call.id))
    again = retried(ordered)
    nodes = [Node(call.span_id, call, call.id in again, call.cost or 0) for call in ordered]
    by_span: dict[str, Node] = {}
    for node in nodes:
        if node.span_id:
            by_span.setdefault(node.span_id, node)
    parents = {id(node): _parent(node, by_span) for node in nodes}
    placeholders = [node for node in by_span.values() if node.call is None]
    roots = [*placeholders, *(node for node in nodes if parents[id(node)] is None)]
    roots += _cut_cycles(nodes, parents, roots)
    for node in nodes:
        parent = parents[id(node)]
        if parent is not None:
            parent.children.append(node)
    for node in reversed(list(_walk(roots))):
        node.total = node.cost + sum(child.total for child in node.children)
        node.calls = (node.call is not None) + sum(child.calls for child in node.children)
        node.unpriced = (node.call is not None and node.call.cost is None) + sum(
            child.unpriced for child in node.children
        )
    return sorted(roots, key=lambda node: (node.time, node.span_id))


def _parent(node: Node, by_span: dict[str, Node]) -> Node | None:
    """The node of the span that called it; one without a call where nobody reported that span."""
    name = node.call.parent_span_id if node.call else ""
    if not name:
        return None
    parent = by_span.setdefault(name, Node(name))
    return None if parent is node else parent


def _cut_cycles(nodes: Sequence[Node], parents: dict[int, Node | None], roots: Sequence[Node]) -> list[Node]:
    """The first call of every circle, made a root; what hangs on a circle comes along."""
    reached = {id(node) for node in roots}
    place = {id(node): index for index, node in enumerate(nodes)}
    cut = []
    for node in nodes:
        path: list[Node] = []
        on_path: set[int] = set()
        at: Node | None = node
        while at is not None and id(at) not in reached and id(at) not in on_path:
            path.append(at)
            on_path.add(id(at))
            at = parents.get(id(at))
        if at is not None and id(at) in on_path:
            circle = path[path.index(at) :]
            first = min(circle, key=lambda each: place[id(each)])
            parents[id(first)] = None
            cut.append(first)
        reached |= on_path
    return cut


def _walk(roots: Sequence[Node]) -> Iterator[Node]:
    """Every node, a parent before its children."""
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def lines(roots: Sequence[Node], most: int) -> list[Line]:
    """The first nodes in reading order: a parent, then its children. Below DEEPEST all stand side by side."""
    found: list[tuple[Node, int]] = []
    waiting = [(node, 0) for node in reversed(roots)]
    while waiting and len(found) < most:
        node, depth = waiting.pop()
        found.append((node, depth))
        waiting += [(child, min(depth + 1, DEEPEST)) for child in reversed(node.children)]
    following = [depth for _, depth in found[1:]] + [0] * bool(found)
    return [
        Line(node, depth, after > depth, max(0, depth - after))
        for (node, depth), after in zip(found, following, strict=True)
    ]


def retried(calls: Iterable[Call]) -> set[str]:
    """Ids of the calls that failed or were cancelled and were made again: same parent, same model, later."""
    siblings: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda each: (each.time, each.id)):
        siblings[call.parent_span_id, call.provider, call.model].append(call)
    return {call.id for group in siblings.values() for call in group[:-1] if call.status in FAILED}


@dataclass(frozen=True, slots=True)
class AgentShare:
    """What an agent ("": none named) did in a trace; costs in nano-USD."""

    agent: str
    calls: int
    failed: int
    cost: int
    wasted: int


def agent_shares(calls: Sequence[Call]) -> list[AgentShare]:
    """By agent, the dearest first. `wasted` is the cost of calls that were made again."""
    again = retried(calls)
    by_agent: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_agent[call.agent].append(call)
    shares = [
        AgentShare(
            agent,
            len(own),
            sum(call.status in FAILED for call in own),
            sum(call.cost or 0 for call in own),
            sum(call.cost or 0 for call in own if call.id in again),
        )
        for agent, own in by_agent.items()
    ]
    return sorted(shares, key=lambda share: (-share.cost, share.agent))
