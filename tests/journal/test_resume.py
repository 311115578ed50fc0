"""Runs go on where their process ended: nothing recorded is done again, nothing recorded is lost."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, Store, current, emit, launch, open_store, resume
from pocketflex_nb.core.errors import BudgetSpent, EncodingError, JournalError, RunError, RunHeld
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.journal import journal_file
from pocketflex_nb.journal.journal import Journal
from tests.journal.kills import Outcome, undisturbed, walked

CALLS: list[Any] = []
DOWN: list[bool] = []


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    CALLS.clear()
    DOWN[:] = [True]
    yield tmp_path / "runs.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


class Step(Node):
    """Counts up; fails once behind its call at 3."""

    def prep(self, shared: Any) -> Any:
        return shared["n"]

    def exec(self, n: Any) -> Any:
        CALLS.append((current().address, current().key))
        emit("usage", tokens=10, cost=0.5)
        return {"n": n + 1}

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["n"] = exec_res["n"]
        if shared["n"] == 3 and DOWN:
            raise ConnectionError("the network is down")
        return "again" if shared["n"] < 6 else "enough"


def stepping() -> Flow:
    step = Step()
    step - "again" >> step
    step - "enough" >> Node(name="last")
    return Flow(step, name="steps")


def failed(path: Path, store: Any = None, **options: Any) -> Run:
    run: Run = stepping().launch({"n": 0} if store is None else store, name="night", journal=path, **options).wait(20)
    assert run.status == "failed", run.error
    DOWN.clear()
    return run


@pytest.mark.parametrize("durability", ["node", "power", "batch"])
def test_a_run_goes_on_behind_the_call_that_was_paid(path: Path, durability: str) -> None:
    first = failed(path, durability=durability)
    run = resume(path, "night", flow=stepping(), durability=durability).wait(20)

    assert (run.status, run.store["n"], run.hops) == ("done", 6, 7)
    assert [address for address, _ in CALLS] == [f"steps/Step#{n}" for n in range(1, 7)]
    assert len({key for _, key in CALLS}) == 6
    assert [event.address for event in run.events if event.kind == "node_finished"][:2] == [
        event.address for event in first.events if event.kind == "node_finished"
    ]
    assert Journal(path).history("night").status == "done"
    assert Journal(path).history("night").content() == {"n": 6}


def test_a_run_without_a_journal_counts_no_visits_and_records_nothing() -> None:
    DOWN.clear()
    run = stepping().launch({"n": 0}).wait(20)

    life = lifecycle_of(run)
    assert (run.status, life.recording, life.root.visits) == ("done", None, None)


def test_all_unfinished_runs_go_on_and_those_that_ended_do_not(path: Path) -> None:
    group = stepping().launch_each("n", [0, 4, 5], journal=path, name="row").wait(20)
    assert sorted(run.status for run in group) == ["done", "done", "failed"]

    assert len(resume(path, flow=stepping())) == 0, "one that failed is over; it is resumed by its name"
    DOWN.clear()
    name = next(run.name for run in group if run.status == "failed")
    assert resume(path, name, flow=stepping()).wait(20).status == "done"


def test_spent_budgets_count(path: Path) -> None:
    failed(path, budget={"tokens": 45})
    run = resume(path, "night", flow=stepping()).wait(20)

    assert isinstance(run.error, BudgetSpent)
    assert len(CALLS) == 5
    assert run.usage.tokens == 50


def test_transient_keys_are_kept_out_and_provided_again(path: Path) -> None:
    failed(path, Store({"n": 0, "client": object()}, transient={"client"}))

    with pytest.raises(JournalError, match=r"provide=\{'client'"):
        resume(path, "night", flow=stepping())
    run = resume(path, "night", flow=stepping(), provide={"client": 7}).wait(20)

    assert (run.status, run.store["client"]) == ("done", 7)
    assert "client" not in Journal(path).history("night").content()


def test_a_value_that_cannot_be_kept_fails_at_the_write_with_the_mend(path: Path) -> None:
    class Bad(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["notes"] = {"deep": [object()]}

    with pytest.raises(EncodingError, match="client"):
        launch(Flow(Bad()), {"client": object()}, journal=path)
    run = Flow(Bad()).launch({}, journal=path).wait(20)

    assert isinstance(run.error, EncodingError)
    assert "notes.deep[0]" in str(run.error)
    assert "transient" in str(run.error)


def test_a_result_that_cannot_be_kept_is_told_once_and_its_call_is_made_again(path: Path) -> None:
    class Odd(Node):
        def exec(self, prep_res: Any) -> Any:
            CALLS.append(1)
            return object()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if DOWN:
                raise ConnectionError

    flow = Flow(Odd(), name="odd")
    run = flow.launch({}, name="odd", journal=path).wait(20)
    assert sum("cannot be kept" in str(event.data.get("text")) for event in run.events) == 1
    DOWN.clear()

    assert resume(path, "odd", flow=flow).wait(20).status == "done"
    assert len(CALLS) == 2


def test_finished_items_are_not_repeated(path: Path) -> None:
    class Items(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2, 3, 4]

        def exec(self, item: Any) -> Any:
            if item == 3 and DOWN:
                raise ConnectionError
            CALLS.append(item)
            return item * 10

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["tens"] = exec_res

    flow = Flow(Items(), name="items")
    assert flow.launch({}, name="items", journal=path).wait(20).status == "failed"
    DOWN.clear()
    run = resume(path, "items", flow=flow).wait(20)

    assert (run.store["tens"], CALLS) == ([10, 20, 30, 40], [1, 2, 3, 4])


# forks ----------------------------------------------------------------------------------------------------------------
def test_a_fork_begins_at_a_hop_with_other_values_and_the_original_stays(path: Path) -> None:
    DOWN.clear()
    run = stepping().launch({"n": 0, "topic": "tides"}, name="night", journal=path).wait(20)
    before, paid = dict(run.store), len(CALLS)

    other = run.fork(at=4, topic="moons").wait(20)

    assert (other.status, dict(other.store), other.hops) == ("done", {"n": 6, "topic": "moons"}, run.hops)
    assert len(CALLS) == paid + 2
    assert dict(run.store) == before
    history = Journal(path).history("night-fork")
    assert history.header["origin"] == {"run": 1, "name": run.name, "at": 4}
    assert Journal(path).history(1).content() == before
    assert {key for _, key in CALLS[paid:]}.isdisjoint({key for _, key in CALLS[:paid]}), "calls of another run"


def test_a_fork_swaps_a_node_before_its_last_visit(path: Path) -> None:
    DOWN.clear()

    class Leap(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["n"] += 100
            return "enough"

    run = stepping().launch({"n": 0}, name="night", journal=path).wait(20)
    other = run.fork(before="Step", swap={"Step": Leap()}, name="leap").wait(20)

    assert (other.store["n"], run.store["n"]) == (105, 6)
    assert [event.node for event in other.events if event.kind == "node_finished"] == ["Step"] * 6 + ["last"]
    assert other.fork(at=0, n=50).wait(20).store["n"] == 150
    assert run.fork(at=run.hops).wait(20).store["n"] == 6


def test_a_fork_that_cannot_be_is_refused(path: Path) -> None:
    DOWN.clear()
    run = stepping().launch({"n": 0}, name="night", journal=path).wait(20)

    for arguments, error, told in (
        ({"at": 99}, ValueError, "0 to 7"),
        ({"at": -1}, ValueError, "0 to 7"),
        ({"before": "Stop"}, ValueError, "did you mean 'Step'"),
        ({}, TypeError, "at="),
        ({"at": 1, "before": "Step"}, TypeError, "not both"),
        ({"at": 1, "swap": {"Stop": Node()}}, ValueError, "did you mean 'Step'"),
        ({"at": 1, "swap": {"Step": 7}}, TypeError, "a node for a node"),
        ({"at": 1, "n": object()}, EncodingError, "n cannot be kept"),
    ):
        with pytest.raises(error, match=told):
            run.fork(**arguments)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="journal="):
        stepping().launch({"n": 5}).wait(20).fork(at=1)
    assert len(Journal(path).numbers()) == 1


def test_a_plain_store_that_runs_share_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="open_store"):
        launch([stepping(), stepping()], share={"n": 0}, journal=path)
    assert not path.exists() or Journal(path).numbers() == []


# code that changed ----------------------------------------------------------------------------------------------------
def test_changed_code_is_told_once_or_refused(path: Path) -> None:
    failed(path)

    class Step(Node):
        def prep(self, shared: Any) -> Any:
            return shared["n"]

        def exec(self, n: Any) -> Any:
            return {"n": n + 2}

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["n"] = exec_res["n"]
            return "again" if shared["n"] < 6 else "enough"

    step = Step()
    step - "again" >> step
    step - "enough" >> Node(name="last")

    with pytest.raises(JournalError, match=r"changed since: Step"):
        resume(path, "night", flow=Flow(step, name="steps"), strict=True)
    with pytest.warns(UserWarning, match="other code than it began with: Step"):
        run = resume(path, "night", flow=Flow(step, name="steps"))
    assert run.wait(20).store["n"] == 7


def test_a_node_that_is_gone_is_told_with_both_wirings(path: Path) -> None:
    failed(path)

    with pytest.raises(JournalError, match=r"visited 'Step'.*Step -again> Step.*now:"):
        resume(path, "night", flow=Flow(Node(name="other"), name="steps"))


def test_a_flow_that_is_not_known_is_told_with_the_nearest_name(path: Path) -> None:
    failed(path)

    with pytest.raises(JournalError, match="did you mean 'step'"):
        resume(path, "night", flow={"step": stepping()})
    with pytest.raises(JournalError, match="give it"):
        resume(path, "night")


def test_flows_of_the_notebook_are_found_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    failed(path)
    monkeypatch.setattr(sys.modules["__main__"], "my_flow", stepping(), raising=False)

    assert resume(path, "night").wait(20).status == "done"


def test_what_cannot_go_on_is_refused(path: Path) -> None:
    failed(path)
    resume(path, "night", flow=stepping()).wait(20)

    with pytest.raises(JournalError, match="it is done"):
        resume(path, "night", flow=stepping())
    with pytest.raises(JournalError, match="did you mean 'night"):
        resume(path, "nigth", flow=stepping())
    with pytest.raises(JournalError, match="no journal"):
        resume(path.with_name("none.sqlite"))
    with pytest.raises(ValueError, match="did you mean 'power'"):
        stepping().launch({"n": 0}, journal=path, durability="powr")


def test_a_run_that_goes_on_here_is_not_resumed_beside_itself(path: Path) -> None:
    class Waits(Node):
        async def exec(self, prep_res: Any) -> Any:
            import asyncio

            await asyncio.sleep(60)

    flow = Flow(Waits(), name="waits")
    run = flow.launch({}, name="waits", journal=path)

    with pytest.raises(RunHeld):
        resume(path, "waits", flow=flow)
    assert len(resume(path, flow=flow)) == 0
    run.cancel()
    run.wait(20)
    journal_file.opened_file(path).flush()
    assert Journal(path).history("waits").status == "cancelled"


def test_a_run_that_is_cancelled_before_it_begins_is_not_resumed(path: Path) -> None:
    class Waits(Node):
        async def exec(self, prep_res: Any) -> Any:
            import asyncio

            await asyncio.sleep(60)

    group = Flow(Waits(), name="waits").launch_each("n", [1, 2], max_concurrency=1, journal=path)
    group.cancel()
    group.wait(20)
    journal_file.opened_file(path).flush()

    assert [history.status for history in Journal(path).histories()] == ["cancelled", "cancelled"]
    assert len(resume(path, flow=Flow(Waits(), name="waits"))) == 0


def test_a_group_of_which_one_cannot_be_kept_begins_none(path: Path) -> None:
    with pytest.raises(EncodingError):
        launch([(stepping(), {"n": 0}), (stepping(), {"n": object()})], journal=path)
    journal_file.opened_file(path).flush()

    assert [history.status for history in Journal(path).histories()] == ["cancelled"]
    assert CALLS == []


@pytest.mark.parametrize("batch", [False, True])
def test_a_flow_s_own_prep_happens_once(batch: bool, path: Path) -> None:
    class Inner(BatchFlow if batch else Flow):  # type: ignore[misc]
        def prep(self, shared: Any) -> Any:
            shared["begun"] += 1
            return [{"item": shared["begun"]}, {"item": 2}] if batch else shared["begun"]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["ended"] = prep_res
            if DOWN:
                raise ConnectionError

    class Work(Node):
        def exec(self, prep_res: Any) -> Any:
            CALLS.append(1)
            return 1

    inner = Inner(Work(), name="inner")
    start = Node(name="start")
    start >> inner
    for flow, name in ((Flow(start, name="outer"), "nested"), (inner, "alone")):
        CALLS.clear()
        DOWN[:] = [True]
        assert flow.launch({"begun": 0}, name=name, journal=path).wait(20).status == "failed"
        DOWN.clear()

        run = resume(path, name, flow=flow).wait(20)

        assert (run.status, run.store["begun"], len(CALLS)) == ("done", 1, 2 if batch else 1)
        assert run.store["ended"] == ([{"item": 1}, {"item": 2}] if batch else 1)


def test_a_run_on_a_shared_store_goes_on_there(path: Path) -> None:
    with open_store(f"sqlite:///{path.parent}/store.db") as store:
        store["n"] = 0
        failed(path, store)
        assert Journal(path).history("night").content() == {}

        run = resume(path, "night", flow=stepping()).wait(20)

        assert (run.status, store["n"]) == ("done", 6)
        run.store.close()


def test_an_error_edge_gets_the_recorded_error(path: Path) -> None:
    class Fails(Node):
        def exec(self, prep_res: Any) -> Any:
            CALLS.append(1)
            raise ValueError("on purpose")

    class Mend(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["error"] = str(current().error)
            if DOWN:
                raise ConnectionError

    fails, mend = Fails(), Mend()
    fails.on_error(mend)
    flow = Flow(fails, name="edge")
    assert flow.launch({}, name="edge", journal=path).wait(20).status == "failed"
    DOWN.clear()

    run = resume(path, "edge", flow=flow).wait(20)

    assert (run.status, len(CALLS)) == ("done", 1)
    assert run.store["error"] == "on purpose", "as without a crash"
    failed_node = next(event for event in run.events if event.kind == "node_failed")
    assert failed_node["error"] == "ValueError: on purpose"


# killed ---------------------------------------------------------------------------------------------------------------
def check(outcome: Outcome, whole: Outcome) -> None:
    """Nothing recorded was done again, nothing was lost."""
    assert outcome.repeated == []
    assert _sorted(outcome.done) == _sorted(whole.done)
    assert set(map(len, outcome.keys)) == {32}
    assert len(set(outcome.keys)) == len(set(whole.keys)), "a call has one key, however often it was begun"


def _sorted(done: dict[str, Any]) -> Any:
    """Branches write in whatever order they come."""
    store = dict(done["store"])
    return {**store, "log": sorted(map(json.dumps, store.get("log", []))), "hops": done["hops"]}


@pytest.mark.parametrize("shape", ["fork", "private", "parallel batch", "batch flow", "asks", "launches"])  # all of them: tests/stress
def test_a_killed_run_goes_on(shape: str, tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()

    check(walked(tmp_path / "killed", shape, "node", kills=1, seed=len(shape)), undisturbed(tmp_path / "whole", shape))


@pytest.mark.parametrize("point", [3, 4, 9])
def test_a_run_killed_around_a_write_goes_on(point: int, tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()

    check(walked(tmp_path / "killed", "private", "node", points=[point]), undisturbed(tmp_path / "whole", "private"))


def test_warnings_of_a_resume_are_no_errors_of_the_engine(path: Path) -> None:
    failed(path)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resume(path, "night", flow=stepping()).wait(20).status == "done"


# what the store was -------------------------------------------------------------------------------------------------
def longer(old: Any, new: Any) -> Any:
    """A merge rule that a name leads to."""
    return max(old, new, key=len)


def test_merge_rules_and_the_policy_of_a_store_are_kept(path: Path) -> None:
    import operator

    failed(path, Store({"n": 0}, merge={"notes": operator.add, "text": longer}, on_conflict="raise", history=50))
    run = resume(path, "night", flow=stepping()).wait(20)

    options = run.store._options()
    assert options["merge"] == {"notes": operator.add, "text": longer}
    assert (options["on_conflict"], options["history"]) == ("raise", 50)


def test_a_merge_rule_that_no_name_leads_to_is_asked_for(path: Path) -> None:
    rule = lambda old, new: new  # noqa: E731 - no name leads to it
    failed(path, Store({"n": 0, "client": object()}, merge={"notes": rule}, transient={"client"}))

    with pytest.raises(JournalError, match=r"merges 'notes'.*provide=Store\(merge="):
        resume(path, "night", flow=stepping(), provide={"client": 1})
    run = resume(path, "night", flow=stepping(), provide=Store({"client": 1}, merge={"notes": rule})).wait(20)
    assert (run.status, run.store._options()["merge"], run.store["client"]) == ("done", {"notes": rule}, 1)
    assert run.fork(at=2).wait(20).store._options()["merge"] == {"notes": rule}


def test_the_node_that_was_next_and_is_gone_is_told_with_both_wirings(path: Path) -> None:
    class Ends(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            raise ConnectionError

    first, ends = Node(name="first"), Ends(name="write")
    first >> ends
    Flow(first, name="two").launch({}, name="night", journal=path).wait(20)
    other = Node(name="first")
    other >> Node(name="publish")

    with pytest.raises(JournalError, match=r"about to visit 'write'.*then: first -default> write. now: first -default> publish"):
        resume(path, "night", flow=Flow(other, name="two"))


def test_the_handler_of_an_error_that_is_gone_is_told(path: Path) -> None:
    class Fails(Node):
        def exec(self, prep_res: Any) -> Any:
            raise ValueError

    class Mends(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            raise ConnectionError

    fails = Fails(name="fails")
    fails.on_error(Mends(name="mend"))
    Flow(fails, name="edge").launch({}, name="night", journal=path).wait(20)
    with pytest.raises(JournalError, match="about to visit 'mend'"):
        resume(path, "night", flow=Flow(Fails(name="fails"), name="edge"))


def test_code_of_several_runs_that_changed_is_told_once(path: Path) -> None:
    group = stepping().launch_each("n", [0, 1], journal=path, name="row").wait(20)
    names = [run.name for run in group]

    class Step(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            return "enough"

    step = Step()
    step - "again" >> step
    step - "enough" >> Node(name="last")
    file = journal_file.opened_file(path)
    file.flush()
    with file.transaction() as do:
        do("DELETE FROM records WHERE kind = 8")  # as a crash leaves them
    with pytest.warns(UserWarning, match="other code") as told:
        resume(path, flow=Flow(step, name="steps")).wait(20)
    assert len(told) == 1
    assert all(name in str(told[0].message) for name in (*names, "go on with other code", "Step"))


def test_the_cache_goes_with_the_run(path: Path) -> None:
    class Look(Node):
        def exec(self, prep_res: Any) -> Any:
            CALLS.append(("look", "key"))
            return 1

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if DOWN:
                raise ConnectionError

    class First(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if DOWN:
                raise ConnectionError

    first = First()
    first >> Look()
    flow = Flow(first, name="cached")
    cache = path.with_name("cache.sqlite")
    DOWN.clear()
    flow.launch({}, cache=cache).wait(20)
    DOWN[:] = [True]
    flow.launch({}, name="night", journal=path, cache=cache).wait(20)
    DOWN.clear()
    assert resume(path, "night", flow=flow).wait(20).status == "done"
    assert len(CALLS) == 1
