"""A journalled run opens like a live one: the same handle, events, store at every step, pictures, forks; also from earlier processes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, Run, ask, emit, node, open_journal, resume, runs
from pocketflex_nb.core.errors import JournalError, RunError
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.state import State, replay
from pocketflex_nb.engine.records import recorded_log
from pocketflex_nb.journal import journal_file, tally
from pocketflex_nb.journal.row_kinds import Kind

#: kinds that a journal does not keep
_LIVE_ONLY = {"node_started", "child_started", "child_finished"}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "runs.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


class Count(Node):
    """Counts up to its limit."""

    def __init__(self, name: str, limit: int = 3) -> None:
        super().__init__()
        self._pfx_id, self.name, self.limit = name, name, limit

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared[self.name] = shared.get(self.name, 0) + 1
        shared.setdefault("log", []).append(self.name)
        emit("log", f"{self.name} is at {shared[self.name]}")
        return "again" if shared[self.name] < self.limit else "enough"


def loop() -> Flow:
    count, last = Count("count"), Count("last", 1)
    count - "again" >> count
    count - "enough" >> last
    return Flow(count, name="loop")


def fork() -> Flow:
    plan, a, b, join = Count("plan", 1), Count("a", 2), Count("b", 1), Count("join", 1)
    plan - "enough" >> [a, b]
    a - "again" >> a
    a - "enough" >> join
    b - "enough" >> join
    return Flow(plan, name="fork")


def nested() -> Flow:
    inner, after = loop(), Count("after", 1)
    inner.name = "inner"
    inner - "enough" >> after
    return Flow(inner, name="nested")


def private() -> Flow:
    inner = Flow(Count("step", 1), name="own", inputs=["seed"], outputs=["step"])
    inner - "enough" >> Count("after", 1)
    return Flow(inner, name="private")


class Items(BatchNode):
    max_concurrency = None

    def prep(self, shared: Any) -> Any:
        return [1, 2, 3]

    def exec(self, item: int) -> int:
        emit("usage", tokens=item, cost=0.5)
        emit("token", f"item {item} ")
        emit("token", "said")
        return item * item

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["squares"] = exec_res
        del shared["seed"]


def batch() -> Flow:
    return Flow(Items(name="items"), name="batch")


def batch_flow() -> Flow:
    class Each(BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"k": 1}, {"k": 2}]

    return Each(Count("each", 2), name="rows")


class Flaky(Node):
    def exec(self, prep_res: Any) -> int:
        if self.cur_retry < 2:
            raise ConnectionError(f"attempt {self.cur_retry}")
        return self.cur_retry


def retried() -> Flow:
    return Flow(Flaky(max_retries=3, name="flaky"), name="retried")


def mended() -> Flow:
    bad = Flaky(name="bad")
    bad.on_error(Count("mend", 1))
    return Flow(bad, name="mended")


def broken() -> Flow:
    first, bad = Count("first", 1), Flaky(name="bad")
    first - "enough" >> bad
    return Flow(first, name="broken")


class Spread(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        return ["read", "read", "write"]


def spread() -> Flow:
    start = Spread(name="start")
    start - "read" >> Count("reader", 9)
    start - "write" >> Count("writer", 9)
    return Flow(start, name="spread")


SHAPES = [loop, fork, nested, private, batch, batch_flow, retried, mended, broken, spread]


def told(events: list[Event]) -> list[tuple[Any, ...]]:
    """What events say, without times."""
    facts = []
    for event in events:
        if event.kind in _LIVE_ONLY:
            continue
        data = {k: v for k, v in event.data.items() if k not in ("start", "seconds", "trace", "version")}
        if event.kind == "store_changed":
            data["changes"] = _net(event["changes"])
        node = "" if event.kind == "store_changed" else event.node  # of what a flow gives to the store around it, a live one names no node
        facts.append((event.kind, event.address, node, repr(sorted(data.items(), key=lambda item: item[0]))))
    return facts


def _net(changes: Any) -> list[tuple[str, str, str, str]]:
    """The changes of one step, one for each key: a journal keeps what the step left."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for change in changes:
        key, old = str(change["key"]), repr(change["old"])
        found[key] = (key, change["op"], found[key][2] if key in found else old, repr(change["new"]))
    return sorted(found.values())


