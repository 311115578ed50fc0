"""Runs that are kept in a file, beside a bare INSERT of the same bytes with the same setting, and beside what peers keep."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.kit import entry

SYS, VENV = "pocketflex_nb", "venv-journal"
#: rounds of both in turn; the median of their ratios counts
ROUNDS = 9
BODY = '{"a":"again","c":[["",[["n",12345]]]],"s":1.25e-05}'


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="pfx-bench-") as path:
        yield Path(path)


def bare_line(path, synchronous):
    """A connection as careful as the journal's, and a table of the same columns."""
    line = sqlite3.connect(path, isolation_level=None)
    for sql in ("PRAGMA journal_mode=WAL", f"PRAGMA synchronous={synchronous}",
                "CREATE TABLE records (at INTEGER PRIMARY KEY, kind INTEGER, address TEXT, body TEXT, crc INTEGER)"):
        line.execute(sql)
    return line


def bare_hops(line, first, hops):
    start = time.perf_counter()
    for number in range(first, first + hops):
        line.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", (number, 1, f"steps/step#{number}", BODY, 3735928559))
    return (time.perf_counter() - start) / hops


def loop_of(hops, *, has_exec=False):
    """A node that comes back to itself so many times: it changes one key, and has a call when asked for one."""
    from pocketflex_nb import END, Flow, Node

    class Step(Node):
        blocking = False

        def post(self, shared, prep_res, exec_res):
            shared["n"] += 1
            return "again" if shared["n"] < hops else "enough"

    class Calls(Step):
        async def exec(self, prep_res):
            return 12345

    step = Calls() if has_exec else Step()
    step - "again" >> step
    step - "enough" >> END
    return Flow(step, name="steps")


def kept_hops(file, durability, hops, *, has_exec=False):
    flow = loop_of(hops, has_exec=has_exec)
    run = flow.launch({"n": 0}, journal=file, durability=durability).wait(600)
    assert run.status == "done", run.error
    return run.seconds / hops


def beside_bare(m, durability, synchronous, hops):
    from pocketflex_nb.journal.journal_file import opened_file

    with folder() as place:
        line, ours, bares = bare_line(place / "bare.db", synchronous), [], []
        kept_hops(place / "runs.sqlite", durability, hops)
        bare_hops(line, 0, hops)
        for number in range(1, ROUNDS + 1):
            bares.append(bare_hops(line, number * hops, hops))
            ours.append(kept_hops(place / "runs.sqlite", durability, hops))
        ratios = [our / bare for our, bare in zip(ours, bares, strict=True)]
        m.extra |= {"ratio": statistics.median(ratios), "ours": statistics.median(ours) * 1e6, "bare": statistics.median(bares) * 1e6}
        opened_file(place / "runs.sqlite").flush()
        kept = sqlite3.connect(place / "runs.sqlite").execute("SELECT count(*) FROM records WHERE kind = 1").fetchone()[0]
        m.check(kept == (ROUNDS + 1) * hops)
        opened_file(place / "runs.sqlite").close()


@entry("journal_node", SYS, "durability='node'", n=1, venv=VENV, marked=True)
def _(m):
    beside_bare(m, "node", "NORMAL", 3_000)


@entry("journal_power", SYS, "durability='power'", n=1, venv=VENV, marked=True)
def _(m):
    beside_bare(m, "power", "FULL", 400)


@entry("journal_batch", SYS, "durability='batch'", n=1, venv=VENV, marked=True)
def _(m):
    beside_bare(m, "batch", "NORMAL", 3_000)


@entry("journal_many", SYS, "1 000 runs", n=1, venv=VENV, marked=True)
def _(m):
    from pocketflex_nb import launch

    with folder() as place:
        one = kept_hops(place / "runs.sqlite", "power", 300)
        flow = loop_of(10)
        start = time.perf_counter()
        group = launch([(flow, {"n": 0}) for _ in range(1_000)], journal=place / "runs.sqlite", durability="power").wait(600)
        first = min(run._lifecycle.started for run in group) / 1e9
        many = (max(run._lifecycle.finished for run in group) / 1e9 - first) / 10_000
        m.extra |= {"ratio": many / one, "one": 1 / one, "many": 1 / many, "launch": first - start}
        m.check(all(run.status == "done" for run in group))


@entry("journal_bytes", SYS, "100 keys, 1 changes", n=1, venv=VENV, marked=True)
def _(m):
    from pocketflex_nb.journal.journal_file import opened_file

    hops = 20_000
    with folder() as place:
        flow = loop_of(hops)
        store = {f"key {number}": "x" * 50 for number in range(99)} | {"n": 0}
        file = place / "runs.sqlite"
        run = flow.launch(store, journal=file, durability="batch").wait(600)
        opened_file(file).close()
        m.extra["bytes"] = file.stat().st_size / hops
        m.check(run.status == "done")


def written(place, hops):
    """A finished run of so many hops in a closed file."""
    from pocketflex_nb.journal.journal_file import opened_file

    file = place / "runs.sqlite"
    run = loop_of(hops).launch({"n": 0}, name="night", journal=file, durability="batch").wait(600)
    assert run.status == "done", run.error
    opened_file(file).close()
    return file


@entry("journal_reopen", SYS, "first picture", n=1, venv=VENV, marked=True, timeout=600)
def _(m):
    from pocketflex_nb import open_journal

    with folder() as place:
        file = written(place, 100_000)
        with m.timed():
            picture = open_journal(file).run("night").to_svg()
        m.check("Step" in picture)


