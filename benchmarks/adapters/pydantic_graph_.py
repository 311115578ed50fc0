"""pydantic-graph 2.x (builder engine) and 1.x (classic Graph with state persistence)."""
from __future__ import annotations

from benchmarks.kit import entry, run_asyncio

V2, V1 = "pydantic-graph 2", "pydantic-graph 1"
HOPS = 5_000


# ---------------------------------------------------------------- 2.x
def g2_nodes(auto=True):
    from pydantic_graph import GraphBuilder, StepContext

    from benchmarks.adapters._pg_nodes import A, B, State

    g = GraphBuilder(name="ring", state_type=State, output_type=int, auto_instrument=auto)

    async def start(ctx: StepContext) -> A:
        return A()

    start.__annotations__ = {"ctx": StepContext[State, None, None], "return": A}
    s = g.step(start)
    g.add(g.node(A), g.node(B), g.edge_from(g.start_node).to(s))
    return g.build()


def g2_steps(auto=True):
    """Builder-style steps with a decision, no BaseNode objects."""
    from typing import Literal

    from pydantic_graph import GraphBuilder, TypeExpression

    from benchmarks.adapters._pg_nodes import State

    g = GraphBuilder(name="ring", state_type=State, output_type=str, auto_instrument=auto)

    async def body(ctx):
        s = ctx.state
        s.n += 1
        return "next" if s.n < s.limit else "end"

    a, b = g.step(body, node_id="a"), g.step(body, node_id="b")
    nxt, end = TypeExpression[Literal["next"]], TypeExpression[Literal["end"]]
    g.add(
        g.edge_from(g.start_node).to(a),
        g.edge_from(a).to(g.decision().branch(g.match(nxt).to(b)).branch(g.match(end).to(g.end_node))),
        g.edge_from(b).to(g.decision().branch(g.match(nxt).to(a)).branch(g.match(end).to(g.end_node))),
    )
    return g.build()


def hop2(variant, make, *, order, note=""):
    @entry("hop_async", V2, variant, n=HOPS, order=order, note=note)
    def _(m):
        from benchmarks.adapters._pg_nodes import State

        async def main():
            g = make()
            await g.run(state=State(limit=50))
            st = State(limit=m.n)
            with m.timed():
                await g.run(state=st)
            m.check(st.n == m.n)

        run_asyncio(main)


hop2("BaseNode ring", g2_nodes, order=40)
hop2("builder steps + decision", g2_steps, order=41)
hop2("BaseNode ring, auto_instrument=False", lambda: g2_nodes(False), order=42, note="tracing hooks off")


@entry("hop_sync", V2, "run_sync (async nodes)", n=HOPS, order=40, note="no sync engine: run_sync drives the async one")
def _(m):
    import asyncio

    from benchmarks.adapters._pg_nodes import State

    asyncio.set_event_loop(asyncio.new_event_loop())
    g = g2_nodes()
    g.run_sync(state=State(limit=50))
    st = State(limit=m.n)
    with m.timed():
        g.run_sync(state=st)
    m.check(st.n == m.n)


@entry("hop_observed_async", V2, "iter(): one GraphTask batch per hop", n=HOPS, order=40, note="2.x has no state persistence")
def _(m):
    from benchmarks.adapters._pg_nodes import State

    async def main():
        g = g2_nodes()

        async def run(st):
            trace = []
            async with g.iter(state=st) as r:
                async for ev in r:
                    trace.append((len(trace), type(ev).__name__, st.n))
            return trace

        await run(State(limit=50))
        st = State(limit=m.n)
        with m.timed(memory=True):
            tr = await run(st)
        m.check(st.n == m.n and len(tr) >= m.n)

    run_asyncio(main)


def g2_flow3():
    from pydantic_graph import GraphBuilder, StepContext

    from benchmarks.adapters._pg_nodes import F1, F2, F3, State

    g = GraphBuilder(name="flow3", state_type=State, output_type=int)

    async def start(ctx) -> F1:
        return F1()

    start.__annotations__ = {"ctx": StepContext[State, None, None], "return": F1}
    g.add(g.node(F1), g.node(F2), g.node(F3), g.edge_from(g.start_node).to(g.step(start)))
    return g.build()


