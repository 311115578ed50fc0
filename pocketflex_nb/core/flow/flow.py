"""`Flow`, `BatchFlow` and `linear`: nodes that walk other nodes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Awaitable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.flow_copy import copied_flow, rewired
from pocketflex_nb.core.flow.membership import enter, stands_elsewhere
from pocketflex_nb.core.flow.node_ids import ids_of
from pocketflex_nb.core.flow.nodes import BaseNode, checked_target
from pocketflex_nb.core.flow.option_checks import check_concurrency, check_limits, check_on_error
from pocketflex_nb.core.flow.outcomes import Outcomes
from pocketflex_nb.core.self_display import SelfDisplay

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.checks import Problem
    from pocketflex_nb.core.flow.private_store import Private

__all__ = ["BatchFlow", "Flow", "linear", "with_nodes"]

_Node = TypeVar("_Node", bound=BaseNode)


class Flow(BaseNode, SelfDisplay):
    """Walks from `start` along the actions that nodes return, until an action has no arrow.

    Parameters
    ----------
    start : BaseNode, optional
        The first node.
    name : str, optional
        What views and runs call it; default: its class name.
    strict : bool
        An action without an arrow is an error instead of a warning.
    max_steps : int, optional
        Finished hops after which the run stops with `StepLimit`; nested flows count.
    timeout : float, optional
        Seconds a run may take; paused and asking time does not count.
    budget : mapping, optional
        Any of ``steps``, ``seconds``, ``tokens``, ``cost``: a run that spends more stops with `BudgetSpent`, the store kept.
    max_concurrency : int, optional
        Branches of one fan-out that work at once; None is all of them.
    inputs, outputs : str, iterable of str, or mapping, optional
        With either of them the flow walks on a `Store` of its own, which begins with its inputs and whose outputs are written back when the
        flow is over: names of keys, or a mapping in the direction that the value goes, ``inputs={"question": "topic"}`` and
        ``outputs={"draft": "answer"}``. Lists, dicts and sets are copied on the way in. The flow's own `prep` and `post` see the store
        around it.
    merge : mapping of key to callable, optional
        Rules for outputs, by the outer name: ``rule(theirs, mine)``, or ``rule(base, theirs, mine)``, base being what stood there when
        the flow began, gives what is written where the key exists already. They hold for parallel branches inside, too.
    on_error : {"raise", "collect"}
        ``"raise"``: the first branch of a fan-out that fails ends the others. ``"collect"``: the others go on, and the join finds what
        failed in ``current().failures``, a list of `ItemFailure`.

    Notes
    -----
    A flow is a node: `prep` and `post` are its own, `exec` is never called; `post` gets the last action and passes it on. The limits of a
    flow inside another bound each visit of it; when they are spent that visit fails, and an error edge of the flow may take it.

    Examples
    --------
    >>> from pocketflex_nb import Flow, Node
    >>> class Count(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["n"] += 1
    ...         return "again" if shared["n"] < 3 else "enough"
    >>> class Tell(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["said"] = f"counted to {shared['n']}"
    >>> count = Count()
    >>> _ = count - "again" >> count
    >>> _ = count - "enough" >> Tell()
    >>> shared = {"n": 0}
    >>> Flow(count).run(shared)
    >>> shared["said"]
    'counted to 3'

    A flow with a store of its own:

    >>> from pocketflex_nb import linear, node
    >>> @node
    ... def search(shared):
    ...     shared["page"] = 7                       # nobody outside sees it
    ...     shared["notes"] = [f"{shared['topic']} on page {shared['page']}"]
    >>> look = Flow(search, name="look", inputs={"question": "topic"}, outputs=["notes"], merge={"notes": lambda old, new: old + new})
    >>> store = {"question": "tides", "notes": ["the moon pulls"]}
    >>> linear(look).run(store)
    >>> store
    {'question': 'tides', 'notes': ['the moon pulls', 'tides on page 7']}
    """

    _pfx_strict = False
    _pfx_max_steps: int | None = None
    _pfx_timeout: float | None = None
    _pfx_budget: Mapping[str, float] | None = None
    _pfx_fork_limit: int | None = None
    _pfx_on_branch_error = "raise"
    _pfx_private: Private | None = None
    # rare, so only in the `__dict__` of those made of a diagram
    _pfx_diagram: object
    _pfx_direction: str
    _pfx_clusters: tuple[tuple[str, str, str, tuple[str, ...]], ...]

    def __init__(
        self,
        start: BaseNode | None = None,
        *,
        name: str | None = None,
        strict: bool = False,
        max_steps: int | None = None,
        timeout: float | None = None,
        budget: Mapping[str, float] | None = None,
        max_concurrency: int | None = None,
        inputs: object = None,
        outputs: object = None,
        merge: Mapping[Any, Any] | None = None,
        on_error: str = "raise",
    ) -> None:
        super().__init__()
        self.start_node = start
        if name is not None:
            self.name = name
        if strict:
            self._pfx_strict = True
        if (max_steps, timeout, budget, max_concurrency) != (None, None, None, None):
            self._pfx_limit(max_steps, timeout, budget, max_concurrency)
        if (inputs, outputs, merge) != (None, None, None):
            from pocketflex_nb.core.flow.private_store import declared

            self._pfx_private = declared(type(self).__name__, inputs, outputs, merge)
        if on_error != "raise":
            check_on_error(type(self).__name__, on_error)
            self._pfx_on_branch_error = on_error
        if start is not None:
            enter(self, start, is_named=name is not None)

    def _pfx_limit(
        self, max_steps: int | None, timeout: float | None, budget: Mapping[str, float] | None, max_concurrency: int | None
    ) -> None:
        check_limits("Flow", max_steps, timeout, budget)
        check_concurrency("Flow", max_concurrency)
        self._pfx_max_steps, self._pfx_timeout = max_steps, timeout
        self._pfx_budget, self._pfx_fork_limit = budget, max_concurrency

    def start(self, start: _Node) -> _Node:
        """Set the first node, and return it.

        Parameters
        ----------
        start : BaseNode
            A node or a flow.
        """
        self.start_node = start
        enter(self, start, is_named="name" in self.__dict__)
        return start

    def get_next_node(self, curr: BaseNode, action: Any) -> BaseNode | None:
        """The target of `action`, or None; warns when `curr` has arrows but none of that name.

        Parameters
        ----------
        curr : BaseNode
            The node that was visited.
        action : str or None
            What its `post` returned; None means ``"default"``.
        """
        nxt = curr.successors.get(action or "default")
        if not nxt and curr.successors:
            warnings.warn(f"Flow ends: '{action}' not found in {list(curr.successors)}", stacklevel=2)
        return nxt

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        """Return the last action.

        Parameters
        ----------
        shared : dict or Store
            The shared store.
        prep_res : object
            What the flow's own `prep` returned.
        exec_res : str or None
            The last action; for a `BatchFlow` always None.
        """
        return exec_res

    def _orch(self, shared: object, params: dict[str, Any] | None = None) -> object:
        return ports.engine.walk(self, shared, params)

    async def _orch_async(self, shared: object, params: dict[str, Any] | None = None) -> object:
        return await ports.engine.walk_async(self, shared, params)

    def _run(self, shared: object) -> object:
        return ports.engine.visit_flow(self, shared)

    def run(self, shared: object) -> Any:
        """Walk the flow in this thread, and return the last action.

        Parameters
        ----------
        shared : object
            The shared store, usually a dict or a `Store`; it is changed in place.

        Notes
        -----
        Works in a script and in a cell, with plain and ``async def`` steps; async steps run on the engine thread meanwhile.
        """
        if self.successors:
            warnings.warn("Node won't run successors. Use Flow.", stacklevel=2)
        return ports.engine.run(self, shared)

    def run_async(self, shared: object) -> Awaitable[Any]:
        """Walk the flow on the caller's event loop: ``await flow.run_async(shared)`` returns the last action.

        Parameters
        ----------
        shared : object
            The shared store, usually a dict or a `Store`; it is changed in place.

        Returns
        -------
        awaitable
            Gives the last action.

        Notes
        -----
        The kernel's stop button cancels what a cell awaits, and the cell shows `CancelledError`, which is ipykernel's way. It is heard at
        once where ``%load_ext pocketflex_nb`` was run; without it, ipykernel hears it when its loop wakes for another reason. In a
        cell of a subshell it is never heard: Python gives signals to the main thread alone.
        """
        if self.successors:
            warnings.warn("Node won't run successors. Use AsyncFlow.", stacklevel=2)
        return ports.engine.run_async(self, shared)

    def launch(self, shared: object = None, **options: object) -> Any:
        """Start the flow on the engine thread and return its `Run` at once.

        Parameters
        ----------
        shared : mapping or Store, optional
            A plain mapping is copied (its top level) into a `Store`; a `Store` is shared as it is.
        name : str, optional
            Name of the run; a number is added when it is taken.
        show : bool, optional
            Show the live view; default: in a notebook, once per cell.
        **options
            ``timeout``, ``budget``, ``max_steps``, ``max_concurrency``: as for `Flow`, for this run; ``detached``, ``journal``,
            ``durability``, ``tape``, ``strict_tape``, ``cache``, ``refresh_cache``: see `launch`.

        Returns
        -------
        Run
        """
        return ports.engine.launch(self, shared, **options)

    def launch_each(self, key: str | None, items: object, **options: object) -> Any:
        """Start one run per item with ``store[key] = item``, and return the `RunGroup`.

        Parameters
        ----------
        key : str or None
            Where each item goes; None when the items are mappings that are stores themselves.
        items : iterable
            One run each.
        max_concurrency : int or None
            Runs at once; default 32; None is all of them.
        **options
            As for `launch`; ``store=`` gives keys that every run starts with.
        """
        return ports.engine.launch_each(self, key, items, **options)

    def with_nodes(self, **swap: BaseNode) -> Flow:
        """A copy of this flow in which nodes are replaced, by id: ``research.with_nodes(write=slow_write)``."""
        return with_nodes(self, swap)

    def copy(self, name: str | None = None) -> Self:
        """A copy of this flow with nodes and arrows of its own, those of nested flows too.

        Parameters
        ----------
        name : str, optional
            The copy's name; default: this flow's.

        Returns
        -------
        Flow
            Without the arrows that leave this flow. What the nodes hold (a client, a lock) is shared.

        Examples
        --------
        >>> from pocketflex_nb import Node, linear
        >>> draft = linear(Node(name="write"), Node(name="review"), name="draft")
        >>> twice = linear(draft, draft.copy("again"), name="twice")
        >>> print(twice.to_text(), end="")
        twice
        draft/    → again
          write   → review
          review
        again/
          write   → review
          review
        """
        twin: Self = copied_flow(self)
        if name is not None:
            twin.name = name
        enter(twin, twin.start_node, is_named=True)
        return twin

    def check(self) -> list[Problem]:
        """Check the flow: raise `CheckError` for errors, return the warnings."""
        from pocketflex_nb.core.flow.checks import check_flow  # most programs never ask

        return check_flow(self)

    def to_mermaid(self) -> str:
        """This flow as Mermaid flowchart text."""
        return str(_export(self, "mermaid"))

    def to_dot(self) -> str:
        """This flow as Graphviz DOT text."""
        return str(_export(self, "dot"))

    def to_graphviz(self) -> Any:
        """This flow as a `graphviz.Source`."""
        return _export(self, "graphviz")

    def to_svg(self) -> str:
        """This flow as SVG text, by the built-in layout."""
        return str(_export(self, "svg"))

    def to_text(self) -> str:
        """This flow as plain text."""
        return str(_export(self, "text"))


def _export(flow: Flow, form: str) -> object:
    if ports.export is None:
        raise RuntimeError("the views are not loaded: `import pocketflex_nb` first")
    return ports.export(flow, form)


class BatchFlow(Flow):
    """Runs its nodes once per item of the params that `prep` returns, any iterable of dicts; `post` gets None as `exec_res`.

    Parameters
    ----------
    start, **options
        As for `Flow`. With ``inputs`` and ``outputs`` each item has a store of its own: an input is looked up in the item's params, then
        in the store around; an output is written back as the list of what the items gave, in their order (None for an item that
        failed), or merged one after the other where it has a rule.
    max_concurrency : int or None
        Items at once: 1 is one after the other, None all.
    on_error : {"raise", "collect"}
        ``"raise"``: the first item that fails ends the others. ``"collect"``: they go on; `post` gets, as `exec_res`, a list of each
        item's last action, or its exception, whose ``failures`` are `ItemFailure` objects with ``index``, ``cause`` and ``item``.

    Examples
    --------
    >>> from pocketflex_nb import BatchFlow, Node
    >>> class Square(Node):
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["squares"].append(self.params["n"] ** 2)
    >>> class Squares(BatchFlow):
    ...     def prep(self, shared):
    ...         return [{"n": n} for n in shared["numbers"]]
    >>> shared = {"numbers": [1, 2, 3], "squares": []}
    >>> Squares(Square()).run(shared)
    >>> shared["squares"]
    [1, 4, 9]

    With a store for each item, and failures collected:

    >>> from pocketflex_nb import node
    >>> @node
    ... def halve(shared):
    ...     shared["half"] = shared["n"] / 2
    >>> class Halves(BatchFlow):
    ...     def prep(self, shared):
    ...         return [{"n": n} for n in shared["numbers"]]
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["failed"] = [lost.index for lost in exec_res.failures]
    >>> store = {"numbers": [2, "two", 6]}
    >>> Halves(halve, inputs=["n"], outputs={"half": "halves"}, on_error="collect").run(store)
    >>> store
    {'numbers': [2, 'two', 6], 'halves': [1.0, None, 3.0], 'failed': [1]}
    """

    _pfx_items_at_once: int | None = 1
    _pfx_on_item_error = "raise"

    def __init__(self, start: BaseNode | None = None, *, max_concurrency: int | None = 1, on_error: str = "raise", **options: Any) -> None:
        super().__init__(start, **options)
        if on_error != "raise":
            check_on_error(type(self).__name__, on_error)
            self._pfx_on_item_error = on_error
        check_concurrency(type(self).__name__, max_concurrency)
        if max_concurrency != self._pfx_items_at_once:
            self._pfx_items_at_once = max_concurrency

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        """Return None: the default action.

        Parameters
        ----------
        shared : dict or Store
            The shared store.
        prep_res : iterable of dict
            The items.
        exec_res : list or None
            What became of them, with ``on_error="collect"``; else None.
        """
        return None if isinstance(exec_res, Outcomes) else exec_res

    def _run(self, shared: object) -> object:
        return ports.engine.visit_batch_flow(self, shared)


def with_nodes(flow: Flow, swap: Mapping[str, BaseNode]) -> Flow:
    """A copy of `flow` with the nodes named in `swap` replaced, their arrows kept.

    Nodes are copied, what they hold (a client, a lock) is shared with the flow as it was; so are the insides of nested flows.
    """
    by_short = {short: node for node, short in ids_of(flow).items()}
    for short, new in swap.items():
        if short not in by_short:
            raise ValueError(f"flow {flow.name or type(flow).__name__!r} has no node {short!r}{nearest(short, by_short)}")
        if not isinstance(new, BaseNode):
            raise TypeError(f"with_nodes({short}={new!r}): a node or a flow is needed")
    twins = {node: copy.copy(swap.get(short, node)) for short, node in by_short.items()}
    twin_of = rewired(twins, list(twins))
    for short in swap:
        twins[by_short[short]]._pfx_id = short
    whole = copy.copy(flow)
    whole.successors = dict(flow.successors)
    if flow.start_node is not None:
        whole.start_node = twin_of(flow.start_node)
    enter(whole, whole.start_node, is_named=True)
    return whole


def _own(nodes: list[BaseNode], name: str | None) -> list[BaseNode]:
    """`nodes` for a flow of this name: those of another flow copied, with their named arrows and without their default one."""
    twins = {step: copy.copy(step) for step in nodes if stands_elsewhere(step, name)}
    rewired(twins, list(twins))
    for twin in twins.values():
        twin.successors.pop("default", None)
    own: list[BaseNode] = []
    for step in nodes:
        found = twins.get(step, step)
        if any(found is other for other in own):  # named twice, it is walked twice
            found = copy.copy(found)
            found.successors = {action: target for action, target in found.successors.items() if action != "default"}
        own.append(found)
    return own


def linear(*nodes: BaseNode, name: str | None = None, on_error: BaseNode | None = None) -> Flow:
    """Wire `nodes` one after the other and return the flow that starts with the first.

    A node that stands in another flow stays there as it is: a copy of it is taken, which shares what it holds (a client, a lock). So is
    one of a node that is named twice: ``linear(draft, check, draft)`` walks `draft` twice.

    Parameters
    ----------
    *nodes : BaseNode
        At least one.
    name : str, optional
        The flow's name.
    on_error : BaseNode, optional
        Where any of them goes when it fails for good.

    Examples
    --------
    >>> from pocketflex_nb import linear, node
    >>> def add(shared):
    ...     shared["n"] += 1
    >>> def double(shared):
    ...     shared["n"] *= 2
    >>> linear(node(add), node(double)).run(store := {"n": 3})
    >>> store["n"]
    8
    """
    if not nodes:
        raise ValueError("linear() needs at least one node")
    steps = _own([checked_target(step) for step in nodes], name)
    for here, there in pairwise(steps):
        here.next(there)
    if on_error is not None:
        for step in steps:
            step.on_error(on_error)
    return Flow(steps[0], name=name)
