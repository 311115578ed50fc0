"""Apache Burr: actions over an immutable State, transitions with conditions, lifecycle hooks."""
from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

SYS = "burr"
HOPS = 5_000


def quiet():
    import logging

    logging.getLogger("burr").setLevel(logging.ERROR)


def fn_actions(is_async=False):
    from burr.core import State, action

    if is_async:
        @action(reads=["n"], writes=["n"])
        async def a(state: State) -> State:
            return state.update(n=state["n"] + 1)

        @action(reads=["n"], writes=["n"])
        async def b(state: State) -> State:
            return state.update(n=state["n"] + 1)

        @action(reads=["n"], writes=["n"])
        async def done(state: State) -> State:
            return state.update(n=state["n"])
    else:
        @action(reads=["n"], writes=["n"])
        def a(state: State) -> State:
            return state.update(n=state["n"] + 1)

        @action(reads=["n"], writes=["n"])
        def b(state: State) -> State:
            return state.update(n=state["n"] + 1)

        @action(reads=["n"], writes=["n"])
        def done(state: State) -> State:
            return state.update(n=state["n"])

    return {"a": a, "b": b, "done": done}


def cls_actions(is_async=False):
    from burr.core import Action

    class Step(Action):
        reads, writes = ["n"], ["n"]

        def run(self, state):
            return {"n": state["n"] + 1}

        def update(self, result, state):
            return state.update(n=result["n"])

    class AStep(Step):
        async def run(self, state):
            return {"n": state["n"] + 1}

    class Done(Step):
        def run(self, state):
            return {"n": state["n"]}

    s = AStep if is_async else Step
    return {"a": s(), "b": s(), "done": Done()}


def build(n, *, acts=fn_actions, cond="lmda", hooks=(), persister=None, is_async=False):
    from burr.core import ApplicationBuilder, Condition, default, expr

    if cond == "expr":
        stop = expr(f"n >= {n}")
    else:
        stop = Condition.lmda(lambda s: s["n"] >= n, ["n"])
    bld = (ApplicationBuilder().with_actions(**acts(is_async))
           .with_transitions(("a", "done", stop), ("a", "b", default), ("b", "done", stop), ("b", "a", default))
           .with_state(n=0).with_entrypoint("a"))
    if hooks:
        bld = bld.with_hooks(*hooks)
    if persister is not None:
        bld = bld.with_state_persister(persister).with_identifiers(app_id="bench", partition_key="p")
    return bld.build()


def hop(case, variant, *, is_async=False, order=30, note="", n=HOPS, **kw):
    @entry(case, SYS, variant, n=n, order=order, note=note)
    def _(m):
        quiet()
        if is_async:
            async def main():
                await build(50, is_async=True, **kw).arun(halt_after=["done"])
                app = build(m.n, is_async=True, **kw)
                with m.timed():
                    _, _, st = await app.arun(halt_after=["done"])
                m.check(st["n"] == m.n)

            run_asyncio(main)
        else:
            build(50, **kw).run(halt_after=["done"])
            app = build(m.n, **kw)
            with m.timed():
                _, _, st = app.run(halt_after=["done"])
            m.check(st["n"] == m.n)


hop("hop_sync", "@action functions, lambda conditions", order=30)
hop("hop_sync", "@action functions, expr() conditions", cond="expr", order=31)
hop("hop_sync", "Action classes (run + update)", acts=cls_actions, order=32)
hop("hop_async", "@action functions, lambda conditions", is_async=True, order=30)
hop("hop_async", "Action classes (run + update)", acts=cls_actions, is_async=True, order=32)


# ---------------------------------------------------------------- observed
def hook_pair(trace, is_async=False):
    from burr.lifecycle import PostRunStepHook, PostRunStepHookAsync

    if is_async:
        class H(PostRunStepHookAsync):
            async def post_run_step(self, *, sequence_id, action, exception, **kw):
                trace.append((sequence_id, action.name, exception))
    else:
        class H(PostRunStepHook):
            def post_run_step(self, *, sequence_id, action, exception, **kw):
                trace.append((sequence_id, action.name, exception))

    return H()


