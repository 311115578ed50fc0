"""Chooses how a node of a class is visited; looked up once per class and walk.

PocketFlow programs override the private hooks ``_run``, ``_exec``, ``_orch`` and ``get_next_node``; nodes that do are visited through
them, all others by the fast path that the walks have inline.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from enum import IntEnum
from inspect import CO_COROUTINE
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pocketflex_nb.core.flow.flow import BatchFlow, Flow
from pocketflex_nb.core.flow.function_nodes import AsyncFunctionNode, FunctionNode
from pocketflex_nb.core.flow.generator_steps import is_lazy, is_stream
from pocketflex_nb.core.flow.nodes import BaseNode, BatchNode, Node
from pocketflex_nb.engine.walk.copy_elision import needs_no_copy

if TYPE_CHECKING:
    from pocketflex_nb.engine.records.frame import Frame
    from pocketflex_nb.engine.records.lifecycle import Lifecycle

__all__ = [
    "BASE",
    "BATCH",
    "CALL",
    "FLOW",
    "LEGACY_ASYNC",
    "NODE",
    "NodeKind",
    "VisitPlan",
    "full_copy",
    "is_async",
    "is_bare",
    "is_exec_step",
    "is_simple_copy",
    "is_step",
    "kind_of",
    "overrides_flow_hooks",
    "plan_of",
    "visit_copy",
]


class NodeKind(IntEnum):
    """How nodes of a class are visited. Those up to `BATCH` are visited step by step.

    Attributes
    ----------
    NODE, BASE, BATCH
        A plain `Node`; a `BaseNode` without tries; a `BatchNode`.
    FLOW
        A flow.
    CALL
        A node that overrides a private hook: the hook is called.
    LEGACY_ASYNC
        A node in the `*_async` spelling.
    """

    NODE = 0
    BASE = 1
    BATCH = 2
    FLOW = 3
    CALL = 4
    LEGACY_ASYNC = 5


#: names of this module, since an attribute of an enum is looked up slowly
NODE, BASE, BATCH, FLOW, CALL, LEGACY_ASYNC = NodeKind

_HOOKS = frozenset(("_run", "_orch", "_orch_async", "prep", "post", "_run_async", "prep_async", "post_async"))
_BARE = (Flow._run, Flow._orch, Flow._orch_async, BaseNode.prep, Flow.post)
_STEPS = frozenset(("prep", "exec", "post", "exec_fallback"))
_LAZY_STEPS = (*_STEPS, "exec_async")
#: what may be replaced on one node
_PATCHES = _STEPS | {"_run", "_exec", "_run_async"}
#: what a plan depends on, and one of the other spelling
_depends = attrgetter("_run", "_exec", "set_params", "prep", "exec", "post")
_depends_legacy_async = attrgetter("_run_async", "_exec", "set_params", "prep_async", "exec_async", "post_async", "exec_fallback_async")


def kind_of(cls: type) -> NodeKind:
    """The kind of nodes of `cls`."""
    run, exec_ = getattr(cls, "_run", None), getattr(cls, "_exec", None)
    if getattr(cls, "_pfx_legacy_async", False):
        return LEGACY_ASYNC
    if issubclass(cls, Flow):
        return FLOW
    if run is not BaseNode._run:
        return CALL
    if exec_ is Node._exec:
        return NODE
    if exec_ is BatchNode._exec:
        return BATCH
    return BASE if exec_ is BaseNode._exec else CALL


def overrides_flow_hooks(flow: Flow) -> bool:
    """Whether the flow, or an instance patch, replaces a sync private hook, so that it must be walked by the sync walker."""
    cls = type(flow)
    home: Any = BatchFlow if issubclass(cls, BatchFlow) else Flow
    return cls._run is not home._run or cls._orch is not home._orch or "_run" in flow.__dict__ or "_orch" in flow.__dict__


def is_bare(flow: Flow) -> bool:
    """Whether visiting the flow is nothing but its walk."""
    cls: Any = type(flow)
    if getattr(cls, "_pfx_legacy_async", False):
        bare = (cls._run_async, cls._orch_async, cls.prep_async, cls.post_async) == cls._pfx_bare
    else:
        bare = (cls._run, cls._orch, cls._orch_async, cls.prep, cls.post) == _BARE
    return bare and flow._pfx_private is None and _HOOKS.isdisjoint(flow.__dict__)


def is_simple_copy(cls: Any) -> bool:
    """Whether ``copy.copy`` of an instance of `cls` only copies its ``__dict__``."""
    return (
        getattr(cls, "__copy__", None) is None
        and cls.__reduce_ex__ is object.__reduce_ex__
        and cls.__reduce__ is object.__reduce__
        and getattr(cls, "__getstate__", None) is getattr(object, "__getstate__", None)
        and not hasattr(cls, "__setstate__")
        and not hasattr(cls, "__getnewargs_ex__")
        and not hasattr(cls, "__getnewargs__")
        and cls.__new__ is object.__new__
        and cls.__setattr__ is object.__setattr__
        and not any("__slots__" in base.__dict__ for base in cls.__mro__[:-1])
    )


def is_async(fn: Callable[..., object]) -> bool:
    """Whether calling `fn` returns a coroutine to await, decorated functions and callable objects included."""
    code = getattr(fn, "__code__", None)
    if code is not None and not hasattr(fn, "__wrapped__"):
        return bool(code.co_flags & CO_COROUTINE) or inspect.iscoroutinefunction(fn)
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__):
        return True
    return inspect.iscoroutinefunction(inspect.unwrap(fn)) if hasattr(fn, "__wrapped__") else False


def is_step(result: Any, fn: Callable[..., object]) -> bool:
    """Whether the coroutine `result`, which `fn` returned, is an ``async def`` step to await and not a value."""
    return getattr(fn, "__code__", None) is result.cr_code or is_async(fn)


def is_exec_step(node: BaseNode) -> bool:
    """Whether a coroutine that `_exec` returned is the step itself, not its result."""
    if is_async(node.exec) or is_async(node._exec) or is_async(getattr(node, "exec_fallback", node.exec)):
        return True
    return is_stream(node.exec)


def _yields(thing: object) -> bool:
    """Whether a step of this class, or one replaced on this node, is written with ``yield``."""
    return any(is_lazy(step) for name in _LAZY_STEPS if (step := getattr(thing, name, None)) is not None)


class VisitPlan:
    """How nodes of one class are visited.

    Attributes
    ----------
    kind : NodeKind
        See there.
    cls : type
        The class a visit's copy gets.
    is_plain : bool
        A plain `Node`, copied simply, whose hooks are all ours: the walkers' shortest way.
    copies_simply, sets_params : bool
        Whether ``copy.copy`` only copies the ``__dict__``, and whether `set_params` is ours.
    is_inline : bool
        Whether `exec` waits by itself or not at all, so that it may be called on any loop.
    needs_copy : bool
        False when a visit of the node itself cannot be told from one of its copy.
    is_async : bool
        A plain node whose prep, exec and post are all ``async def``.
    is_legacy_async : bool
        A node in the `*_async` spelling, copied simply, whose hooks are all ours.
    keeps : bool
        Whether what its steps give is kept for those who look: step by step, on none of the shortest ways.
    """

    # no dataclass: making one would be a twentieth of this package's import
    __slots__ = (
        "cls", "copies_simply", "is_async", "is_inline", "is_legacy_async", "is_plain", "keeps", "kind", "needs_copy", "sets_params",
    )

    def __init__(
        self, *, kind: NodeKind, cls: type, is_plain: bool, copies_simply: bool, sets_params: bool, is_inline: bool, needs_copy: bool,
        is_async: bool, is_legacy_async: bool, keeps: bool = False,
    ) -> None:
        self.kind, self.cls, self.is_plain, self.copies_simply, self.sets_params = kind, cls, is_plain, copies_simply, sets_params
        self.is_inline, self.needs_copy, self.is_async, self.is_legacy_async = is_inline, needs_copy, is_async, is_legacy_async
        self.keeps = keeps

    def but(self, **changed: object) -> VisitPlan:
        """The same with some attributes of another value."""
        return VisitPlan(**{name: getattr(self, name) for name in self.__slots__} | changed)


#: class to what its plan depends on, and the plan
_plans: dict[Any, tuple[tuple[Any, ...], VisitPlan]] = {}
#: plan to the same with its values kept
_keepings: dict[VisitPlan, VisitPlan] = {}
_new: Any = object.__new__
_UNKNOWN: tuple[object, None] = None, None


def _made(cls: Any) -> VisitPlan:
    kind, simple, sets = kind_of(cls), is_simple_copy(cls), cls.set_params is BaseNode.set_params
    inline = cls.exec is BaseNode.exec or is_async(cls.exec) or is_stream(cls.exec) or not getattr(cls, "blocking", True)
    short = simple and sets and not _yields(cls)
    plain = kind == NODE and short
    three = plain and is_async(cls.prep) and is_async(cls.exec) and is_async(cls.post)
    spelled = kind == LEGACY_ASYNC and short and (cls._run_async, cls._exec) == cls._pfx_own
    return VisitPlan(
        kind=kind, cls=cls, is_plain=plain, copies_simply=simple, sets_params=sets, is_inline=inline,
        needs_copy=not ((plain or spelled) and needs_no_copy(cls)), is_async=three, is_legacy_async=spelled,
    )


def plan_of(node: Any, run: Lifecycle[Frame], is_shown: bool = False) -> VisitPlan:
    """The plan for `node` in `run`. `is_shown`: the flow's own `get_next_node` is given the visit's copy."""
    cls: Any = node.__class__ if run.classes is None else run.current_class(node.__class__)
    if cls is FunctionNode or cls is AsyncFunctionNode:
        fn = run.current_class(node._pfx_fn)
        cls = AsyncFunctionNode if is_async(fn) or is_stream(fn) else FunctionNode
    try:
        depends = _depends_legacy_async(cls) if cls._pfx_legacy_async else _depends(cls)
    except AttributeError:
        if issubclass(cls, BaseNode):
            raise
        return _foreign(node)
    known, plan = _plans.get(cls, _UNKNOWN)
    if plan is None or known != depends:  # the class is new, or one of its steps or hooks was replaced
        if len(_plans) >= 1_024:  # a notebook makes new classes all day
            _plans.clear()
        plan = _made(cls)
        _plans[cls] = depends, plan
    if is_shown and not plan.needs_copy:
        plan = plan.but(needs_copy=True)
    if run.is_stepwise:  # with a look into the journal, the tape or the cache before each step
        plan = plan.but(is_plain=False, is_async=False, is_legacy_async=False)
    if cls is not node.__class__ or not _PATCHES.isdisjoint(node.__dict__):
        plan = _changed(plan, node)
    return plan if run.values is None else _keeping(plan, run.values.wants(node))


def _keeping(plan: VisitPlan, is_wanted: bool) -> VisitPlan:
    """The same with its values kept, where they are to be had: a flow has none, and a private hook of the user's own hides them."""
    if not is_wanted or not (plan.kind <= BATCH or plan.is_legacy_async):
        return plan
    kept = _keepings.get(plan)
    if kept is None:
        if len(_keepings) >= 1_024:
            _keepings.clear()
        kept = _keepings[plan] = plan.but(is_plain=False, is_async=False, is_legacy_async=False, keeps=True)
    return kept