@entry("journal_state", SYS, "events, state and store", n=1, venv=VENV, marked=True, timeout=600)
def _(m):
    from pocketflex_nb import open_journal

    with folder() as place:
        file = written(place, 100_000)
        with m.timed():
            run = open_journal(file).run("night")
            state, store = run.state(), dict(run.store)
        m.check((state.steps, store["n"]) == (100_000, 100_000))


@entry("journal_resume", SYS, "the call of resume until the next node begins", n=1, venv=VENV, marked=True, timeout=600)
def _(m):
    from pocketflex_nb import END, Flow, Node, resume
    from pocketflex_nb.journal.journal_file import opened_file

    down, begun = [True], []

    class Step(Node):
        def prep(self, shared):
            if shared["n"] == 10_000:
                begun.append((time.perf_counter(), time.process_time()))
                if down:
                    raise ConnectionError

        def post(self, shared, prep_res, exec_res):
            shared["n"] += 1
            return "again" if shared["n"] < 10_001 else "enough"

    step = Step()
    step - "again" >> step
    step - "enough" >> END
    flow = Flow(step, name="steps")
    with folder() as place:
        file = place / "runs.sqlite"
        flow.launch({"n": 0}, name="night", journal=file, durability="batch").wait(600)
        opened_file(file).close()
        down.clear()
        begun.clear()
        start, spent = time.perf_counter(), time.process_time()
        run = resume(file, "night", flow=flow).wait(60)
        m.wall, m.cpu = begun[0][0] - start, begun[0][1] - spent
        m.check(run.status == "done" and run.hops == 10_001)


# beside peers --------------------------------------------------------------------------------------------------------
@entry("journal_hop", "bare Python", "INSERT, synchronous=NORMAL", n=3_000, venv=VENV, limit=True, order=0)
def _(m):
    with folder() as place:
        line = bare_line(place / "bare.db", "NORMAL")
        bare_hops(line, 0, 500)
        with m.timed():
            bare_hops(line, 1_000, m.n)
        m.check(line.execute("SELECT count(*) FROM records").fetchone()[0] == m.n + 500)


def ours(m, durability, *, has_exec):
    with folder() as place:
        kept_hops(place / "runs.sqlite", durability, 500, has_exec=has_exec)
        with m.timed():
            kept_hops(place / "runs.sqlite", durability, m.n, has_exec=has_exec)
        m.check(json.loads(BODY)["a"] == "again")


@entry("journal_hop", SYS, "a step, one record", n=3_000, venv=VENV, marked=True)
def _(m):
    ours(m, "node", has_exec=False)


@entry("journal_hop", SYS, "a step with a call: its result, then the hop", n=3_000, venv=VENV)
def _(m):
    ours(m, "node", has_exec=True)


@entry("journal_hop", "langgraph", "SqliteSaver, durability='async'", n=300, venv=VENV)
def _(m):
    langgraph(m, "async")


@entry("journal_hop", "langgraph", "SqliteSaver, durability='sync'", n=300, venv=VENV)
def _(m):
    langgraph(m, "sync")


def langgraph(m, durability):
    from typing import TypedDict

    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import END, START, StateGraph

    class S(TypedDict):
        n: int

    def step(state):
        return {"n": state["n"] + 1}

    def made(hops):
        graph = StateGraph(S)
        graph.add_node("a", step)
        graph.add_edge(START, "a")
        graph.add_conditional_edges("a", lambda state: "a" if state["n"] < hops else END, ["a", END])
        return graph

    with folder() as place, SqliteSaver.from_conn_string(str(place / "lg.db")) as saver:
        def run(hops, thread):
            config = {"configurable": {"thread_id": thread}, "recursion_limit": hops + 10}
            return made(hops).compile(checkpointer=saver).invoke({"n": 0}, config, durability=durability)["n"]

        run(20, "warm")
        with m.timed():
            n = run(m.n, "night")
        m.check(n == m.n)


@entry("journal_hop", "burr", "SQLitePersister, WAL, synchronous=NORMAL", n=1_000, venv=VENV)
def _(m):
    import logging

    from burr.core import ApplicationBuilder, State, action, when
    from burr.core.persistence import SQLitePersister

    logging.getLogger("burr").setLevel(logging.ERROR)

    @action(reads=["n"], writes=["n"])
    def step(state: State) -> State:
        return state.update(n=state["n"] + 1)

    @action(reads=["n"], writes=["n"])
    def done(state: State) -> State:
        return state.update(n=state["n"])

    with folder() as place:
        saver = SQLitePersister.from_values(str(place / "burr.db"), connect_kwargs={"check_same_thread": False})
        for sql in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"):
            saver.connection.execute(sql)
        saver.initialize()

        def run(hops, name):
            app = (
                ApplicationBuilder().with_actions(step=step, done=done).with_transitions(
                    ("step", "done", when(n=hops)), ("step", "step"),
                ).with_identifiers(app_id=name).with_state(n=0).with_entrypoint("step").with_state_persister(saver).build()
            )
            return app.run(halt_after=["done"])[2]["n"]

        run(20, "warm")
        with m.timed():
            n = run(m.n, "night")
        m.check(n == m.n)


@entry("journal_hop", "dbos", "steps of a workflow, SQLite", n=300, venv=VENV)
def _(m):
    from dbos import DBOS

    with folder() as place:
        DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{place}/dbos.sqlite", "run_admin_server": False,
                     "log_level": "ERROR"})

        @DBOS.step()
        def step(n):
            return n + 1

        @DBOS.workflow()
        def work(hops):
            n = 0
            while n < hops:
                n = step(n)
            return n

        DBOS.launch()
        work(20)
        with m.timed():
            n = work(m.n)
        m.check(n == m.n)