def summary(state: State) -> tuple[Any, ...]:
    """What a state says, without times and numbers of events."""
    nodes = {p: (n.status, n.visits, n.retries, n.action, n.error, n.failures, n.summary) for p, n in state.nodes.items()}
    spans = sorted((s.node, s.address, s.action, s.failed) for s in state.spans)
    return state.status, state.steps, nodes, state.edges, spans, state.tokens, state.cost, state.problems, state.error, state.action


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_reopened_run_tells_what_the_live_one_told(path: Path, shape: Any) -> None:
    live = shape().launch({"seed": 1}, name="night", journal=path).wait(20)
    again = open_journal(path).run(live.name)

    assert type(again) is Run
    assert again is not live
    assert sorted(told(again.events)) == sorted(_joined(told(live.events)))
    assert summary(again.state()) == summary(live.state()) == summary(replay(again.events))
    assert [event.seq for event in again.events] == list(range(len(again.events)))
    assert all(one.ns <= two.ns for one, two in zip(again.events, again.events[1:], strict=False))
    assert (again.name, again.status, again.action, again.hops, again.done()) == (live.name, live.status, live.action, live.hops, True)
    assert dict(again.store) == dict(live.store)
    assert {place: dict(store) for place, store in again.stores.items()} == {place: dict(store) for place, store in live.stores.items()}
    assert again.graph == live.graph
    assert again.usage == live.usage
    assert abs(again.seconds - live.seconds) < 5
    assert again not in runs()


