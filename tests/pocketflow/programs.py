"""Random PocketFlow programs as data, and what one does when it is built with a module and run.

A program is a list of node specs; arrows and the starts of flows are indices into it, so that any graph can come about: circles,
flows that hold themselves, nodes in several flows. ``shared["left"]`` bounds it: it raises `Enough` when it is spent.
"""

from __future__ import annotations

import asyncio
import warnings
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

SYNC = ("BaseNode", "Node", "BatchNode")
ASYNC = ("AsyncNode", "AsyncBatchNode", "AsyncParallelBatchNode")
FLOWS = ("Flow", "BatchFlow")
ASYNC_FLOWS = ("AsyncFlow", "AsyncBatchFlow", "AsyncParallelBatchFlow")
#: what a node does beyond the usual: tracing tools and tests patch instances, subclasses wrap private hooks
TWISTS = (
    "", "", "", "pure", "patch_post", "patch_exec", "patch_prep", "wrap_run", "wrap_exec", "wrap_set_params", "patch_run", "copy_hook",
)
FLOW_TWISTS = ("", "", "", "wrap_run", "wrap_orch", "next_node", "patch_run", "patch_orch")


class Enough(Exception):
    """The program has run long enough."""


class Odd(Exception):
    """An error of the program's own, with more than one argument."""


@dataclass
class Spec:
    """One node of a program."""

    kind: str
    arrows: dict[str, int | None] = field(default_factory=dict)
    actions: list[Any] = field(default_factory=lambda: [None])
    start: int = 0
    retries: int = 1
    fails: int = 0
    fallback: str = "raise"
    raises_in: str = ""
    items: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    twist: str = ""


@dataclass
class Outcome:
    """What a program did: everything that a caller can see."""

    action: Any = None
    error: Any = None
    same_error: bool = True
    warned: list[str] = field(default_factory=list)
    log: list[Any] = field(default_factory=list)
    store: dict[str, Any] = field(default_factory=dict)
    same_store: bool = True


def _fail(shared: dict[str, Any] | None, me: int, made: list[BaseException]) -> None:
    error = [ValueError("no"), KeyError("k"), Odd("a", me)][me % 3]
    made.append(error)
    raise error


class _Steps:
    """The behaviour of node `me`, without a class: what its steps do when called."""

    def __init__(self, me: int, spec: Spec, shared: dict[str, Any], made: list[BaseException]) -> None:
        self.me, self.spec, self.shared, self.made = me, spec, shared, made
        self.tries: dict[Any, int] = {}

    def log(self, *what: Any) -> None:
        if len(self.shared["log"]) > 2_000:
            raise Enough
        self.shared["log"].append((self.me, *what))

    def prep(self, shared: dict[str, Any], params: Any) -> Any:
        self.shared["left"] -= 1
        if self.shared["left"] < 0:
            raise Enough
        self.log("prep", shared is self.shared, dict(params))
        if self.spec.raises_in == "prep":
            _fail(shared, self.me, self.made)
        return self.spec.items if self.spec.items is not None else self.me

    def exec(self, prep_res: Any, attempt: Any) -> Any:
        self.log("exec", prep_res, attempt)
        key = repr(prep_res)
        self.tries[key] = self.tries.get(key, 0) + 1
        if self.tries[key] <= self.spec.fails:
            _fail(None, self.me, self.made)
        return (self.me, prep_res)

    def fallback(self, prep_res: Any, exc: Exception) -> Any:
        self.log("fallback", prep_res, type(exc).__name__, exc is self.made[-1])
        if self.spec.fallback == "raise":
            raise exc
        if self.spec.fallback == "other":
            _fail(None, self.me + 1, self.made)
        return "fallback"

    def post(self, shared: dict[str, Any], prep_res: Any, exec_res: Any) -> Any:
        self.log("post", repr(prep_res), repr(exec_res))
        if self.spec.raises_in == "post":
            _fail(shared, self.me, self.made)
        visits = shared["visits"][self.me] = shared["visits"].get(self.me, 0) + 1
        shared[f"last{self.me}"] = exec_res
        return self.spec.actions[(visits - 1) % len(self.spec.actions)]


def _sync_node(m: Any, base: Any, do: _Steps, twist: str, has_tries: bool) -> Any:
    class Self(base):  # type: ignore[misc]
        def prep(self, shared: Any) -> Any:
            do.log("self", getattr(self, "seen", None))
            self.seen = do.me
            return do.prep(shared, self.params)

        def exec(self, prep_res: Any) -> Any:
            return do.exec(prep_res, (self.cur_retry, self.seen) if has_tries else None)

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return do.fallback(prep_res, exc)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return do.post(shared, prep_res, exec_res)

    class Pure(base):  # type: ignore[misc]
        def prep(self, shared: Any) -> Any:
            return do.prep(shared, {})

        def exec(self, prep_res: Any) -> Any:
            return do.exec(prep_res, None)

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return do.fallback(prep_res, exc)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return do.post(shared, prep_res, exec_res)

    return Pure if twist == "pure" else Self


