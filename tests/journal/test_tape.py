"""A recorded run is played: the flow's own code, the results of `exec` and the answers from the tape, no call outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, Retry, ask, current, linear, node
from pocketflex_nb.core.errors import JournalError, NotOnTape
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.journal import journal_file
from pocketflex_nb.journal.journal import Journal

CALLS: Counter[str] = Counter()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    CALLS.clear()
    yield tmp_path / "runs.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


def ran(flow: Flow, store: Any, **options: Any) -> Run:
    run: Run = flow.launch(store, **options).wait(20)
    assert run.status == "done", run.error
    return run


class Draw(Node):
    """A call whose result no one could guess."""

    def exec(self, prep_res: Any) -> Any:
        CALLS["draw"] += 1
        return CALLS["draw"]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared.setdefault("drawn", []).append(exec_res)
        return "again" if len(shared["drawn"]) < 3 else "enough"


class Items(BatchNode):
    def prep(self, shared: Any) -> Any:
        return ["a", "b"]

    def exec(self, item: Any) -> Any:
        CALLS[item] += 1
        return f"{item}{CALLS[item]}"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["items"] = exec_res


class Shaky(Node):
    """Fails once."""

    def exec(self, prep_res: Any) -> Any:
        CALLS["shaky"] += 1
        if CALLS["shaky"] == 1:
            raise ConnectionError("once")
        return CALLS["shaky"]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["shaky"] = exec_res


class Fails(Node):
    def exec(self, prep_res: Any) -> Any:
        CALLS["fails"] += 1
        raise ValueError("on purpose")


class Mend(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["error"] = str(current().error)


@node
async def counts(shared: Any) -> str:
    CALLS["function"] += 1
    shared["by function"] = CALLS["function"]
    shared.pop("gone", None)
    return "on"


class Rows(BatchFlow):
    def prep(self, shared: Any) -> Any:
        return [{"row": row} for row in range(2)]


class Row(Node):
    def exec(self, prep_res: Any) -> Any:
        CALLS["row"] += 1
        return CALLS["row"]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared[f"row {self.params['row']}"] = exec_res


class Asks(Node):
    async def exec(self, prep_res: Any) -> Any:
        return [await ask("who?"), await ask("who?")]

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["who"] = [*exec_res, await ask("and in post?")]


def everything() -> Flow:
    """Loops, branches, batches, retries, an error edge, a function node, a flow inside, and questions."""
    draw, fails, mend, shaky, last = Draw(), Fails(), Mend(), Shaky(retry=Retry(2)), Asks()
    draw - "again" >> draw
    draw - "enough" >> [Items(), shaky] >> fails
    fails.on_error(mend)
    step = node(counts._pfx_fn)  # type: ignore[attr-defined]
    mend >> step
    step - "on" >> Rows(Row(), name="rows") >> last
    return Flow(draw, name="everything")


def recorded(path: Path) -> Run:
    run = everything().launch({"gone": 1}, name="night", journal=path)
    for answer in ("Ada", "Bob", "Cy"):
        assert run.asking(10) is not None
        run.answer(answer)
    assert run.wait(20).status == "done", run.error
    return run


@pytest.mark.parametrize("strict", [False, True])
def test_everything_is_taken_from_the_tape(strict: bool, path: Path) -> None:
    first, calls = recorded(path), dict(CALLS)

    second = ran(everything(), {"gone": 1}, tape=f"{path}#night", strict_tape=strict)

    assert dict(CALLS) == calls, "nothing was called"
    assert dict(second.store) == dict(first.store)
    addresses = [[event.address for event in run.events if event.kind == "node_finished"] for run in (first, second)]
    assert addresses[0] == addresses[1]
    taped = [event.node for event in second.events if event.kind == "node_finished" and event.data.get("taped")]
    assert {"Draw", "Items", "Shaky", "rows/Row", "Asks"} <= set(taped)


def test_the_flow_s_own_code_runs_with_the_results_of_the_tape(path: Path) -> None:
    ran(linear(Draw(), name="one"), {"drawn": [0, 0]}, name="night", journal=path)

    class Draw2(Draw):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["twice"] = 2 * exec_res
            return "enough"

    Draw2.__name__ = "Draw"
    other = Flow(Draw2(), name="renamed")
    assert ran(other, {}, tape=f"{path}#night", strict_tape=True).store == {"twice": 2}
    assert CALLS["draw"] == 1


def test_what_the_tape_lacks_is_called_or_refused_with_the_place(path: Path) -> None:
    ran(Flow(Draw(), name="one"), {"drawn": [0, 0]}, name="night", journal=path)
    longer = linear(Draw(), Draw(), name="one")
    longer.start_node.successors["enough"] = longer.start_node.successors.pop("default")

    loose = ran(longer, {"drawn": [0, 0]}, tape=f"{path}#night")
    assert loose.store["drawn"] == [0, 0, 1, 2]
    strict = longer.launch({"drawn": [0, 0]}, tape=f"{path}#night", strict_tape=True).wait(20)

    assert isinstance(strict.error, NotOnTape)
    assert CALLS["draw"] == 2, "the first of both was on the tape"
    assert strict.error.address.startswith("one/Draw") and strict.error.address.endswith("#1")
    for part in (strict.error.address, "runs.sqlite#night", "journal=", "without strict_tape"):
        assert part in str(strict.error)


def test_a_question_that_the_tape_has_no_answer_to_is_asked_or_refused(path: Path) -> None:
    class Silent(Node):
        pass

    class Curious(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["who"] = await ask("who?")

    Curious.__name__ = "Silent"
    ran(Flow(Silent(), name="one"), {}, name="night", journal=path)
    run = Flow(Curious(), name="one").launch({}, tape=f"{path}#night")
    assert run.asking(10) is not None
    run.answer("Ada")
    assert run.wait(20).store["who"] == "Ada"
    strict = Flow(Curious(), name="one").launch({}, tape=f"{path}#night", strict_tape=True).wait(20)
    assert isinstance(strict.error, NotOnTape)
    assert "who?" in str(strict.error)


def test_a_failure_that_ended_at_an_error_edge_is_raised_without_a_call(path: Path) -> None:
    fails, mend = Fails(max_retries=3), Mend()
    fails.on_error(mend)
    flow = Flow(fails, name="edge")
    ran(flow, {}, name="night", journal=path)
    run = ran(flow, {}, tape=f"{path}#night", strict_tape=True)
    assert CALLS["fails"] == 3
    failed = next(event for event in run.events if event.kind == "node_failed")
    assert failed["error"] == "ValueError: on purpose"
    assert run.store["error"] == "on purpose"


def test_a_taped_run_is_itself_recorded_and_played(path: Path) -> None:
    first, calls = recorded(path), dict(CALLS)
    ran(everything(), {"gone": 1}, name="copy", tape=f"{path}#night", journal=path)
    third = ran(everything(), {"gone": 1}, tape=f"{path}#copy", strict_tape=True)
    assert (dict(third.store), dict(CALLS)) == (dict(first.store), calls)
    marked = [row for row in Journal(path).history("copy").rows if row.data.get("taped")]
    assert marked


def test_each_run_of_a_group_plays_the_one_that_began_with_its_store(path: Path) -> None:
    class Look(Node):
        def prep(self, shared: Any) -> Any:
            return shared["topic"]

        def exec(self, topic: Any) -> Any:
            CALLS[topic] += 1
            return f"{topic} {CALLS[topic]}"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["notes"] = exec_res

    flow = Flow(Look(), name="look")
    flow.launch_each("topic", ["a", "b", "c"], journal=path, name="row").wait(20)
    for tape in (path, f"{path}#row"):
        group = flow.launch_each("topic", ["c", "a"], tape=tape, strict_tape=True).wait(20)
        assert [run.store["notes"] for run in group] == ["c 1", "a 1"]
    assert ran(flow, {"topic": "b"}, tape=path, strict_tape=True).store["notes"] == "b 1"
    assert ran(flow, {"topic": "x"}, tape=path, strict_tape=True).store["notes"] == "c 1", "of one run, the latest of its flow"
    with pytest.raises(JournalError, match="began with the same store"):
        flow.launch_each("topic", ["a", "x"], tape=path)


def test_a_tape_that_is_not_there_is_told_with_the_nearest_name(path: Path) -> None:
    ran(Flow(Draw(), name="one"), {"drawn": [0, 0]}, name="night", journal=path)
    for tape, told in ((f"{path}#nigth", "did you mean 'night"), (path.with_name("rums.sqlite"), "did you mean 'runs.sqlite'")):
        with pytest.raises(JournalError, match=told):
            Flow(Draw(), name="one").launch({}, tape=tape)
    with pytest.raises(JournalError, match="has runs of 'one'"):
        Flow(Draw(), name="two").launch({}, tape=path)
