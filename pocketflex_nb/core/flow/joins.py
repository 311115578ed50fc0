"""The joins of forks: where the branches of a fan-out meet again.

The join of a fork is the nearest common post-dominator of its heads: the first node that every path from every head must pass. Computed
as in Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001), with no recursion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pocketflex_nb.core.flow.node_ids import branches
from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork

__all__ = ["Arrows", "join_behind", "join_of"]

_EXIT = 0  # the virtual node behind every end
Arrows = dict[int, list[int]]


def join_of(fork: Fork) -> BaseNode | None:
    """The node where the branches of `fork` meet, or None when each branch ends alone.

    Parameters
    ----------
    fork : Fork
        Its detached nodes take no part.

    Returns
    -------
    BaseNode or None
        May be a head itself: in ``plan >> [a, b]; a >> b`` the join is `b`; and a fork: in ``plan >> [a, b] >> [c, d]`` both
        branches lead to the very same one. A head that is named twice is walked twice, so the join lies behind it.

    Notes
    -----
    All arrows count, by action and by error; detached ones do not. A way ends at a node without arrows and at an arrow to END
    or None. A node that lacks the arrow of some action is no end: most labelled diagrams are written so. Where no end can be
    reached, a way back to the fork is first taken as no way at all and then as an end, and other endless loops end at their
    nodes without a default arrow (or anywhere, if each has one); so a chat loop around a fan-out still joins. Time is near
    linear in the number of arrows that can be reached from the heads.

    Examples
    --------
    >>> from pocketflex_nb import Node
    >>> plan, search, read, write = Node(), Node(), Node(), Node()
    >>> _ = plan >> [search, read] >> write
    >>> join_of(plan.successors["default"]) is write
    True
    """
    heads = branches(fork)[0]
    times = Counter(map(id, heads))
    return _join(_Reached(heads, {at for at in times if times[at] > 1}, fork), heads)


def join_behind(heads: list[BaseNode], walked: list[BaseNode], origin: BaseNode) -> BaseNode | None:
    """The join of branches that begin at `heads`, or None; `join_of` for heads that no drawn fork has.

    Parameters
    ----------
    heads : list of BaseNode
        Where the branches begin.
    walked : list of BaseNode
        Those among them that are branches of their own whatever the others do: the join lies behind each of them.
    origin : BaseNode
        The node that the branches leave; a way back to it begins anew.
    """
    return _join(_Reached(heads, set(map(id, walked)), origin=origin), heads)


def _join(graph: _Reached, heads: list[BaseNode]) -> BaseNode | None:
    if not heads or any(head is END for head in heads):
        return None
    if not graph.is_endless:
        found = graph.join(graph.arrows)
        if found is None or graph.is_before_the_fork_again(found):
            return None if found is None else graph.nodes[found]
    again = graph.join(graph.without_owners())
    if again is None:
        again = graph.join(graph.ending_at_owners())
    return None if again is None else graph.nodes[again]


class _Reached:
    """The subgraph that the heads of a fork reach: nodes by number, and the arrows between the numbers; `_EXIT` is the end."""

    def __init__(self, heads: list[BaseNode], walked: set[int], fork: Fork | None = None, *, origin: BaseNode | None = None) -> None:
        self.nodes: dict[int, BaseNode] = {}
        self.arrows: Arrows = {}
        self.owners: set[int] = set()  # nodes that an arrow leads from to this very fork, or that the branches leave
        self.lacks_default: set[int] = set()
        numbers: dict[int, int] = {}
        queue: list[BaseNode] = []

        def number(node: BaseNode) -> int:
            found = numbers.get(id(node))
            if found is None:
                found = numbers[id(node)] = len(numbers) + 1
                self.nodes[found] = node
                queue.append(node)
            return found

        self.heads = list(dict.fromkeys(number(head) for head in heads))
        self.walked = {numbers[at] for at in walked}  # heads that the join lies behind
        for at, node in enumerate(queue, 1):  # grows while it is walked
            if node is origin:
                self.owners.add(at)
            targets = list(_targets(node, fork, at, self.owners))
            self.arrows[at] = list(dict.fromkeys(_EXIT if t is None else number(t) for t in targets)) or [_EXIT]
            if "default" not in node.successors and not isinstance(node, Fork):
                self.lacks_default.add(at)
        self.is_endless = bool(self.owners) and not _reaching(_EXIT, self.arrows)

    def join(self, arrows: Arrows) -> int | None:
        """The nearest common post-dominator of the heads over `arrows`, or None."""
        heads = [h for h in self.heads if h in arrows]
        if len(heads) < len(self.heads):
            return None
        arrows = self._with_ends(arrows)
        above, rank = _post_dominators(arrows)
        found, *others = [above[head] if head in self.walked else head for head in heads]
        for other in others:
            found = _meet(found, other, above, rank)
        return None if found == _EXIT else found

    def _with_ends(self, arrows: Arrows) -> Arrows:
        """`arrows` in which every node can reach `_EXIT`: endless loops that nothing leaves get an end."""
        stuck = arrows.keys() - _reaching(_EXIT, arrows)
        if not stuck:
            return arrows
        ended = dict(arrows)
        for loop in _closed_loops({at: arrows[at] for at in arrows if at in stuck}):
            for at in [n for n in loop if n in self.lacks_default] or loop:
                ended[at] = [*ended[at], _EXIT]
        return ended

    def without_owners(self) -> Arrows:
        """The arrows without those back to the fork; nodes that lose every arrow become ends."""
        kept = _reachable([h for h in self.heads if h not in self.owners], self.arrows, stop=self.owners)
        return {at: [t for t in self.arrows[at] if t not in self.owners] or [_EXIT] for at in self.arrows if at in kept}

    def ending_at_owners(self) -> Arrows:
        """The arrows with an end wherever the fork would start again."""
        return {at: [_EXIT] if at in self.owners else targets for at, targets in self.arrows.items()}

    def is_before_the_fork_again(self, join: int) -> bool:
        """Whether every head can reach `join` without passing the fork once more."""
        if not self.owners:
            return True
        arrows = {at: [] if at in self.owners else targets for at, targets in self.arrows.items()}
        return set(self.heads) <= _reaching(join, arrows) | {join}


def _targets(node: BaseNode, fork: Fork | None, at: int, owners: set[int]) -> Iterable[BaseNode | None]:
    """The targets of the arrows of `node`; None for an end. Notes `node` as an owner when it leads to `fork`."""
    targets = _heads(node) if isinstance(node, Fork) else list(node.successors.values())
    handler = getattr(node, "_pfx_on_error", None)
    if handler is not None:
        targets = [*(targets or [None]), handler]
    for target in targets:
        if fork is not None and target is fork:
            owners.add(at)
            yield from _heads(fork)
        else:
            yield target if isinstance(target, BaseNode) and target is not END else None


def _heads(fork: Fork) -> list[BaseNode | None]:
    """The first nodes of the branches of `fork`; None for an end."""
    return [None if head is END else head for head in branches(fork)[0] or [END]]


def _reverse(arrows: Arrows) -> Arrows:
    back: Arrows = {}
    for at, targets in arrows.items():
        for target in targets:
            back.setdefault(target, []).append(at)
    return back


def _reachable(roots: Iterable[int], arrows: Arrows, stop: Iterable[int] = ()) -> set[int]:
    found = set(roots)
    stack, barred = list(found), set(stop)
    while stack:
        for target in arrows.get(stack.pop(), ()):
            if target not in found and target not in barred:
                found.add(target)
                stack.append(target)
    return found


def _reaching(target: int, arrows: Arrows) -> set[int]:
    """Every node that can reach `target`, itself left out."""
    return _reachable([target], _reverse(arrows)) - {target}


def _post_dominators(arrows: Arrows) -> tuple[dict[int, int], dict[int, int]]:
    """The immediate post-dominator of each node, and each node's rank (lower is nearer to the end)."""
    back = _reverse(arrows)
    order = _postorder(_EXIT, back, set())[::-1]
    rank = {at: number for number, at in enumerate(order)}
    above = {_EXIT: _EXIT}
    changed = True
    while changed:
        changed = False
        for at in order[1:]:
            known = [t for t in arrows[at] if t in above]
            best = known[0]
            for other in known[1:]:
                best = _meet(best, other, above, rank)
            if above.get(at) != best:
                above[at] = best
                changed = True
    return above, rank