def _async_node(m: Any, base: Any, do: _Steps) -> Any:
    class Self(base):  # type: ignore[misc]
        async def prep_async(self, shared: Any) -> Any:
            do.log("self", getattr(self, "seen", None))
            self.seen = do.me
            await asyncio.sleep(0)
            return do.prep(shared, self.params)

        async def exec_async(self, prep_res: Any) -> Any:
            do.log("begin", prep_res)
            await asyncio.sleep(0)
            return do.exec(prep_res, None)

        async def exec_fallback_async(self, prep_res: Any, exc: Exception) -> Any:
            return do.fallback(prep_res, exc)

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return do.post(shared, prep_res, exec_res)

    return Self


def _flow(m: Any, base: Any, do: _Steps, twist: str) -> Any:
    class Self(base):  # type: ignore[misc]
        def prep(self, shared: Any) -> Any:
            return do.prep(shared, self.params)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            do.log("flow post", repr(prep_res), repr(exec_res))
            own = do.post(shared, prep_res, exec_res)
            return own if own is not None else super().post(shared, prep_res, exec_res)

    class NextNode(Self):
        def get_next_node(self, curr: Any, action: Any) -> Any:
            do.log("next", type(curr).__name__, action, dict(curr.params))
            return super().get_next_node(curr, action)

    return NextNode if twist == "next_node" else Self


def _async_flow(m: Any, base: Any, do: _Steps, twist: str) -> Any:
    class Self(base):  # type: ignore[misc]
        async def prep_async(self, shared: Any) -> Any:
            return do.prep(shared, self.params)

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            do.log("flow post", repr(prep_res), repr(exec_res))
            own = do.post(shared, prep_res, exec_res)
            return own if own is not None else await super().post_async(shared, prep_res, exec_res)

    class NextNode(Self):
        def get_next_node(self, curr: Any, action: Any) -> Any:
            do.log("next", type(curr).__name__, action, dict(curr.params))
            return super().get_next_node(curr, action)

    return NextNode if twist == "next_node" else Self


def _twisted(cls: Any, do: _Steps, twist: str) -> Any:
    """`cls` with a private hook wrapped, as tracing tools do."""
    if twist == "wrap_run" and hasattr(cls, "prep_async"):
        class WrapRunAsync(cls):  # type: ignore[misc]
            async def _run_async(self, shared: Any) -> Any:
                do.log("> run async")
                return await super()._run_async(shared)
        return WrapRunAsync
    if twist == "wrap_run":
        class WrapRun(cls):  # type: ignore[misc]
            def _run(self, shared: Any) -> Any:
                do.log("> run")
                return super()._run(shared)
        return WrapRun
    if twist == "wrap_exec" and hasattr(cls, "exec_async"):
        class WrapExecAsync(cls):  # type: ignore[misc]
            async def _exec(self, prep_res: Any) -> Any:
                do.log("> exec", prep_res)
                return await super()._exec(prep_res)
        return WrapExecAsync
    if twist == "wrap_exec":
        class WrapExec(cls):  # type: ignore[misc]
            def _exec(self, prep_res: Any) -> Any:
                do.log("> exec", prep_res)
                return super()._exec(prep_res)
        return WrapExec
    if twist == "wrap_set_params":
        class WrapSetParams(cls):  # type: ignore[misc]
            def set_params(self, params: Any) -> None:
                do.log("> set_params", dict(params))
                super().set_params({**params, "extra": do.me})
        return WrapSetParams
    if twist == "copy_hook":
        class CopyHook(cls):  # type: ignore[misc]
            def __copy__(self) -> Any:
                do.log("> copy")
                twin = self.__class__.__new__(self.__class__)
                twin.__dict__.update(self.__dict__)
                return twin
        return CopyHook
    if twist == "wrap_orch" and hasattr(cls, "prep_async"):
        class WrapOrchAsync(cls):  # type: ignore[misc]
            async def _orch_async(self, shared: Any, params: Any = None) -> Any:
                do.log("> orch", params)
                return await super()._orch_async(shared, params)
        return WrapOrchAsync
    if twist == "wrap_orch":
        class WrapOrch(cls):  # type: ignore[misc]
            def _orch(self, shared: Any, params: Any = None) -> Any:
                do.log("> orch", params)
                return super()._orch(shared, params)
        return WrapOrch
    return cls


def _patch(node: Any, do: _Steps, twist: str) -> None:
    """Replace a method on the instance; it stays bound to the original."""
    is_async = hasattr(node, "prep_async")
    names = {"patch_post": "post", "patch_exec": "exec", "patch_prep": "prep", "patch_run": "_run", "patch_orch": "_orch"}
    if twist not in names:
        return
    name = names[twist]
    if is_async:
        name = name + "_async"
        was = getattr(node, name)

        async def patched_async(*args: Any) -> Any:
            do.log("patched", name, len(args))
            return await was(*args)

        setattr(node, name, patched_async)
        return
    was = getattr(node, name)

    def patched(*args: Any) -> Any:
        do.log("patched", name, len(args))
        return was(*args)

    setattr(node, name, patched)


