"""Nodes with prep, exec and post, forks, and the operators that draw arrows between them.

PocketFlow's vocabulary and its behaviour (https://github.com/The-Pocket/PocketFlow, MIT; semantics only). A node holds no state of
a run: the engine visits a shallow copy. Attributes of ours on a node begin with ``_pfx_``; every other name is the user's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from pocketflex_nb.core import ports
from pocketflex_nb.core.flow.membership import arrow_drawn, forget_arrows
from pocketflex_nb.core.flow.option_checks import check_concurrency, check_on_error, check_seconds, checked_name

if TYPE_CHECKING:
    from pocketflex_nb.core.flow.retry_policy import Retry

__all__ = ["END", "BaseNode", "BatchNode", "CurrentRetry", "Fork", "Node", "attempt_of", "checked_target"]

_Target = TypeVar("_Target", bound="BaseNode | _ConditionalTransition")
_Node = TypeVar("_Node", bound="BaseNode")
_T = TypeVar("_T")


class BaseNode:
    """A step: `prep` reads the store, `exec` works, `post` writes and returns the action.

    It is made without parameters; `Node` adds retries.

    Attributes
    ----------
    params : dict
        Set by the flow before each visit.
    successors : dict of str to BaseNode
        Action to next node; a plain dict that outside tools may walk. Several targets of one action are one `Fork`.

    Examples
    --------
    >>> from pocketflex_nb import BaseNode
    >>> class Shout(BaseNode):
    ...     def prep(self, shared):
    ...         return shared["text"]
    ...     def exec(self, text):
    ...         return text.upper()
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["text"] = exec_res
    >>> shared = {"text": "hello"}
    >>> Shout().run(shared)
    >>> shared
    {'text': 'HELLO'}
    """

    name: str | None = None
    _pfx_legacy_async = False  # whether the steps are spelled `prep_async`, `exec_async`, `post_async`
    # rare, so only in the `__dict__` of those that have one
    _pfx_on_error: BaseNode  # where the error arrow leads
    _pfx_id: str  # its id in a diagram
    _pfx_label: str
    _pfx_shape: str
    _pfx_source: object  # what the diagram's name was bound to

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.successors: dict[str, BaseNode] = {}
        if type(self).__hash__ is None:  # `@dataclass` and a class with `__eq__` lose it; a node is known by its identity all the same
            type(self).__hash__ = object.__hash__  # type: ignore[method-assign]

    def set_params(self, params: dict[str, Any]) -> None:
        """Replace `params`.

        Parameters
        ----------
        params : dict
            What the node reads as ``self.params``. A flow sets it anew before each visit.
        """
        self.params = params

    @overload
    def next(self, node: _Target, action: str = "default") -> _Target: ...
    @overload
    def next(self, node: list[_Node] | tuple[BaseNode, ...], action: str = "default") -> Fork: ...
    def next(
        self, node: BaseNode | _ConditionalTransition | list[_Node] | tuple[BaseNode, ...], action: str = "default"
    ) -> BaseNode | _ConditionalTransition:
        """Draw the arrow `action` to `node`, and return `node`.

        A list or tuple of nodes becomes one `Fork`, whose branches run in parallel. Drawing an action twice warns, the last wins; a
        notebook's cell that is run again draws its arrows anew, without a word. An arrow that makes a node stand in two flows which
        have names, or leaves one that does, warns once.

        Parameters
        ----------
        node : BaseNode, END, or list of them
            Where to go.
        action : str
            What `post` returns to go there; None from `post` means ``"default"``.

        Returns
        -------
        BaseNode
            `node`, or the `Fork` made of a list.
        """
        if isinstance(node, _ConditionalTransition):  # ``a >> b - "back" >> c``: Python reads it as ``a >> (b - "back") >> c``
            self.next(node.src, action)
            return node
        target = Fork(node) if isinstance(node, (list, tuple)) else node
        forget_arrows(self)
        if action in self.successors:
            warnings.warn(f"Overwriting successor for action '{action}'", stacklevel=2)
        is_over = self.successors.get(action, target) is not target
        self.successors[action] = target
        arrow_drawn(self, action, target, is_over=is_over)
        return target

    def on(self, action: str, node: BaseNode | list[Any] | tuple[BaseNode, ...]) -> BaseNode:
        """Draw the arrow `action` to `node`, and return this node, for chains: ``n.on("ok", a).on("retry", b)``.

        Parameters
        ----------
        action : str
            What `post` returns to go there.
        node : BaseNode, END, or list of them
            Where to go.
        """
        self.next(checked_target(node), action)
        return self

    def branch(self, targets: Mapping[str, BaseNode | list[Any] | tuple[BaseNode, ...]]) -> BaseNode:
        """Draw one arrow per item of `targets`, and return this node.

        Parameters
        ----------
        targets : mapping of str to BaseNode
            Action to where it leads: ``n.branch({"ok": a, "retry": b})``.
        """
        for action, target in targets.items():
            self.next(checked_target(target), action)
        return self

    def on_error(self, handler: _Node) -> _Node:
        """Draw the error edge, taken when this node fails for good (retries and `exec_fallback` spent); returns `handler`.

        The handler reads the exception as ``current().error``. An error in the handler itself is not caught by it.

        Parameters
        ----------
        handler : BaseNode
            The node or flow that goes on from there; its own arrows lead back or out.
        """
        checked_target(handler)
        forget_arrows(self)
        is_over = getattr(self, "_pfx_on_error", handler) is not handler
        self._pfx_on_error = handler
        arrow_drawn(self, None, handler, is_over=is_over)
        return handler

    def prep(self, shared: Any) -> Any:
        """Read from `shared` what `exec` needs.

        Parameters
        ----------
        shared : dict or Store
            The shared store.

        Returns
        -------
        object
            For `exec`, and for `post` as `prep_res`.
        """

    def exec(self, prep_res: Any) -> Any:
        """Do the work. Gets no store; may be retried.

        Parameters
        ----------
        prep_res : object
            What `prep` returned; in a `BatchNode` one item of it.

        Returns
        -------
        object
            For `post`, as `exec_res`.
        """

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        """Write to `shared` and return the action; None means ``"default"``, a list starts several branches.

        Parameters
        ----------
        shared : dict or Store
            The shared store.
        prep_res : object
            What `prep` returned.
        exec_res : object
            What `exec` returned; in a `BatchNode` the list of it.

        Returns
        -------
        str, None, or list
            The action: which arrow to follow. A list of actions follows all of them in parallel; where an entry is a pair
            ``(action, params)`` that branch has params of its own, ``[("read", {"page": n}) for n in pages]``. They are joined as a drawn
            fan-out is; an empty list goes on where they would have met.

        Examples
        --------
        >>> from pocketflex_nb import Flow, Node
        >>> class Plan(Node):
        ...     def post(self, shared, prep_res, exec_res):
        ...         return [("read", {"page": page}) for page in shared["pages"]]
        >>> class Read(Node):
        ...     def post(self, shared, prep_res, exec_res):
        ...         shared["read"].add(self.params["page"])
        >>> class Tell(Node):
        ...     def post(self, shared, prep_res, exec_res):
        ...         shared["said"] = f"{len(shared['read'])} pages"
        >>> plan = Plan()
        >>> _ = plan - "read" >> Read() >> Tell()
        >>> Flow(plan).run(store := {"pages": [1, 2, 3], "read": set()})
        >>> store["said"]
        '3 pages'
        """

    def _exec(self, prep_res: object) -> object:
        return self.exec(prep_res)

    def _run(self, shared: object) -> object:
        return ports.engine.visit(self, shared)

    def run(self, shared: object) -> Any:
        """Visit this node alone, and return its action. The successors are not run.

        Parameters
        ----------
        shared : dict or Store
            The shared store; it is changed in place.

        Returns
        -------
        str or None
            What `post` returned.
        """
        if self.successors:
            warnings.warn("Node won't run successors. Use Flow.", stacklevel=2)
        return ports.engine.run_node(self, shared)

    @overload
    def __rshift__(self, other: _Target) -> _Target: ...
    @overload
    def __rshift__(self, other: list[_Node] | tuple[BaseNode, ...]) -> Fork: ...
    def __rshift__(
        self, other: BaseNode | _ConditionalTransition | list[_Node] | tuple[BaseNode, ...]
    ) -> BaseNode | _ConditionalTransition:
        return self.next(other)

    def __sub__(self, action: str) -> _ConditionalTransition:
        if isinstance(action, str):
            return _ConditionalTransition(self, action)
        raise TypeError("Action must be a string")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{f' {self.name!r}' if isinstance(self.name, str) else ''}>"


class _ConditionalTransition:
    """``a - "go"``: an arrow that has no target yet."""

    def __init__(self, src: BaseNode, action: str) -> None:
        self.src, self.action = src, action

    @overload
    def __rshift__(self, tgt: _Target) -> _Target: ...
    @overload
    def __rshift__(self, tgt: list[_Node] | tuple[BaseNode, ...]) -> Fork: ...
    def __rshift__(self, tgt: BaseNode | _ConditionalTransition | list[_Node] | tuple[BaseNode, ...]) -> BaseNode | _ConditionalTransition:
        return self.src.next(tgt, self.action)

    def __sub__(self, action: object) -> NoReturn:
        raise TypeError(f"{self!r} is an arrow without a target yet, and takes no second action: write {self!r} >> target first")

    def __repr__(self) -> str:
        return f"{_called(self.src)} - {self.action!r}"


def _called(node: BaseNode) -> str:
    """The name of a node in messages about wiring."""
    return node.name if isinstance(node.name, str) and node.name else type(node).__name__


def checked_target(target: _T) -> _T:
    """`target`; raises for an arrow without a target."""
    if isinstance(target, _ConditionalTransition):
        raise TypeError(f"{target!r} is an arrow without a target: name the node alone here, and write {target!r} >> target by itself")
    return target


#: (node, number) of the attempt that the running code belongs to
_ATTEMPT: ContextVar[tuple[object, int] | None] = ContextVar("pocketflex_nb_attempt", default=None)


class CurrentRetry:
    """The 0-based number of the current attempt, kept with the attempt and never on the node, so that parallel items do not share it."""

    @overload
    def __get__(self, node: None, owner: type) -> CurrentRetry: ...
    @overload
    def __get__(self, node: object, owner: type) -> int: ...
    def __get__(self, node: object, owner: type) -> CurrentRetry | int:
        if node is None:
            return self
        attempt = _ATTEMPT.get()
        return attempt[1] if attempt is not None and attempt[0] is node else 0

    def __set__(self, node: object, number: int) -> None:
        _ATTEMPT.set((node, number))


def attempt_of(node: object) -> int:
    """The 0-based number of the current attempt of `node`, as it is wired: a visit runs a copy of it."""
    attempt = _ATTEMPT.get()
    is_its_own = attempt is not None and getattr(attempt[0], "successors", None) is getattr(node, "successors", node)
    return attempt[1] if attempt is not None and is_its_own else 0


class Node(BaseNode):
    """A step whose `exec` is retried and may fall back.

    Parameters
    ----------
    max_retries : int
        Tries in all; 0 never calls `exec` and gives None (as in PocketFlow).
    wait : float
        Seconds between tries.
    timeout : float, optional
        Seconds one attempt of `exec` may take; paused and asking time does not count.
    retry : Retry, optional
        What `max_retries` and `wait` cannot say; wins over them.
    name : str, optional
        What pictures, runs and messages call it; default: its class name.

    Notes
    -----
    An ``async def`` `exec` with ``yield`` streams: texts are tokens of its lane as they come, and the result is the joined text, or
    the list when something else was yielded. A try that fails begins anew; what it told stays told.

    `prep`, `exec` and `post` may each be ``def`` or ``async def``. `cur_retry` (0-based) is readable inside `exec`.
    A plain `exec` of a launched flow runs in a thread pool; ``blocking = False`` on the class keeps it on the engine thread.

    Examples
    --------
    >>> from pocketflex_nb import Node
    >>> class Fetch(Node):
    ...     def exec(self, prep_res):
    ...         if self.cur_retry < 2:
    ...             raise ConnectionError("not yet")
    ...         return f"got it at try {self.cur_retry + 1}"
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["page"] = exec_res
    >>> shared = {}
    >>> Fetch(max_retries=3).run(shared)
    >>> shared["page"]
    'got it at try 3'
    """

    _pfx_timeout: float | None = None
    _pfx_retry: Retry | None = None
    _pfx_has_retry_policy = False  # whether `exec` needs more than PocketFlow's loop: one test in the hot path
    cur_retry = CurrentRetry()

    def __init__(
        self, max_retries: int = 1, wait: float = 0, *, timeout: float | None = None, retry: Retry | None = None, name: str | None = None
    ) -> None:
        super().__init__()
        self.max_retries, self.wait = max_retries, wait
        if name is not None:
            self.name = checked_name(type(self).__name__, name)
        if timeout is not None:
            check_seconds(type(self).__name__, timeout)
            self._pfx_timeout, self._pfx_has_retry_policy = timeout, True
        if retry is not None:
            from pocketflex_nb.core.flow.retry_policy import Retry

            if not isinstance(retry, Retry):
                raise TypeError(f"{type(self).__name__}(retry={retry!r}): a Retry(...) is needed")
            self._pfx_retry, self._pfx_has_retry_policy = retry, True

    def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
        """The replacement of `exec` when every attempt failed; raises `exc` unless overridden.

        Parameters
        ----------
        prep_res : object
            What `exec` was given.
        exc : Exception
            What the last try raised.

        Returns
        -------
        object
            In place of the result of `exec`.
        """
        raise exc

    def _exec(self, prep_res: object) -> object:
        return ports.engine.attempt(self, prep_res)


class BatchNode(Node):
    """A node whose `exec` runs once per item that `prep` returns, any iterable or async iterable; `post` gets the results in order.

    Parameters
    ----------
    max_concurrency : int or None
        Items at once: 1 (default) is one after the other, lazily; None is all at once.
    on_error : {"raise", "collect"}
        ``"raise"``: the first item that fails for good ends the batch. ``"collect"``: its exception stands in the results, and
        ``exec_res.failures`` is a list of `ItemFailure`, each with ``index``, ``cause`` and ``item``.
    max_retries, wait, timeout, retry, name
        As for `Node`, the first four per item.

    Raises
    ------
    Exception
        The item's own exception, with a note that names the item's index.

    Examples
    --------
    >>> from pocketflex_nb import BatchNode
    >>> class Square(BatchNode):
    ...     def prep(self, shared):
    ...         return shared["numbers"]
    ...     def exec(self, item):
    ...         return item * item
    ...     def post(self, shared, prep_res, exec_res):
    ...         shared["squares"] = exec_res
    >>> Square().run(store := {"numbers": [1, 2, 3]})
    >>> store["squares"]
    [1, 4, 9]
    """

    _pfx_max_concurrency: int | None = 1
    _pfx_on_item_error: str = "raise"

    def __init__(
        self, max_retries: int = 1, wait: float = 0, *, max_concurrency: int | None = 1, on_error: str = "raise",
        timeout: float | None = None, retry: Retry | None = None, name: str | None = None,
    ) -> None:
        super().__init__(max_retries, wait, timeout=timeout, retry=retry, name=name)
        check_concurrency(type(self).__name__, max_concurrency)
        if max_concurrency != self._pfx_max_concurrency:
            self._pfx_max_concurrency = max_concurrency
        check_on_error(type(self).__name__, on_error)
        if on_error != "raise":
            self._pfx_on_item_error = on_error

    def _exec(self, items: object) -> object:
        return ports.engine.attempt_items(self, items)


class Fork(BaseNode):
    """The hidden node of ``a >> [b, c]``: its `heads` are walked in parallel up to their join.

    Nodes in `detached` (Mermaid's ``==>``) are started beside them, not waited for, and cancelled when the run ends. Wiring a Fork
    wires its branches: ``plan >> [search, read] >> write`` draws `write` behind the end of each branch.
    """

    _pfx_each: list[Mapping[str, object] | None] | None = None  # of a fork that a list of actions made: per head its own params or None
    _pfx_join: BaseNode | None = None  # and where its branches meet, or None

    _pfx_is_fork = True

    def __init__(self, heads: Iterable[BaseNode], detached: Iterable[BaseNode] = ()) -> None:
        super().__init__()
        self.heads, self.detached = list(heads), list(detached)
        for head in map(checked_target, self.heads + self.detached):
            if not isinstance(head, BaseNode):
                raise TypeError(f"fan-out to {head!r}: every branch must be a node or a flow")
        if not self.heads and not self.detached:
            raise ValueError("fan-out to an empty list: name at least one node")

    @overload
    def next(self, node: _Target, action: str = "default") -> _Target: ...
    @overload
    def next(self, node: list[_Node] | tuple[BaseNode, ...], action: str = "default") -> Fork: ...
    def next(
        self, node: BaseNode | _ConditionalTransition | list[_Node] | tuple[BaseNode, ...], action: str = "default"
    ) -> BaseNode | _ConditionalTransition:
        """Draw the arrow from the end of every branch to `node`."""
        if isinstance(node, _ConditionalTransition):
            self.next(node.src, action)
            return node
        target = Fork(node) if isinstance(node, (list, tuple)) else node
        tails = [_tail(head) if action == "default" else head for head in self.heads]
        for tail in {id(tail): tail for tail in tails if tail is not target}.values():  # branches may share their end
            tail.next(target, action)
        return target

    def _run(self, shared: object) -> object:
        raise TypeError("a fan-out has no steps of its own: run the flow that contains it")


def _tail(head: BaseNode) -> BaseNode:
    """The last node of the chain of default arrows that begins at `head`."""
    seen: set[int] = set()
    while (following := head.successors.get("default")) is not None and following is not END:
        if id(head) in seen:
            raise ValueError(f"the branch at {head!r} loops through default actions: draw the arrow to its join yourself")
        seen.add(id(head))
        head = following
        if isinstance(head, Fork):
            return head
    return head


class _End(BaseNode):
    """The reserved target `END`: the flow ends here, silently."""

    name = "END"
    _pfx_stands = False

    def __copy__(self) -> _End:
        return self

    def __deepcopy__(self, memo: object) -> _End:
        return self

    def __reduce__(self) -> str:
        return "END"

    def __repr__(self) -> str:
        return "END"


#: the reserved target: ``node - "stop" >> END`` ends the flow there
END = _End()


