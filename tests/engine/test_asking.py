"""A step asks a person: the walk parks, the answer is checked, and where nobody can answer the asker is told."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb import BatchNode, Flow, Node, ask, node
from pocketflex_nb.core.errors import CannotAsk

Eventually = Callable[[Callable[[], Any]], None]


class Asks(Node):
    """Asks in a pool thread, and keeps the answer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        self.question, self.options = args, options

    def exec(self, prep_res: Any) -> Any:
        return ask(*self.question, **self.options)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["answer"] = exec_res


class AsksAsync(Asks):
    async def exec(self, prep_res: Any) -> Any:  # type: ignore[override]
        return await ask(*self.question, **self.options)


KINDS = pytest.mark.parametrize("kind", [Asks, AsksAsync])


def launched(asks: Node, eventually: Eventually, **options: Any) -> Any:
    run = Flow(asks).launch({}, show=False, **options)
    eventually(lambda: run.status == "asking")
    return run


@KINDS
def test_a_question_is_open_until_it_is_answered(kind: Any, eventually: Eventually) -> None:
    run = launched(kind("go on?", ["yes", "no"]), eventually)
    (asked,) = run.state().asking.values()
    assert (asked["question"], asked["choices"]) == ("go on?", ["yes", "no"])
    assert run.state().nodes[kind.__name__].status == "asking"

    run.answer("yes")

    run.result(10)
    assert run.store["answer"] == "yes"
    assert run.state().asking == {}
    assert [e["value"] for e in run.events if e.kind == "answered"] == ["yes"]


@KINDS
def test_what_is_not_among_the_choices_is_refused_and_the_question_stays_open(kind: Any, eventually: Eventually) -> None:
    run = launched(kind("go on?", ["yes", "no"]), eventually)

    with pytest.raises(ValueError, match="did you mean 'yes'"):
        run.answer("yess")

    assert run.status == "asking"
    run.answer("no")
    run.result(10)
    assert run.store["answer"] == "no"


@KINDS
def test_a_form_turns_texts_into_its_fields_types(kind: Any, eventually: Eventually) -> None:
    run = launched(kind("who?", schema={"name": str, "age": int}), eventually)

    for wrong in ({"name": "Ada"}, {"name": "Ada", "age": "old"}, {"name": "Ada", "aeg": 3, "age": 1}, "Ada"):
        with pytest.raises(ValueError):
            run.answer(wrong)
    run.answer({"name": "Ada", "age": "36"})

    run.result(10)
    assert run.store["answer"] == {"name": "Ada", "age": 36}


@KINDS
def test_the_default_stands_in_when_nobody_answers_in_time(kind: Any) -> None:
    run = Flow(kind("well?", default="never mind", timeout=0.05)).launch({}, show=False)

    run.result(10)

    assert run.store["answer"] == "never mind"
    assert [e["by"] for e in run.events if e.kind == "answered"] == ["default"]


@KINDS
def test_without_a_default_it_is_a_timeout_error(kind: Any) -> None:
    run = Flow(kind("well?", timeout=0.05)).launch({}, show=False)

    with pytest.raises(TimeoutError, match=r"nobody answered 'well\?' within 0\.05 s"):
        run.result(10)

    assert run.state().asking == {}


def test_answering_a_run_that_asks_nothing_is_a_lookup_error() -> None:
    run = Flow(Node()).launch({}, show=False)
    run.result(10)

    with pytest.raises(LookupError, match="asks nothing"):
        run.answer("yes")


def test_two_branches_ask_at_once_and_each_gets_its_answer(eventually: Eventually) -> None:
    def branch(key: str) -> Node:
        @node
        async def asks(shared: Any) -> None:
            shared[key] = await ask(key)

        return asks

    plan = Node()
    plan >> [branch("a"), branch("b")] >> Node()
    run = Flow(plan).launch({}, show=False)
    eventually(lambda: len(run.state().asking) == 2)
    numbers = {asked["question"]: number for number, asked in run.state().asking.items()}

    with pytest.raises(LookupError, match="no open question 9"):
        run.answer("?", ask=9)
    run.answer("for b", ask=numbers["b"])
    run.answer("for a", ask=numbers["a"])

    run.result(10)
    assert (run.store["a"], run.store["b"]) == ("for a", "for b")


def test_siblings_go_on_while_one_branch_asks(eventually: Eventually) -> None:
    went = threading.Event()

    @node
    async def goes(shared: Any) -> None:
        went.set()

    plan = Node()
    plan >> [AsksAsync("well?"), goes] >> Node()
    run = Flow(plan).launch({}, show=False)

    assert went.wait(10)
    eventually(lambda: run.status == "asking")
    run.answer(1)
    run.result(10)


def test_items_of_a_batch_ask_one_after_the_other(eventually: Eventually) -> None:
    class Each(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2, 3]

        def exec(self, prep_res: Any) -> Any:
            return ask(f"{prep_res}?")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["answers"] = exec_res

    run = Flow(Each()).launch({}, show=False)
    for number in (1, 2, 3):
        eventually(lambda: number in run.state().asking)  # noqa: B023
        run.answer(number * 10)

    run.result(10)
    assert run.store["answers"] == [10, 20, 30]