def _foreign(node: BaseNode) -> VisitPlan:
    """The plan for what is no `BaseNode`: what behaves like one is visited as one, anything else is a mistake in the wiring."""
    if isinstance(node, type):
        raise TypeError(f"an arrow leads to the class {node.__name__}: a node is needed, {node.__name__}()")
    if not (hasattr(node, "_run") and hasattr(node, "set_params")):
        raise AttributeError(f"an arrow leads to {node!r:.60}, something of type {type(node).__name__}: a node is needed")
    return VisitPlan(
        kind=CALL, cls=type(node), is_plain=False, copies_simply=False, sets_params=False, is_inline=False, needs_copy=True,
        is_async=False, is_legacy_async=False,
    )


def _changed(plan: VisitPlan, node: BaseNode) -> VisitPlan:
    """The plan for a node that is visited by another class than its own, or on which something was replaced."""
    own = node.__dict__
    if plan.cls is not node.__class__:
        plan = plan.but(needs_copy=True)
    if not own.keys().isdisjoint(("_run", "_exec", "_run_async")):
        return plan.but(kind=max(plan.kind, CALL), is_plain=False, is_async=False, is_legacy_async=False)
    if not _STEPS.isdisjoint(own):
        return plan.but(is_inline="exec" not in own and plan.is_inline, is_async=False, is_plain=plan.is_plain and not _yields(node))
    return plan


def visit_copy(node: object, cls: type, params: dict[str, Any]) -> Any:
    """A copy of `node` as an instance of `cls`, by its attributes alone.

    Most nodes have the four that `Node` gives them. Those set one by one stay where attributes are quickest found; a copied
    ``__dict__`` makes every later look-up on the copy slower, and costs more than the copy itself.
    """
    c, own = _new(cls), node.__dict__
    if len(own) == 4 and "max_retries" in own and "wait" in own:
        c.params, c.successors, c.max_retries, c.wait = params, own["successors"], own["max_retries"], own["wait"]
    else:
        c.__dict__ = own = own.copy()
        own["params"] = params
    return c


def full_copy(node: BaseNode, plan: VisitPlan, params: dict[str, Any]) -> Any:
    """The visit's copy of `node`."""
    cls = plan.cls
    if plan.copies_simply:
        c = _new(cls)
        c.__dict__ = node.__dict__.copy()
    else:
        c = copy.copy(node)
        if c.__class__ is not cls:
            c.__class__ = cls
    if plan.sets_params:
        c.params = params
    else:
        c.set_params(params)
    return c
