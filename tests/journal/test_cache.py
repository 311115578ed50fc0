"""Results of unchanged nodes are taken from a file: only `exec` is skipped, and only where nothing it depends on has changed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, Retry, Store, ask, emit, launch, linear, node, replay, resume
from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.engine.runs.run import Run
from pocketflex_nb.journal import journal_file
from pocketflex_nb.journal.journal import Journal
from pocketflex_nb.pocketflow import AsyncBatchNode, AsyncFlow, AsyncNode

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


def lines(run: Run) -> list[str]:
    return [event["text"] for event in run.events if event.kind == "output" and event["stream"] == "log"]


def finished(run: Run, node: str) -> list[bool]:
    """Of each visit of a node whether it is marked as cached."""
    return [bool(event.data.get("cached")) for event in run.events if event.kind == "node_finished" and event.node == node]


class Research(Node):
    """Looks one topic up."""

    def __init__(self, depth: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.depth = depth

    def prep(self, shared: Any) -> Any:
        CALLS["prep"] += 1
        return shared["topic"]

    def exec(self, topic: Any) -> Any:
        CALLS["exec"] += 1
        return {"found": f"{topic} at {self.depth}", "where": ("library", 3)}

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        CALLS["post"] += 1
        shared["notes"] = exec_res


def test_a_writer_is_improved_five_times_while_the_researchers_are_called_once(path: Path) -> None:
    class Ask(Research):
        async def exec(self, topic: Any) -> Any:
            CALLS["research"] += 1
            await asyncio.sleep(0)
            return f"notes on {topic}"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared[f"notes {self.depth}"] = exec_res

    def report(style: int) -> Flow:
        class Write(Node):
            def prep(self, shared: Any) -> Any:
                return [shared[f"notes {n}"] for n in range(3)]

            def exec(self, notes: Any) -> Any:
                CALLS["write"] += 1
                return f"style {style}: {'; '.join(notes)}"

            def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
                shared["text"] = exec_res

        start = Node(name="start")
        start >> [Ask(n) for n in range(3)] >> Write()
        return Flow(start, name="report")

    texts, research = [], []
    for style in range(5):
        run = ran(report(style), {"topic": "tides"}, cache=path)
        texts.append(run.store["text"])
        research.append(CALLS.pop("research", 0))

    assert research == [3, 0, 0, 0, 0]
    assert CALLS["write"] == 5
    assert texts == [f"style {style}: {'; '.join(['notes on tides'] * 3)}" for style in range(5)]


def test_only_exec_is_skipped_and_the_step_is_marked(path: Path) -> None:
    flow = Flow(Research(), name="look")
    first = ran(flow, {"topic": "tides"}, cache=path)
    second = ran(flow, {"topic": "tides"}, cache=str(path))
    other = ran(flow, {"topic": "moons"}, cache=path)

    assert CALLS == {"prep": 3, "exec": 2, "post": 3}
    assert first.store["notes"] == second.store["notes"] == {"found": "tides at 1", "where": ("library", 3)}
    assert other.store["notes"]["found"] == "moons at 1"
    assert [finished(run, "Research") for run in (first, second, other)] == [[False], [True], [False]]
    assert [replay(run.events).nodes["Research"].status for run in (first, second)] == ["done", "cached"]


def test_what_a_node_holds_and_its_code_count_and_how_it_is_tried_does_not(path: Path) -> None:
    class Deeper(Research):
        """Another class with the same exec."""

    for kind, calls in ((Research(), 1), (Research(2), 2), (Research(), 2), (Research(max_retries=3, wait=0.1), 2), (Deeper(), 3)):
        ran(Flow(kind), {"topic": "tides"}, cache=path)
        assert CALLS["exec"] == calls


def test_params_count(path: Path) -> None:
    class Page(Node):
        def exec(self, prep_res: Any) -> Any:
            CALLS["exec"] += 1
            return self.params.get("page")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["page"] = exec_res

    for page in (1, 2, 1):
        page_node = Page()
        flow = Flow(page_node)
        flow.set_params({"page": page})
        assert ran(flow, {}, cache=path).store["page"] == page
    assert CALLS["exec"] == 2


def test_texts_and_numbers_around_the_code_count_and_counters_do_not(path: Path) -> None:
    def worker(tone: str) -> Node:
        seen = 0

        class Work(Node):
            made = 0

            def exec(self, prep_res: Any) -> Any:
                nonlocal seen
                seen += 1
                Work.made += 1
                CALLS[tone] += 1
                return tone

        return Work()

    calm = worker("calm")
    for work in (calm, worker("bold"), calm, worker("calm"), worker("bold")):
        ran(Flow(work), {}, cache=path)
    assert CALLS == {"calm": 1, "bold": 1}


def test_items_are_cached_one_by_one(path: Path) -> None:
    class Squares(BatchNode):
        def prep(self, shared: Any) -> Any:
            return shared["items"]

        def exec(self, item: Any) -> Any:
            CALLS[str(item)] += 1
            return item * item

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["squares"] = exec_res

    for limit in (1, None):
        CALLS.clear()
        file = path.with_name(f"{limit}.sqlite")
        flow = Flow(Squares(max_concurrency=limit), name="squares")
        runs = [ran(flow, {"items": items}, cache=file) for items in ([1, 2, 3], [3, 4, 1], [4, 3], [])]

        assert [run.store["squares"] for run in runs] == [[1, 4, 9], [9, 16, 1], [16, 9], []]
        assert CALLS == {"1": 1, "2": 1, "3": 1, "4": 1}
        assert [finished(run, "Squares") for run in runs] == [[False], [False], [True], [False]]


def test_the_star_async_spelling_is_cached(path: Path) -> None:
    class Shout(AsyncNode):
        async def prep_async(self, shared: Any) -> Any:
            return shared["text"]

        async def exec_async(self, text: Any) -> Any:
            CALLS["exec"] += 1
            return text.upper()

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["said"] = exec_res

    class Each(AsyncBatchNode):
        async def prep_async(self, shared: Any) -> Any:
            return [1, 2]

        async def exec_async(self, item: Any) -> Any:
            CALLS["item"] += 1
            return item

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["items"] = exec_res

    shout = Shout()
    shout >> Each()
    for _ in range(2):
        assert dict(ran(AsyncFlow(shout), {"text": "hi"}, cache=path).store) == {"text": "hi", "said": "HI", "items": [1, 2]}
    assert CALLS == {"exec": 1, "item": 2}


def test_equal_calls_that_go_on_at_once_are_made_once(path: Path) -> None:
    class Slow(Research):
        async def exec(self, topic: Any) -> Any:
            CALLS["exec"] += 1
            await asyncio.sleep(0.05)
            return [topic]

    group = Flow(Slow(), name="slow").launch_each("topic", ["a", "a", "b", "a", "b"], cache=path).wait(20)

    assert [run.store["notes"] for run in group] == [["a"], ["a"], ["b"], ["a"], ["b"]]
    assert CALLS["exec"] == 2
    assert len({id(run.store["notes"]) for run in group}) == 5, "no two runs hold one object"


def test_when_the_one_that_calls_is_cancelled_another_calls(path: Path) -> None:
    gate: list[Any] = []

    class Slow(Research):
        async def exec(self, topic: Any) -> Any:
            CALLS["exec"] += 1
            if CALLS["exec"] == 1:
                gate.append(asyncio.get_running_loop())
                await asyncio.sleep(60)
            return topic

    flow = Flow(Slow(), name="slow")
    first = flow.launch({"topic": "a"}, cache=path)
    while not gate:
        pass
    second = flow.launch({"topic": "a"}, cache=path)
    first.cancel()

    assert second.wait(20).store["notes"] == "a"
    assert CALLS["exec"] == 2


def test_a_run_inside_of_the_same_call_does_not_wait_for_it(path: Path) -> None:
    class Deep(Research):
        async def exec(self, topic: Any) -> Any:
            CALLS["exec"] += 1
            if CALLS["exec"] == 1:
                await Flow(Deep()).launch({"topic": topic}, cache=path)
            return topic

    assert ran(Flow(Deep()), {"topic": "a"}, cache=path).store["notes"] == "a"
    assert CALLS["exec"] == 2


def test_runs_that_steps_begin_use_the_cache_of_the_run_around(path: Path) -> None:
    class Outer(Node):
        async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            inner = Flow(Research(), name="inner").launch({"topic": "a"})
            await inner
            shared["notes"] = inner.store["notes"]

    for _ in range(2):
        ran(Flow(Outer()), {}, cache=path)
    assert CALLS["exec"] == 1


# what is not cached -------------------------------------------------------------------------------------------------
def test_errors_and_fallbacks_are_not_cached_and_a_result_after_a_retry_is(path: Path) -> None:
    class Shaky(Research):
        fails = 2

        def exec(self, topic: Any) -> Any:
            CALLS["exec"] += 1
            if CALLS["exec"] <= self.limit:
                raise ConnectionError
            return topic

        @property
        def limit(self) -> int:
            return CALLS["fails"]

    class Soft(Shaky):
        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return "nothing"

    CALLS["fails"] = 1
    assert Flow(Shaky()).launch({"topic": "a"}, cache=path).wait(20).status == "failed"
    ran(Flow(Shaky()), {"topic": "a"}, cache=path)
    assert CALLS["exec"] == 2, "the error was not kept"

    CALLS.update(exec=-CALLS["exec"])
    assert ran(Flow(Soft()), {"topic": "a"}, cache=path).store["notes"] == "nothing"
    assert ran(Flow(Soft()), {"topic": "a"}, cache=path).store["notes"] == "a"

    CALLS.update(exec=-CALLS["exec"])
    for _ in range(2):
        assert ran(Flow(Shaky(retry=Retry(3))), {"topic": "b"}, cache=path).store["notes"] == "b"
    assert CALLS["exec"] == 2, "one attempt failed, one gave a result"


@pytest.mark.parametrize("spelling", [Node, AsyncNode])
def test_a_fallback_of_either_spelling_is_not_cached(spelling: Any, path: Path) -> None:
    class Falls(spelling):  # type: ignore[misc]
        def exec(self, prep_res: Any) -> Any:
            raise ConnectionError

        async def exec_async(self, prep_res: Any) -> Any:
            raise ConnectionError

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            CALLS["fallback"] += 1

        async def exec_fallback_async(self, prep_res: Any, exc: Exception) -> Any:
            CALLS["fallback"] += 1

    for _ in range(2):
        ran(AsyncFlow(Falls()), {}, cache=path)
    assert CALLS["fallback"] == 2


def test_what_cannot_be_encoded_is_not_cached_and_said_once(path: Path) -> None:
    class Odd(Node):
        def exec(self, prep_res: Any) -> Any:
            CALLS["odd"] += 1
            return {"client": object()}

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["n"] = shared.get("n", 0) + 1
            return "again" if shared["n"] < 3 else "enough"

    class Holds(Odd):
        def __init__(self) -> None:
            super().__init__()
            self.client = object()

    class Takes(Odd):
        def prep(self, shared: Any) -> Any:
            return {"deep": [object()]}

    for kind, told in ((Odd, "exec_res.client cannot"), (Holds, "self.client cannot"), (Takes, "prep_res.deep[0] cannot")):
        CALLS.clear()
        odd = kind()
        odd - "again" >> odd
        odd - "enough" >> Node()
        run = ran(Flow(odd), {}, cache=path)

        assert CALLS["odd"] == 3
        assert [told in line for line in lines(run)] == [True], lines(run)


def test_an_exec_that_changes_its_input_is_not_cached(path: Path) -> None:
    class Fills(Node):
        def prep(self, shared: Any) -> Any:
            return []

        def exec(self, found: Any) -> Any:
            CALLS["exec"] += 1
            found.append(1)
            return None

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["found"] = prep_res

    for _ in range(2):
        run = ran(Flow(Fills()), {}, cache=path)
        assert run.store["found"] == [1]
    assert CALLS["exec"] == 2
    assert any("exec changes what prep gave" in line for line in lines(run))


def test_a_node_says_that_it_is_not_cached_and_what_its_result_depends_on(path: Path) -> None:
    class Draws(Research):
        cacheable = False

    class Rounds(Research):
        def __init__(self) -> None:
            super().__init__()
            self.client = object()

        def cache_key(self, topic: Any) -> Any:
            return None if topic == "now" else topic.lower()

    for flow in (Flow(Draws()), Flow(Draws())):
        ran(flow, {"topic": "a"}, cache=path)
    assert CALLS["exec"] == 2
    for topic in ("Sun", "sun", "now", "now"):
        ran(Flow(Rounds()), {"topic": topic}, cache=path)
    assert CALLS["exec"] == 5


def test_function_nodes_work_on_the_store_and_are_not_cached(path: Path) -> None:
    @node
    def count(shared: Any) -> None:
        shared["n"] = CALLS["n"] = CALLS["n"] + 1

    assert [ran(linear(count), {}, cache=path).store["n"] for _ in range(2)] == [1, 2]


def test_a_person_s_answer_is_not_cached_and_nobody_waits_for_it(path: Path) -> None:
    class Asks(Research):
        async def exec(self, topic: Any) -> Any:
            return await ask("Which?")

    flow = Flow(Asks(), name="asks")
    first, second = flow.launch({"topic": "a"}, cache=path), flow.launch({"topic": "a"}, cache=path)
    for run, answer in ((first, "x"), (second, "y")):
        assert run.asking(10) is not None
        run.answer(answer)

    assert [run.wait(20).store["notes"] for run in (first, second)] == ["x", "y"]


def test_what_is_emitted_is_told_and_paid_once(path: Path) -> None:
    class Pays(Research):
        def exec(self, topic: Any) -> Any:
            emit("usage", tokens=10)
            return topic

    runs = [ran(Flow(Pays()), {"topic": "a"}, cache=path) for _ in range(2)]
    assert [run.usage.tokens for run in runs] == [10, 0]


# the file -----------------------------------------------------------------------------------------------------------
def test_refresh_computes_and_keeps_all_anew(path: Path) -> None:
    class Counts(Research):
        def exec(self, topic: Any) -> Any:
            CALLS["exec"] += 1
            return CALLS["exec"]

    flow = Flow(Counts(), name="counts")
    found = [ran(flow, {"topic": "a"}, cache=path, refresh_cache=fresh).store["notes"] for fresh in (False, False, True, False)]
    assert found == [1, 1, 2, 2]


def test_a_large_result_and_one_of_an_unknown_class(path: Path) -> None:
    class Big(Research):
        def exec(self, topic: Any) -> Any:
            CALLS["exec"] += 1
            return "x" * 3_000_000

    for _ in range(2):
        assert len(ran(Flow(Big()), {"topic": "a"}, cache=path).store["notes"]) == 3_000_000
    assert CALLS["exec"] == 1
    for blob in path.with_name("runs.sqlite.blobs").iterdir():
        blob.unlink()
    assert len(ran(Flow(Big()), {"topic": "a"}, cache=path).store["notes"]) == 3_000_000
    assert CALLS["exec"] == 2, "its file was gone"


def test_a_cache_that_is_damaged_or_lost_never_fails_a_run(path: Path) -> None:
    flow = Flow(Research(), name="look")
    ran(flow, {"topic": "a"}, cache=path)
    file = journal_file.opened_file(path)
    with file.transaction() as do:
        do("UPDATE results SET body = '[1]'")
    assert ran(flow, {"topic": "a"}, cache=path).store["notes"]["found"] == "a at 1"

    class Drops(Research):
        def exec(self, topic: Any) -> Any:
            with file.transaction() as do:
                do("DROP TABLE results")
            return topic

    run = ran(linear(Drops(), Research()), {"topic": "a"}, cache=path)
    assert any("goes on without the cache" in line for line in lines(run))


def test_it_is_pruned_when_it_was_not_used_for_long(path: Path) -> None:
    flow = Flow(Research(), name="look")
    ran(flow, {"topic": "a"}, cache=path)
    file = journal_file.opened_file(path)
    Journal(path).prune(older_than=30)
    assert file.read("SELECT count(*) FROM results") == [(1,)]
    with file.transaction() as do:
        do("UPDATE results SET used = used - 40 * 86400.0")
    ran(flow, {"topic": "a"}, cache=path)
    file.flush()
    Journal(path).prune(older_than=30)
    assert file.read("SELECT count(*) FROM results") == [(1,)], "it was used just now"
    with file.transaction() as do:
        do("UPDATE results SET used = used - 40 * 86400.0")
    Journal(path).prune(older_than=30)
    assert file.read("SELECT count(*) FROM results") == [(0,)]


def test_a_file_of_the_former_format_opens_and_gets_the_table(path: Path) -> None:
    file = journal_file.opened_file(path)
    with file.transaction() as do:
        do("DROP TABLE results")
        do("PRAGMA user_version = 1")
    file.close()

    for _ in range(2):
        ran(Flow(Research()), {"topic": "a"}, cache=path)
    assert CALLS["exec"] == 1
    assert journal_file.opened_file(path).read("PRAGMA user_version") == [(2,)]


@pytest.mark.parametrize("options", [{"refresh_cache": True}, {"strict_tape": True}])
def test_half_an_option_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match="needs"):
        Flow(Node()).launch({}, **options)
    for name in ("cache", "tape", "journal"):
        with pytest.raises(TypeError, match="path of a file"):
            Flow(Node()).launch({}, **{name: True})
        with pytest.raises(JournalError):
            Flow(Node()).launch({}, **{name: "nowhere/at/all.sqlite"})


def test_a_journalled_run_records_what_came_from_the_cache_and_resumes_with_it(path: Path) -> None:
    down = [True]

    class Ends(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            if down:
                raise ConnectionError

    flow = Flow(linear(Research(), Ends()).start_node, name="both")
    ran(Flow(Research()), {"topic": "a"}, cache=path)
    assert flow.launch({"topic": "a"}, name="night", journal=path, cache=path).wait(20).status == "failed"
    down.clear()
    run = resume(path, "night", flow=flow).wait(20)

    assert (run.status, CALLS["exec"]) == ("done", 1)
    assert [row.data.get("cached") for row in Journal(path).history("night").rows if row.kind == 1] == [True, None]


KERNEL = """
import sys
from pocketflex_nb import Flow, Node
class Research(Node):
    tone = "calm"
    def exec(self, topic):
        print("called")
        return {"x", "y", "z"} & {"y", "z"}
    def post(self, shared, prep_res, exec_res):
        assert exec_res == {"y", "z"}, exec_res
run = Flow(Research(), name="look").launch({}, cache=sys.argv[1]).wait(20)
assert run.status == "done", run.error
"""


@pytest.mark.parametrize("form", ["file", "text"])
def test_the_next_kernel_uses_it_with_source_and_without(form: str, path: Path) -> None:
    program = path.with_name("program.py")
    program.write_text(KERNEL)
    start = [sys.executable, str(program)] if form == "file" else [sys.executable, "-c", textwrap.dedent(KERNEL)]
    said = [subprocess.run([*start, str(path)], capture_output=True, text=True, check=True, timeout=60).stdout for _ in range(2)]
    assert said == ["called\n", ""]


def test_a_store_is_as_it_would_be_without_a_cache(path: Path) -> None:
    flow = linear(Research(), Research(2), name="two")
    stores = [dict(launch(flow, Store({"topic": "a"}), **options).wait(20).store) for options in ({}, {"cache": path}, {"cache": path})]
    assert stores[0] == stores[1] == stores[2]
