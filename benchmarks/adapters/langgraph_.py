"""LangGraph 1.x: StateGraph / functional API / raw Pregel on channels; InMemory and Sqlite savers."""
from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

SYS = "langgraph"
HOPS = 2_000  # ~100x slower than the light engines; linearity is checked separately


# ---------------------------------------------------------------- graphs
def g_cond(n, is_async=False, **compile_kw):
    """Ring a -> b -> a with conditional edges (the documented loop)."""
    from typing import TypedDict

    from langgraph.graph import END, START, StateGraph

    class S(TypedDict):
        n: int

    if is_async:
        async def step(s):
            return {"n": s["n"] + 1}
    else:
        def step(s):
            return {"n": s["n"] + 1}

    g = StateGraph(S)
    g.add_node("a", step)
    g.add_node("b", step)
    g.add_edge(START, "a")
    g.add_conditional_edges("a", lambda s: "b" if s["n"] < n else END, ["b", END])
    g.add_conditional_edges("b", lambda s: "a" if s["n"] < n else END, ["a", END])
    return g.compile(**compile_kw)


def g_command(n, is_async=False, **compile_kw):
    from typing import Literal, TypedDict

    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Command

    class S(TypedDict):
        n: int

    def go(s, other):
        x = s["n"] + 1
        return Command(update={"n": x}, goto=other if x < n else END)

    if is_async:
        async def a(s) -> Command[Literal["b", "__end__"]]:
            return go(s, "b")

        async def b(s) -> Command[Literal["a", "__end__"]]:
            return go(s, "a")
    else:
        def a(s) -> Command[Literal["b", "__end__"]]:
            return go(s, "b")

        def b(s) -> Command[Literal["a", "__end__"]]:
            return go(s, "a")

    g = StateGraph(S)
    g.add_node("a", a)
    g.add_node("b", b)
    g.add_edge(START, "a")
    return g.compile(**compile_kw)


def g_pregel(n):
    """The engine below StateGraph: two nodes that write each other's channel."""
    from langgraph.channels import EphemeralValue, LastValue
    from langgraph.pregel import NodeBuilder, Pregel
    from langgraph.pregel._write import ChannelWriteEntry

    def other(ch):
        return ChannelWriteEntry(ch, skip_none=True, mapper=lambda v: v if v < n else None)

    a = NodeBuilder().subscribe_only("x").do(lambda v: v + 1).write_to(other("y"), "out")
    b = NodeBuilder().subscribe_only("y").do(lambda v: v + 1).write_to(other("x"), "out")
    return Pregel(nodes={"a": a, "b": b},
                  channels={"x": EphemeralValue(int), "y": EphemeralValue(int), "out": LastValue(int)},
                  input_channels="x", output_channels="out")


def cfg(n, thread="t", **kw):
    return {"recursion_limit": n + 10, "configurable": {"thread_id": thread}, **kw}


# ---------------------------------------------------------------- hops
def hop(case, variant, make, *, is_async=False, order=20, note="", n=HOPS, key="n"):
    @entry(case, SYS, variant, n=n, order=order, note=note)
    def _(m):
        g = make(m.n)
        start = {"n": 0}
        if is_async:
            async def main():
                await make(50).ainvoke(start, cfg(50))
                with m.timed():
                    out = await g.ainvoke(start, cfg(m.n))
                m.check(out["n"] == m.n)

            run_asyncio(main)
        else:
            make(50).invoke(start, cfg(50))
            with m.timed():
                out = g.invoke(start, cfg(m.n))
            m.check(out["n"] == m.n)


hop("hop_sync", "StateGraph, conditional edges", lambda n: g_cond(n), order=20)
hop("hop_sync", "StateGraph, Command(goto)", lambda n: g_command(n), order=21)
hop("hop_async", "StateGraph, conditional edges", lambda n: g_cond(n, True), is_async=True, order=20)
hop("hop_async", "StateGraph, Command(goto)", lambda n: g_command(n, True), is_async=True, order=21)