@KINDS
def test_a_blocking_run_on_the_main_thread_cannot_ask(kind: Any) -> None:
    with pytest.raises(CannotAsk, match=r"'well\?'.*launch"):
        Flow(kind("well?")).run({})


@KINDS
def test_a_blocking_run_on_the_main_thread_takes_the_default(kind: Any) -> None:
    store: dict[str, Any] = {}

    Flow(kind("well?", default="so")).run(store)

    assert store["answer"] == "so"


@KINDS
def test_a_plain_run_in_another_thread_can_be_answered(kind: Any, eventually: Eventually) -> None:
    from pocketflex_nb import runs

    store: dict[str, Any] = {}
    flow = Flow(kind("well?"))
    thread = threading.Thread(target=flow.run, args=(store,))
    thread.start()
    eventually(lambda: any(run.flow is flow and run.status == "asking" for run in runs(live=True)))

    next(run for run in runs(live=True) if run.flow is flow).answer("so")
    thread.join(10)

    assert store["answer"] == "so"


def test_an_awaited_run_can_be_answered_by_its_loop() -> None:
    from pocketflex_nb import runs

    async def main() -> dict[str, Any]:
        store: dict[str, Any] = {}
        task = asyncio.ensure_future(Flow(AsksAsync("well?"), name="awaited").run_async(store))
        while not (runs(live=True) and runs(live=True)[-1].status == "asking"):
            await asyncio.sleep(0)
        runs(live=True)[-1].answer("so")
        await task
        return store

    assert asyncio.run(main())["answer"] == "so"


class AsksInPost(Node):
    """Asks where a plain step may not wait once a loop runs in its thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["answer"] = ask("well?", **self.options)


class AsksInTimedPost(AsksInPost):
    """The same, walked on a private loop of its run."""

    def __init__(self, **options: Any) -> None:
        Node.__init__(self, timeout=5)
        self.options = options

    def exec(self, prep_res: Any) -> None:
        """A step with a time limit."""


@pytest.mark.parametrize("kind", [Asks, AsksInPost, AsksInTimedPost])
def test_a_blocking_run_in_a_cell_cannot_ask(kind: Any) -> None:
    question = ("well?",) if kind is Asks else ()

    async def cell() -> dict[str, Any]:  # a kernel's cell: a loop runs in the main thread, and `run` keeps it waiting
        with pytest.raises(CannotAsk, match="no answer could arrive here"):
            Flow(kind(*question)).run({})
        store: dict[str, Any] = {}
        Flow(kind(*question, default="so")).run(store)
        return store

    assert asyncio.run(cell())["answer"] == "so"


def test_a_plain_post_of_a_launched_flow_is_told_to_be_async() -> None:
    run = Flow(AsksInPost(default="so")).launch({}, show=False)

    with pytest.raises(CannotAsk, match="`async def`"):
        run.result(10)


def test_a_plain_step_of_an_awaited_run_takes_the_default_or_is_told_to_be_async() -> None:
    async def main() -> dict[str, Any]:
        with pytest.raises(CannotAsk, match="`async def`"):
            await Flow(Asks("well?")).run_async({})
        store: dict[str, Any] = {}
        await Flow(Asks("well?", default="so")).run_async(store)
        return store

    assert asyncio.run(main())["answer"] == "so"


def test_a_helper_may_ask_for_its_async_step(eventually: Eventually) -> None:
    def question() -> Any:
        return ask("well?")

    @node
    async def asks(shared: Any) -> None:
        shared["answer"] = await question()

    run = launched(asks, eventually)
    run.answer("so")
    run.result(10)
    assert run.store["answer"] == "so"


def test_ask_outside_of_a_run_is_refused() -> None:
    with pytest.raises(CannotAsk, match="outside of any run"):
        ask("anybody?")


def test_an_empty_answer_is_an_answer(eventually: Eventually) -> None:
    run = launched(AsksAsync("well?"), eventually)

    run.answer(None)

    run.result(10)
    assert run.store["answer"] is None


def test_items_that_ask_at_the_very_same_time_have_a_question_each(eventually: Eventually) -> None:
    together = threading.Barrier(8)

    class AskAll(BatchNode):
        def prep(self, shared: Any) -> Any:
            return range(8)

        def exec(self, item: Any) -> Any:
            together.wait(10)
            return ask(f"{item}?")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answers"] = exec_res

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns wherever they may
    try:
        run = Flow(AskAll(max_concurrency=None)).launch({}, show=False)
        eventually(lambda: len(run.state().asking) == 8)
        for number, asked in run.state().asking.items():
            run.answer(asked["question"], number)
        run.result(10)
    finally:
        sys.setswitchinterval(interval)

    assert run.store["answers"] == [f"{item}?" for item in range(8)]