def observed(variant, kind, *, is_async=False, order=30):
    case = "hop_observed_async" if is_async else "hop_observed_sync"

    @entry(case, SYS, variant, n=HOPS, order=order)
    def _(m):
        quiet()

        def make(n):
            trace = []
            if kind == "hook":
                return build(n, hooks=(hook_pair(trace, is_async),), is_async=is_async), lambda: len(trace)
            from burr.core.persistence import InMemoryPersister

            kept = InMemoryPersister()
            return build(n, persister=kept, is_async=is_async), lambda: len(kept._storage["p"]["bench"])

        if is_async:
            async def main():
                await make(50)[0].arun(halt_after=["done"])
                app, count = make(m.n)
                with m.timed():
                    _, _, st = await app.arun(halt_after=["done"])
                m.check(st["n"] == m.n and count() == m.n + 1)

            run_asyncio(main)
        else:
            make(50)[0].run(halt_after=["done"])
            app, count = make(m.n)
            with m.timed():
                _, _, st = app.run(halt_after=["done"])
            m.check(st["n"] == m.n and count() == m.n + 1)


observed("PostRunStepHook, tuple", "hook", order=30)
observed("InMemoryPersister", "memory", order=31)
observed("PostRunStepHookAsync, tuple", "hook", is_async=True, order=30)


@entry("event_memory", SYS, "InMemoryPersister", n=2_000, order=30)
def _(m):
    from burr.core.persistence import InMemoryPersister

    quiet()
    build(50, persister=InMemoryPersister()).run(halt_after=["done"])
    kept = InMemoryPersister()
    app = build(m.n, persister=kept)
    with m.kept():
        app.run(halt_after=["done"])
    m.check(len(kept._storage["p"]["bench"]) == m.n + 1)


# ---------------------------------------------------------------- fanout
def fan_graph(delay):
    import asyncio

    from burr.core import GraphBuilder, State, action

    @action(reads=["n"], writes=["n"])
    async def hop(state: State) -> State:
        await asyncio.sleep(delay)
        return state.update(n=state["n"] + 1)

    return GraphBuilder().with_actions(a=hop, b=hop, c=hop).with_transitions(("a", "b"), ("b", "c")).build()


for _case, _delay in (("fanout_sleep0", 0), ("fanout_sleep10ms", 0.01)):
    for _n in (1_000, 10_000):
        @entry(f"{_case}_{_n // 1000}k", SYS, "shared graph, one Application per flow", n=_n, order=30, timeout=600)
        def _(m, delay=_delay):
            import asyncio

            from burr.core import ApplicationBuilder

            quiet()

            async def main():
                graph = fan_graph(delay)

                async def one():
                    app = await ApplicationBuilder().with_graph(graph).with_state(n=0).with_entrypoint("a").abuild()
                    _, _, st = await app.arun(halt_after=["c"])
                    return st["n"]

                await asyncio.gather(*(one() for _ in range(10)))
                with m.timed(memory=True):
                    out = await asyncio.gather(*(one() for _ in range(m.n)))
                m.check(sum(out) == 3 * m.n)

            run_asyncio(main)


# ---------------------------------------------------------------- parallel_batch
@entry("parallel_batch", SYS, "MapStates (async) + semaphore by hand", n=10_000, order=30, timeout=600,
       note="async map has no limit; every item becomes its own Application")
def _(m):
    import asyncio

    from burr.core import ApplicationBuilder, State, action
    from burr.core.parallelism import MapStates

    quiet()

    async def main():
        sem = asyncio.Semaphore(100)

        @action(reads=["i"], writes=["i"])
        async def work(state: State) -> State:
            async with sem:
                await asyncio.sleep(0.001)
            return state.update(i=state["i"] * 2)

        class Map(MapStates):
            reads, writes = ["k"], ["out"]

            def is_async(self):
                return True

            def action(self, state, inputs):
                return work.with_name("work") if hasattr(work, "with_name") else work

            async def states(self, state, context, inputs):
                for i in range(state["k"]):
                    yield state.update(i=i)

            async def reduce(self, state, states):
                out = []
                async for s in states:
                    out.append(s["i"])
                return state.update(out=out)

        async def run(k):
            app = await ApplicationBuilder().with_actions(map=Map()).with_state(k=k).with_entrypoint("map").abuild()
            _, _, st = await app.arun(halt_after=["map"])
            return st["out"]

        await run(200)
        with m.timed(memory=True):
            out = await run(m.n)
        m.check(sum(out) == m.n * (m.n - 1))

    run_asyncio(main)


for _case, _before in (("import_cold", "asyncio"), ("import_kernel", "kernel")):
    @entry(_case, SYS, "the documented import", n=1, order=30)
    def _(m, before=_before):
        m.imported("from burr.core import ApplicationBuilder, State, action", before)