def build(m: Any, program: list[Spec], shared: dict[str, Any], made: list[BaseException]) -> list[Any]:
    """The nodes of `program`, wired, of the classes of module `m`."""
    nodes = []
    for me, spec in enumerate(program):
        base, do = getattr(m, spec.kind), _Steps(me, spec, shared, made)
        if spec.kind in SYNC:
            cls = _sync_node(m, base, do, spec.twist, spec.kind != "BaseNode")
        elif spec.kind in ASYNC:
            cls = _async_node(m, base, do)
        else:
            cls = (_flow if spec.kind in FLOWS else _async_flow)(m, base, do, spec.twist)
        cls = _twisted(cls, do, spec.twist)
        node = cls() if spec.kind not in ("Node", "BatchNode", *ASYNC) else cls(max_retries=spec.retries)
        node.set_params(dict(spec.params))
        _patch(node, do, spec.twist)
        nodes.append(node)
    for node, spec in zip(nodes, program, strict=True):
        if hasattr(node, "start_node"):
            node.start(nodes[spec.start % len(nodes)])
        for action, target in spec.arrows.items():
            goal = None if target is None else nodes[target % len(nodes)]
            node.next(goal, action) if action == "default" else node - action >> goal
    return nodes


def run(m: Any, program: list[Spec]) -> Outcome:
    """Run the first node of `program` by `run` or `run_async`, and tell all that can be seen from outside."""
    shared: dict[str, Any] = {"log": [], "left": 20, "visits": {}}
    made: list[BaseException] = []
    out = Outcome(log=shared["log"], store=shared)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            first = build(m, program, shared, made)[0]
            out.action = asyncio.run(_drained(first, shared)) if hasattr(first, "run_async") and program[0].kind in (*ASYNC, *ASYNC_FLOWS) \
                else first.run(shared)
        except Exception as exc:
            # where in the recursion Python notices, and so what it says of it, is chance
            out.error = (type(exc), () if isinstance(exc, RecursionError) else exc.args)
            out.same_error = not made or any(exc is error for error in made) or not isinstance(exc, (KeyError, Odd))
    out.warned = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return out


async def _drained(first: Any, shared: Any) -> Any:
    """Await the run, then what it left behind: siblings of a parallel item that failed go on."""
    try:
        return await first.run_async(shared)
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*left, return_exceptions=True)


# strategies ------------------------------------------------------------------------------------------------------------
_ACTIONS = st.sampled_from([None, None, "", "a", "b", "default", "nowhere", 0, False])
_ODD_ACTIONS = st.sampled_from([7, 1.5, ("t",), ["unhashable"], {}, b"a"])
_BATCH_ITEMS = st.sampled_from([[], [1], [1, 2, 3], (4, 5), {"x": 1}, "ab", [None, 0]])
_ITEM_PARAMS = st.sampled_from([[], [{"i": 1}], [{"i": 1}, {"i": 2, "p": "over"}], [{}, {}], ({"i": 3},)])


@st.composite
def specs(draw: Any, kinds: tuple[str, ...], size: int) -> Spec:
    """One node of a program of `size` nodes."""
    kind = draw(st.sampled_from(kinds))
    flow = kind in FLOWS or kind in ASYNC_FLOWS
    targets = st.one_of(st.none(), st.integers(0, size - 1), st.integers(0, size - 1))
    spec = Spec(
        kind,
        arrows=draw(st.dictionaries(st.sampled_from(["default", "a", "b"]), targets, max_size=3)),
        actions=draw(st.lists(st.one_of(_ACTIONS, _ACTIONS, _ACTIONS, _ODD_ACTIONS), min_size=1, max_size=4)),
        start=draw(st.integers(0, size - 1)),
        params=draw(st.sampled_from([{}, {}, {"p": 1}, {"p": 2, "q": 3}])),
        twist=draw(st.sampled_from(FLOW_TWISTS if flow else TWISTS)),
        raises_in=draw(st.sampled_from([""] * 12 + ["prep", "post"])),
    )
    if not flow:
        spec.retries = draw(st.integers(0, 3))
        spec.fails = draw(st.sampled_from([0, 0, 0, 1, 2, 3]))
        spec.fallback = draw(st.sampled_from(["raise", "value", "value", "other"]))
    if "Batch" in kind:
        spec.items = draw(_ITEM_PARAMS if flow else _BATCH_ITEMS)
    return spec


@st.composite
def programs(draw: Any, first: tuple[str, ...], kinds: tuple[str, ...]) -> list[Spec]:
    """A program whose first node is of `first`, the others of `kinds`."""
    size = draw(st.integers(1, 6))
    rest = [draw(specs(kinds, size)) for _ in range(size - 1)]
    return [draw(specs(first, size)), *rest]
