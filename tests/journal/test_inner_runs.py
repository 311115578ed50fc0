"""Runs that steps of a journalled run begin are recorded with it, and go on with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, Store, ask, current, emit, launch, linear, node, resume
from pocketflex_nb.core.errors import RunError
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.journal import journal_file
from pocketflex_nb.journal.journal import Journal

CALLS: Counter[str] = Counter()
KEYS: list[str] = []
DOWN: list[str] = []


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    CALLS.clear()
    KEYS.clear()
    DOWN.clear()
    yield tmp_path / "runs.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


def fails_at(place: str) -> None:
    if place in DOWN:
        raise ConnectionError(place)


class Count(Node):
    """Adds one to `n` at each of three visits; may fail behind its call."""

    def exec(self, prep_res: Any) -> Any:
        CALLS["count"] += 1
        KEYS.append(current().key)
        emit("usage", tokens=10)
        return 1

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        if shared.get("n", 0) == 2:
            fails_at("inside")
        shared["n"] = shared.get("n", 0) + exec_res
        return "again" if shared["n"] < 3 else "enough"


def counting() -> Flow:
    count = Count()
    count - "again" >> count
    count - "enough" >> Node(name="end")
    return Flow(count, name="counting")


class Outer(Node):
    """Begins a run, with a store of its own or the run's, and may fail behind it."""

    def __init__(self, store: str = "own", **options: Any) -> None:
        super().__init__(**options)
        self.store_kind = store

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        store = shared if self.store_kind == "outer" else Store({"given": 1}) if self.store_kind == "store" else {"given": 1}
        run = counting().launch(store)
        await run
        fails_at("behind")
        shared["found"] = run.store["n"], run.store.get("given"), run.action


def again(path: Path, flow: Flow, **options: Any) -> Run:
    run: Run = resume(path, "night", flow=flow, **options).wait(20)
    return run


@pytest.mark.parametrize("store", ["own", "store", "outer"])
@pytest.mark.parametrize("place", ["inside", "behind"])
def test_finished_nodes_inside_are_not_repeated(place: str, store: str, path: Path) -> None:
    flow = linear(Outer(store), name="outer")
    DOWN.append(place)
    first = flow.launch({}, name="night", journal=path).wait(20)
    assert first.status == "failed"
    DOWN.clear()
    run = again(path, flow)

    assert (run.status, CALLS["count"], len(set(KEYS))) == ("done", 3, 3)
    assert run.store["found"] == (3, None if store == "outer" else 1, None)
    assert (run.store.get("n"), run.hops, run.usage.tokens) == (3 if store == "outer" else None, 1, 30)
    assert run.action == first.flow.launch({}).wait(20).action


def test_fork_counts_the_hops_of_the_run_alone(path: Path) -> None:
    flow = linear(Node(name="a"), Outer("outer"), Node(name="b"), name="outer")
    run = flow.launch({}, name="night", journal=path).wait(20)
    assert (run.status, run.hops, Journal(path).history("night").hops) == ("done", 3, 3)
    assert [row.address for row in Journal(path).history("night").rows if row.kind == 1] == ["outer/a#1", "outer/Outer#1", "outer/b#1"]

    CALLS.clear()
    assert run.fork(at=2).wait(20).store["n"] == 3
    assert CALLS["count"] == 0
    assert run.fork(at=1, n=1).wait(20).store["n"] == 3
    assert CALLS["count"] == 2
    with pytest.raises(RunError, match="no journal"):
        run.children[0].fork(at=1)


def test_several_runs_at_once_and_one_after_another_are_told_apart(path: Path) -> None:
    class Many(Node):
        async def exec(self, prep_res: Any) -> Any:
            group = counting().launch_each("n", [0, 1])
            await group
            last = counting().launch({"n": 2})
            await last
            return [run.store["n"] for run in (*group, last)]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["found"] = exec_res
            fails_at("post")

    flow = linear(Many(), name="many")
    DOWN.append("post")
    flow.launch({}, name="night", journal=path).wait(20)
    assert CALLS["count"] == 3 + 2 + 1
    roots = [row.address for row in Journal(path).history("night").every if row.address.count("/") == 2]
    assert {root.rpartition("/")[2] for root in roots} == {"~>counting#1", "~>counting#2", "~>counting#3"}
    DOWN.clear()
    assert again(path, flow).store["found"] == [3, 3, 3]
    assert CALLS["count"] == 6