@entry("hop_sync", SYS, "raw Pregel, 2 nodes on channels", n=HOPS, order=22, note="below the documented StateGraph API")
def _(m):
    g_pregel(50).invoke(0, cfg(50))
    g = g_pregel(m.n)
    with m.timed():
        out = g.invoke(0, cfg(m.n))
    m.check(out == m.n)


@entry("hop_sync", SYS, "functional API, @task().result()", n=HOPS, order=23)
def _(m):
    from langgraph.func import entrypoint, task

    @task
    def step(x):
        return x + 1

    @entrypoint()
    def flow(n):
        state = {"n": 0}
        while state["n"] < n:
            state["n"] = step(state["n"]).result()
        return state["n"]

    flow.invoke(50, cfg(50))
    with m.timed():
        out = flow.invoke(m.n, cfg(m.n))
    m.check(out == m.n)


@entry("hop_async", SYS, "functional API, await @task()", n=HOPS, order=23)
def _(m):
    from langgraph.func import entrypoint, task

    @task
    async def step(x):
        return x + 1

    @entrypoint()
    async def flow(n):
        state = {"n": 0}
        while state["n"] < n:
            state["n"] = await step(state["n"])
        return state["n"]

    async def main():
        await flow.ainvoke(50, cfg(50))
        with m.timed():
            out = await flow.ainvoke(m.n, cfg(m.n))
        m.check(out == m.n)

    run_asyncio(main)


# ---------------------------------------------------------------- observed
def observed(variant, *, saver=False, stream=None, durability=None, order=20, is_async=False, note="", n=HOPS, make=g_cond):
    case = "hop_observed_async" if is_async else "hop_observed_sync"

    @entry(case, SYS, variant, n=n, order=order, note=note)
    def _(m):
        from langgraph.checkpoint.memory import InMemorySaver

        def build(n):
            return make(n, is_async, **({"checkpointer": InMemorySaver()} if saver else {}))

        kw = {"durability": durability} if durability else {}

        def run(g, n):
            if stream is None:
                return g.invoke({"n": 0}, cfg(n), **kw)["n"], n
            k, last = 0, None
            for ev in g.stream({"n": 0}, cfg(n), stream_mode=stream, **kw):
                k, last = k + 1, ev
            return next(iter(last.values()))["n"], k

        async def arun(g, n):
            if stream is None:
                return (await g.ainvoke({"n": 0}, cfg(n), **kw))["n"], n
            k, last = 0, None
            async for ev in g.astream({"n": 0}, cfg(n), stream_mode=stream, **kw):
                k, last = k + 1, ev
            return next(iter(last.values()))["n"], k

        if is_async:
            async def main():
                await arun(build(50), 50)
                g = build(m.n)
                with m.timed():
                    out, k = await arun(g, m.n)
                    m.check(out == m.n and k == m.n)

            run_asyncio(main)
        else:
            run(build(50), 50)
            g = build(m.n)
            with m.timed():
                out, k = run(g, m.n)
            m.check(out == m.n and k == m.n)


observed("stream_mode=updates", stream="updates", order=20)
observed("InMemorySaver", saver=True, order=21)
observed("InMemorySaver + stream updates", saver=True, stream="updates", order=22)
observed("InMemorySaver, durability=exit + stream updates", saver=True, stream="updates", durability="exit", order=23,
         note="only the final state is checkpointed")
observed("stream_mode=updates", stream="updates", order=20, is_async=True)
observed("InMemorySaver + stream updates", saver=True, stream="updates", order=22, is_async=True)


# ---------------------------------------------------------------- fanout
def g_flow3(delay):
    import asyncio
    from typing import TypedDict

    from langgraph.graph import StateGraph

    class S(TypedDict):
        n: int

    async def step(s):
        await asyncio.sleep(delay)
        return {"n": s["n"] + 1}

    g = StateGraph(S)
    g.add_sequence([("a", step), ("b", step), ("c", step)])
    g.set_entry_point("a")
    return g.compile()