def _meet(a: int, b: int, above: dict[int, int], rank: dict[int, int]) -> int:
    while a != b:
        while rank[a] > rank[b]:
            a = above[a]
        while rank[b] > rank[a]:
            b = above[b]
    return a


def _postorder(root: int, arrows: Arrows, seen: set[int]) -> list[int]:
    order: list[int] = []
    seen.add(root)
    stack = [(root, iter(arrows.get(root, ())))]
    while stack:
        at, targets = stack[-1]
        for target in targets:
            if target not in seen:
                seen.add(target)
                stack.append((target, iter(arrows.get(target, ()))))
                break
        else:
            order.append(at)
            stack.pop()
    return order


def _closed_loops(arrows: Arrows) -> list[list[int]]:
    """The strongly connected parts of `arrows` that no arrow leaves (Kosaraju's two passes), each in order of its numbers."""
    order: list[int] = []
    seen: set[int] = set()
    for root in arrows:
        if root not in seen:
            order += _postorder(root, arrows, seen)
    back = _reverse(arrows)
    home: dict[int, int] = {}
    for root in reversed(order):
        if root in home:
            continue
        stack = [root]
        home[root] = root
        while stack:
            for source in back.get(stack.pop(), ()):
                if source not in home:
                    home[source] = root
                    stack.append(source)
    parts: dict[int, list[int]] = {}
    for at in sorted(home):
        parts.setdefault(home[at], []).append(at)
    return [part for root, part in parts.items() if all(home[t] == root for at in part for t in arrows[at])]