def test_a_store_that_several_inner_runs_share_is_kept_once(path: Path) -> None:
    class Add(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            CALLS["add"] += 1
            shared.increment("n")

    class Both(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            common = Store({"n": 0})
            await launch([linear(Add(), name="a"), linear(Add(), name="b")], share=common)
            await linear(Add(), name="a").launch(common)
            fails_at("behind")
            shared["n"] = common["n"]

    flow = linear(Both(), name="both")
    DOWN.append("behind")
    flow.launch({}, name="night", journal=path).wait(20)
    DOWN.clear()
    assert (again(path, flow).store["n"], CALLS["add"]) == (3, 3)


@pytest.mark.parametrize("how", ["run", "run_async"])
def test_what_a_plain_run_inside_changes_is_recorded_with_its_step(how: str, path: Path) -> None:
    @node
    def one(shared: Any) -> None:
        shared["one"] = CALLS["one"] = CALLS["one"] + 1

    @node
    def two(shared: Any) -> None:
        shared["list"].append(2)
        shared["list 2"] = [2]

    inner = linear(one, two, name="inner")

    class Sync(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            inner.run(shared)

    class Awaited(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            await inner.run_async(shared)

    class Ends(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            fails_at("end")

    flow = linear(Sync() if how == "run" else Awaited(), Ends(), name="outer")
    DOWN.append("end")
    first = flow.launch({"list": []}, name="night", journal=path).wait(20)
    assert Journal(path).history("night").content() == dict(first.store) == {"list": [2], "one": 1, "list 2": [2]}
    DOWN.clear()
    assert dict(again(path, flow).store) == dict(first.store)
    assert CALLS["one"] == 1


def test_items_questions_and_attempts_inside_are_known(path: Path) -> None:
    class Asks(Node):
        async def exec(self, prep_res: Any) -> Any:
            return await ask("who?")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["who"] = exec_res

    class Items(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2, 3]

        def exec(self, item: Any) -> Any:
            if item == 3:
                fails_at("item")
            CALLS[str(item)] += 1
            return item

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["items"] = exec_res

    class Begins(Node):
        async def exec(self, prep_res: Any) -> Any:
            run = linear(Asks(), Items(), name="inner").launch({})
            await run
            return dict(run.store)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared.update(exec_res)

    flow = linear(Begins(), name="outer")
    DOWN.append("item")
    first = flow.launch({}, name="night", journal=path)
    assert first.asking(10) is not None
    first.answer("Ada")
    assert first.wait(20).status == "failed"
    DOWN.clear()
    assert dict(again(path, flow).store) == {"who": "Ada", "items": [1, 2, 3]}
    assert CALLS == {"1": 1, "2": 1, "3": 1}


def test_a_run_inside_of_one_inside_is_known_too(path: Path) -> None:
    class Middle(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            run = linear(Outer(), name="middle").launch({})
            await run
            shared["found"] = run.store["found"]

    flow = linear(Middle(), name="top")
    DOWN.append("inside")
    flow.launch({}, name="night", journal=path).wait(20)
    DOWN.clear()
    assert again(path, flow).store["found"] == (3, 1, None)
    assert (CALLS["count"], len(set(KEYS))) == (3, 3)


def test_a_store_inside_that_cannot_be_kept_is_told_and_its_run_begins_again(path: Path) -> None:
    class Begins(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            run = counting().launch({"client": object()})
            await run
            kept = counting().launch(Store({"client": object()}, transient={"client"}))
            await kept
            fails_at("behind")
            shared["n"] = run.store["n"] + kept.store["n"]

    flow = linear(Begins(), name="outer")
    DOWN.append("behind")
    first = flow.launch({}, name="night", journal=path).wait(20)
    told = [event["text"] for event in first.events if event.kind == "output" and "inside is not recorded" in event["text"]]
    assert len(told) == 1
    assert "client" in told[0]
    DOWN.clear()
    assert again(path, flow).store["n"] == 6
    assert CALLS["count"] == 3 + 3 + 3


def test_a_detached_run_is_no_part_of_it(path: Path) -> None:
    class Begins(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            await counting().launch({}, detached=True, journal=path, name="apart")

    flow = linear(Begins(), name="outer")
    flow.launch({}, name="night", journal=path).wait(20)
    assert [history.name.partition("-")[0] for history in Journal(path).histories()] == ["night", "apart"]
    assert all("~>" not in row.address for history in Journal(path).histories() for row in history.every)


def test_detached_branches_go_on(path: Path) -> None:
    """A branch that is started and not waited for is a part of its run."""
    from pocketflex_nb.core.mermaid.builder import build
    from pocketflex_nb.core.mermaid.parser import parse

    @node
    async def side(shared: Any) -> None:
        CALLS["side"] += 1
        shared["side"] = 1

    @node
    async def main(shared: Any) -> None:
        while "side" not in shared:
            await asyncio.sleep(0)

    @node
    def last(shared: Any) -> None:
        fails_at("last")

    @node
    def first(shared: Any) -> None: ...

    names = {"first": first, "side": side, "main": main, "last": last}
    flow = build(parse("flowchart LR\n first --> main\n first ==> side\n main --> last"), names)
    DOWN.append("last")
    flow.launch({}, name="night", journal=path).wait(20)
    DOWN.clear()
    run = again(path, flow)
    assert (run.status, run.store["side"], CALLS["side"]) == ("done", 1, 1)