for _case, _delay in (("fanout_sleep0", 0), ("fanout_sleep10ms", 0.01)):
    for _n in (1_000, 10_000):
        @entry(f"{_case}_{_n // 1000}k", V2, "one graph, gather(run)", n=_n, order=40, timeout=600)
        def _(m, delay=_delay):
            import asyncio

            from benchmarks.adapters._pg_nodes import State

            async def main():
                g = g2_flow3()
                await asyncio.gather(*(g.run(state=State(delay=delay)) for _ in range(10)))
                with m.timed(memory=True):
                    out = await asyncio.gather(*(g.run(state=State(delay=delay)) for _ in range(m.n)))
                m.check(sum(out) == 3 * m.n)

            run_asyncio(main)

        @entry(f"{_case}_{_n // 1000}k", V1, "one graph, gather(run)", n=_n, order=45, timeout=600, venv="venv-pg1")
        def _(m, delay=_delay):
            import asyncio
            import warnings

            warnings.simplefilter("ignore")
            from pydantic_graph import Graph

            from benchmarks.adapters._pg_nodes import F1, F2, F3, State

            async def main():
                g = Graph(nodes=(F1, F2, F3), name="flow3")
                await asyncio.gather(*(g.run(F1(), state=State(delay=delay)) for _ in range(10)))
                with m.timed(memory=True):
                    out = await asyncio.gather(*(g.run(F1(), state=State(delay=delay)) for _ in range(m.n)))
                m.check(sum(o.output for o in out) == 3 * m.n)

            run_asyncio(main)


@entry("parallel_batch", V2, "map + join, semaphore by hand", n=10_000, order=40, timeout=600,
       note="map has no concurrency limit")
def _(m):
    import asyncio

    from pydantic_graph import GraphBuilder, reduce_list_append

    async def main():
        sem = asyncio.Semaphore(100)
        g = GraphBuilder(name="map", input_type=list, output_type=list)

        async def src(ctx):
            return ctx.inputs

        async def work(ctx):
            async with sem:
                await asyncio.sleep(0.001)
            return ctx.inputs * 2

        s, w = g.step(src, node_id="src"), g.step(work, node_id="work")
        j = g.join(reduce_list_append, initial_factory=list)
        g.add(g.edge_from(g.start_node).to(s), g.edge_from(s).map().to(w), g.edge_from(w).to(j), g.edge_from(j).to(g.end_node))
        app = g.build()
        await app.run(inputs=list(range(200)))
        with m.timed(memory=True):
            out = await app.run(inputs=list(range(m.n)))
        m.check(sum(out) == m.n * (m.n - 1))

    run_asyncio(main)


# ---------------------------------------------------------------- 1.x
def hop1(case, variant, persistence=None, *, order, note=""):
    @entry(case, V1, variant, n=HOPS, order=order, venv="venv-pg1", note=note)
    def _(m):
        import warnings

        warnings.simplefilter("ignore")
        from pydantic_graph import Graph
        from pydantic_graph.persistence.in_mem import FullStatePersistence

        from benchmarks.adapters._pg_nodes import A, B, State

        def make():
            return None if persistence is None else FullStatePersistence(deep_copy=persistence == "deep")

        async def main():
            g = Graph(nodes=(A, B), name="ring", auto_instrument=True)
            await g.run(A(), state=State(limit=20), persistence=make())
            st, kept = State(limit=m.n), make()
            with m.timed():
                await g.run(A(), state=st, persistence=kept)
            m.check(st.n == m.n and (kept is None or len(kept.history) == m.n + 1))

        run_asyncio(main)


hop1("hop_async", "classic Graph.run", order=45, note="its default persistence keeps the last snapshot")
hop1("hop_observed_async", "FullStatePersistence (deep copy)", "deep", order=45)
hop1("hop_observed_async", "FullStatePersistence, deep_copy=False", "shallow", order=46)


for _case, _before in (("import_cold", "asyncio"), ("import_kernel", "kernel")):
    @entry(_case, V2, "the documented import", n=1, order=40)
    def _(m, before=_before):
        m.imported("from pydantic_graph import BaseNode, End, GraphBuilder", before)