for _case, _delay in (("fanout_sleep0", 0), ("fanout_sleep10ms", 0.01)):
    for _n in (1_000, 10_000):
        @entry(f"{_case}_{_n // 1000}k", SYS, "gather(ainvoke)", n=_n, order=20, timeout=600)
        def _(m, delay=_delay):
            import asyncio

            async def main():
                g = g_flow3(delay)
                await asyncio.gather(*(g.ainvoke({"n": 0}) for _ in range(10)))
                with m.timed(memory=True):
                    out = await asyncio.gather(*(g.ainvoke({"n": 0}) for _ in range(m.n)))
                m.check(sum(o["n"] for o in out) == 3 * m.n)

            run_asyncio(main)


# ---------------------------------------------------------------- parallel_batch
@entry("parallel_batch", SYS, "Send + max_concurrency=100", n=10_000, order=20, timeout=600)
def _(m):
    import asyncio
    import operator
    from typing import Annotated, TypedDict

    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    # as values, since LangGraph looks for written annotations at module level
    S = TypedDict("S", {"items": range, "out": Annotated[list, operator.add]})  # noqa: UP013

    async def work(s):
        await asyncio.sleep(0.001)
        return {"out": [s["i"] * 2]}

    g = StateGraph(S)
    g.add_node("work", work)
    g.add_conditional_edges(START, lambda s: [Send("work", {"i": i}) for i in s["items"]], ["work"])
    g.add_edge("work", END)
    app = g.compile()

    async def main():
        c = {"max_concurrency": 100}
        await app.ainvoke({"items": range(200), "out": []}, c)
        with m.timed(memory=True):
            r = await app.ainvoke({"items": range(m.n), "out": []}, c)
        m.check(sum(r["out"]) == m.n * (m.n - 1))

    run_asyncio(main)


@entry("parallel_batch", SYS, "functional API tasks, max_concurrency=100", n=2_000, order=21, timeout=600,
       note="2,000 items only: cost grows faster than the items")
def _(m):
    import asyncio

    from langgraph.func import entrypoint, task

    @task
    async def work(i):
        await asyncio.sleep(0.001)
        return i * 2

    @entrypoint()
    async def flow(k):
        return await asyncio.gather(*(work(i) for i in range(k)))

    async def main():
        c = {"max_concurrency": 100}
        await flow.ainvoke(200, c)
        with m.timed(memory=True):
            r = await flow.ainvoke(m.n, c)
        m.check(sum(r) == m.n * (m.n - 1))

    run_asyncio(main)


@entry("parallel_batch", SYS, "one graph, abatch, max_concurrency=100", n=10_000, order=22, timeout=600,
       note="10,000 graph runs instead of one run with 10,000 tasks")
def _(m):
    import asyncio
    from typing import TypedDict

    from langgraph.graph import StateGraph

    class S(TypedDict):
        i: int

    async def work(s):
        await asyncio.sleep(0.001)
        return {"i": s["i"] * 2}

    g = StateGraph(S)
    g.add_node("work", work)
    g.set_entry_point("work")
    app = g.compile()

    async def main():
        c = {"max_concurrency": 100}
        await app.abatch([{"i": i} for i in range(200)], c)
        with m.timed(memory=True):
            r = await app.abatch([{"i": i} for i in range(m.n)], c)
        m.check(sum(x["i"] for x in r) == m.n * (m.n - 1))

    run_asyncio(main)


@entry("event_memory", SYS, "InMemorySaver", n=2_000, order=20)
def _(m):
    from langgraph.checkpoint.memory import InMemorySaver

    g_cond(50, checkpointer=InMemorySaver()).invoke({"n": 0}, cfg(50))
    g = g_cond(m.n, checkpointer=InMemorySaver())
    with m.kept():
        out = g.invoke({"n": 0}, cfg(m.n))
    m.check(out["n"] == m.n)


for _case, _before in (("import_cold", "asyncio"), ("import_kernel", "kernel")):
    @entry(_case, SYS, "the documented import", n=1, order=20)
    def _(m, before=_before):
        m.imported("from langgraph.graph import StateGraph, START, END", before)