def _joined(facts: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Tokens of one visit as the one text that a journal keeps."""
    texts: dict[str, str] = {}
    kept = []
    for fact in facts:
        if "'stream', 'token'" in fact[3]:
            text = fact[3].split("('text', '")[1].split("')")[0]
            texts[fact[1]] = texts.get(fact[1], "") + text
        else:
            kept.append(fact)
    tokens = [("output", where, "items", f"[('stream', 'token'), ('text', {text!r})]") for where, text in texts.items()]
    return kept + tokens


@pytest.mark.parametrize("every", [1, 2, 2_048])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_long_run_is_told_from_sums_as_from_all_of_its_events(
    path: Path, shape: Any, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "EVERY", every)
    shape().launch({"seed": 1}, name="night", journal=path).wait(20)
    whole = summary(replay(open_journal(path).run("night").events))
    monkeypatch.setattr(recorded_log, "_LONG", 0)
    for tail in (0, 1, 3):
        monkeypatch.setattr(recorded_log, "_TAIL", tail)
        run = open_journal(path).run("night")
        quick = run.state()
        nodes = {p: (n.status, n.visits, n.retries, n.failures) for p, n in quick.nodes.items()}

        assert {p: (s, v, r, f) for p, (s, v, r, _, _, f, _) in whole[2].items()} == nodes
        assert (quick.status, quick.steps, quick.edges, quick.tokens, quick.cost) == (whole[0], whole[1], whole[3], whole[5], whole[6])
        assert quick.seq == len(run.events) - 1, "the last event has its number before the others are read"


def test_the_store_can_be_looked_at_after_each_step(path: Path) -> None:
    live = loop().launch({"seed": 1}, journal=path, name="night").wait(20)
    store = open_journal(path).run("night").store

    assert [store.at(version).get("count") for version in range(store.version + 1)][-1] == live.store["count"]
    assert store.at(0) == {"seed": 1}
    told = [(change.node, change.step, change.new) for change in store.history("count")]
    assert told == [("count", 1, 1), ("count", 2, 2), ("count", 3, 3)]
    assert store.who("last").node == "last"
    assert store.at(store.history("count")[1].version)["log"] in (["count"], ["count", "count"])


def test_an_error_keeps_its_class_its_text_and_the_users_lines(path: Path) -> None:
    broken().launch({}, journal=path, name="night").wait(20)
    run = open_journal(path).run("night")

    assert getattr(run.error, "kind", "") == ":ConnectionError"
    assert str(run.error) == "attempt 0"
    with pytest.raises(type(run.error), match="attempt 0"):  # type: ignore[arg-type]  # it has one
        run.result()
    (event,) = [event for event in run.events if event.kind == "node_failed"]
    assert event.node == "bad"
    assert event["trace"][0].endswith("in exec\n    raise ConnectionError(f\"attempt {self.cur_retry}\")")
    assert "ConnectionError" in repr(run)


def test_a_reopened_run_is_drawn_and_written_like_a_live_one(path: Path, tmp_path: Path) -> None:
    live = fork().launch({}, journal=path, name="night").wait(20)
    run = open_journal(path).run("night")

    assert 'data-state="done"' in run.to_svg()
    assert run.to_svg().count("<g") == live.to_svg().count("<g")
    assert run.to_timeline().startswith("<svg")
    page = run.to_html(tmp_path / "night.html").read_text()
    assert "reopened from runs.sqlite" in page
    assert set(live.to_frame().columns) - {"start"} <= set(run.to_frame().columns) | {"parent"}


def test_a_flow_whose_code_is_not_loaded_is_drawn_and_a_fork_of_it_names_the_mend(path: Path) -> None:
    live = nested().launch({}, journal=path, name="night").wait(20)
    run = open_journal(path).run("night")

    assert run.graph == live.graph
    with pytest.raises(JournalError, match=r"'nested', which is not known here.*open_journal\(\.\.\., flow=\.\.\.\)"):
        run.fork(at=1)

    again = open_journal(path, flow=nested()).run("night").fork(at=2, seed=7).wait(20)
    assert (again.status, again.store["seed"], again.store["count"]) == ("done", 7, 3)
    assert [one.name for one in open_journal(path).runs()] == [live.name, "night-fork"]


def test_a_fork_behind_the_visit_that_failed_makes_that_visit_anew(path: Path) -> None:
    broken().launch({}, journal=path, name="night").wait(20)
    run = open_journal(path, flow=broken()).run("night")
    assert run.hops == 2

    again = run.fork(at=2, swap={"bad": Count("bad", 1)}).wait(20)

    assert (again.status, again.hops) == ("done", 2)
    with pytest.raises(ValueError, match="from 0 to 1"):
        run.fork(at=3)


def test_a_run_that_goes_on_here_is_the_live_one(path: Path) -> None:
    go = threading.Event()

    @node
    def waits(shared: Any) -> None:
        go.wait(20)

    live = Flow(waits, name="waits").launch({}, journal=path, name="night")
    journal = open_journal(path)
    try:
        assert journal.run("night") is live
        assert journal.runs() == [live]
    finally:
        go.set()
    live.wait(20)
    assert open_journal(path).run("night") is not live
    assert open_journal(path).run("night").status == "done"


_KILLED = '''
import os, signal, sys
from pocketflex_nb import Flow, Node, ask
class First(Node):
    def post(self, shared, prep_res, exec_res):
        shared["first"] = 1
class Asks(Node):
    def exec(self, prep_res):
        return ask("Publish it?", choices=["yes", "no"])
    def post(self, shared, prep_res, exec_res):
        shared["answer"] = exec_res
first, asks = First(), Asks()
first >> asks
flow = Flow(first, name="report")
if __name__ == "__main__":
    run = flow.launch({}, name="night", journal=sys.argv[1])
    while run.asking(20) is None: pass
    from pocketflex_nb import open_journal
    while not any(e.kind == "asked" for e in __import__("pocketflex_nb.engine.runs.recorded_run", fromlist=["x"]).RecordedLifecycle(
            run, open_journal(sys.argv[1]).glance("night"), flow, True).log.events()): pass
    os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.fixture
def killed(path: Path, tmp_path: Path) -> Path:
    """A journal whose one run was killed at its question."""
    program = tmp_path / "killed_program.py"
    program.write_text(_KILLED)
    code = subprocess.run([sys.executable, str(program), str(path)], timeout=60, check=False).returncode
    assert code == -signal.SIGKILL
    return path


def _flow(tmp_path: Path) -> Flow:
    spec = importlib.util.spec_from_file_location("killed_program", tmp_path / "killed_program.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["killed_program"] = module  # where its source is looked up
    spec.loader.exec_module(module)
    flow: Flow = module.flow
    return flow


def test_a_run_whose_process_was_killed_is_unfinished_and_says_how_it_goes_on(killed: Path) -> None:
    run = open_journal(killed).run("night")

    assert (run.status, run.done(), run.hops, dict(run.store)) == ("unfinished", True, 1, {"first": 1})
    assert run.state().status == "unfinished"
    assert [event["question"] for event in run.state().asking.values()] == ["Publish it?"]
    assert run.wait() is run
    with pytest.raises(JournalError, match=r"resume\('.*runs\.sqlite', 'night'\) goes on with it"):
        run.result()
    assert 0 < run.seconds < 60


def test_the_same_question_has_its_number_after_a_crash(killed: Path, tmp_path: Path) -> None:
    flow = _flow(tmp_path)
    run = resume(killed, "night", flow=flow)
    question = run.asking(20)

    assert (question.text, question.number) == ("Publish it?", 1)
    run.answer("yes", question=1)
    assert run.wait(20).store["answer"] == "yes"
    again = open_journal(killed).run("night")
    assert again.status == "done"
    assert [event.kind for event in again.events if event.kind in ("asked", "run_resumed", "answered")] == [
        "asked", "run_resumed", "asked", "answered",
    ]
    assert not again.state().asking


def test_an_unfinished_run_can_be_cancelled_and_is_passed_over_then(killed: Path, tmp_path: Path) -> None:
    run = open_journal(killed).run("night")

    assert run.cancel() is True
    assert run.status == run.state().status == "cancelled"
    assert run.cancel() is False
    assert len(resume(killed, flow=_flow(tmp_path))) == 0
    assert open_journal(killed).run("night").status == "cancelled"


def test_runs_are_removed_by_name_unfinished_ones_included(killed: Path) -> None:
    loop().launch({}, journal=killed, name="day").wait(20)
    journal = open_journal(killed)

    with pytest.raises(JournalError, match=r"no run 'nigth'.*'night'"):
        journal.prune(only=["nigth"])
    assert journal.prune(only=["night"]) == 1
    assert [run.name for run in journal.runs()] == ["day"]


def test_what_opens_no_journal_says_why(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_text("notes")
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE t (x)")

    for name, mend in (("run.sqlite", "runs.sqlite"), ("runs.sqlite", "no SQLite file"), ("other.db", "another program"), ("", "folder")):
        with pytest.raises(JournalError, match=mend):
            open_journal(tmp_path / name)


def test_a_damaged_journal_opens_as_far_as_it_is_sound(path: Path) -> None:
    loop().launch({}, journal=path, name="night").wait(20)
    journal_file.opened_file(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE records SET body = replace(body, '\"a\"', '\"b\"') WHERE at = "
                           f"(SELECT min(at) FROM records WHERE kind = {int(Kind.HOP)})")

    run = open_journal(path).run("night")

    assert run.status == "done"
    assert len([event for event in run.events if event.kind == "node_finished"]) == 3


def test_a_journal_of_a_day_long_gone_is_told_at_its_times(path: Path) -> None:
    loop().launch({}, journal=path, name="night").wait(20)
    journal_file.opened_file(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        from pocketflex_nb.journal.file_format import checksum

        (row,) = connection.execute("SELECT id, name, begun, header FROM runs").fetchall()
        row = (*row[:2], 1e9, row[3])
        connection.execute("UPDATE runs SET begun = ?, crc = ?", (1e9, checksum(*row)))

    run = open_journal(path).run("night")

    assert 1e9 <= run.events[0].time <= run.events[-2].time < 1e9 + 60
    assert run.state().spans[0].start < run.state().spans[-1].end
    assert run.seconds > 0


def test_a_reader_never_keeps_the_log_from_being_shortened(path: Path) -> None:
    loop().launch({}, journal=path, name="night").wait(20)
    journal = open_journal(path)
    run = journal.run("night")
    assert run.events

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert path.with_name("runs.sqlite-wal").stat().st_size == 0


def test_an_older_journal_without_pictures_and_times_opens(path: Path) -> None:
    live = nested().launch({}, journal=path, name="night").wait(20)
    journal_file.opened_file(path).close()
    from pocketflex_nb.journal.file_format import checksum

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for at, kind, address, body in connection.execute("SELECT at, kind, address, body FROM records").fetchall():
            data = json.loads(body)
            if kind != Kind.END:
                data.pop("t", None)
            text = json.dumps(data)
            connection.execute("UPDATE records SET body = ?, crc = ? WHERE at = ?", (text, checksum(at, kind, address, text), at))
        connection.execute(f"DELETE FROM records WHERE kind = {int(Kind.NOTED)}")
        (row,) = connection.execute("SELECT id, name, begun, header FROM runs").fetchall()
        header = json.loads(row[3])
        for name in ("graph", "base"):
            del header[name]
        text = json.dumps(header)
        connection.execute("UPDATE runs SET header = ?, crc = ?", (text, checksum(*row[:3], text)))

    run = open_journal(path).run("night")

    assert (run.hops, dict(run.store)) == (live.hops, dict(live.store))
    assert {n.id for n in run.graph.nodes} == {n.id for n in live.graph.nodes}
    assert {(e.source, e.target, e.action) for e in run.graph.edges} == {(e.source, e.target, e.action) for e in live.graph.edges}
    assert run.state().spans[-1].end > run.state().spans[0].end


def test_ask_and_answer_in_one_process_are_told(path: Path) -> None:
    @node
    async def asks(shared: Any) -> None:
        shared["answer"] = await ask("How deep?", schema={"depth": int})

    run = Flow(asks, name="asks").launch({}, journal=path, name="night")
    question = run.asking(20)
    run.answer({"depth": "3"}, question=question)
    run.wait(20)

    events = {event.kind: event for event in open_journal(path).run("night").events}
    assert (events["asked"]["question"], dict(events["asked"]["schema"])) == ("How deep?", {"depth": "int"})
    assert events["answered"]["value"] == {"depth": 3}


def test_a_hundred_runs_are_listed_without_reading_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop().launch_each("seed", range(100), journal=path, name="row").wait(60)
    from pocketflex_nb.journal.history import History

    monkeypatch.setattr(History, "_read", lambda self: pytest.fail("read"))
    began = time.perf_counter()
    found = open_journal(path).runs()

    assert [run.status for run in found] == ["done"] * 100
    assert {run._lifecycle.item for run in found} == {("seed", number) for number in range(100)}
    assert time.perf_counter() - began < 5
    assert os.path.exists(path)


def test_a_run_without_a_journal_says_so_when_it_is_forked() -> None:
    with pytest.raises(RunError, match=r"journal='runs\.sqlite'"):
        loop().launch({}).wait(20).fork(at=1)
