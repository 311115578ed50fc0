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


def branches(kind: Any, number: int) -> Any:
    """A flow of so many branches, each of which asks its own name, and keeps what it is told."""

    class Asks(kind):  # type: ignore[misc]
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared[self.question[0]] = exec_res

    plan = Node()
    plan >> [Asks(str(n)) for n in range(number)] >> Node()
    return Flow(plan)


@KINDS
def test_answers_in_a_row_go_to_the_oldest_question_without_one(kind: Any, eventually: Eventually) -> None:
    run = branches(kind, 8).launch({}, show=False)
    eventually(lambda: len(run.state().asking) == 8)
    order = [asked["question"] for _, asked in sorted(run.state().asking.items())]

    for place in range(8):
        run.answer(place)

    run.result(10)
    assert [run.store[name] for name in order] == list(range(8))
    with pytest.raises(LookupError, match="asks nothing"):
        run.answer(9)


@KINDS
@pytest.mark.parametrize("name", ["question", "ask"])
def test_questions_are_answered_by_number_in_any_order(kind: Any, name: str, eventually: Eventually) -> None:
    run = branches(kind, 8).launch({}, show=False)
    eventually(lambda: len(run.state().asking) == 8)

    for number, asked in sorted(run.state().asking.items(), reverse=True):
        run.answer(asked["question"], **{name: number})

    run.result(10)
    assert {key: run.store[key] for key in map(str, range(8))} == {str(n): str(n) for n in range(8)}


@KINDS
def test_a_second_answer_is_refused_however_soon_it_comes(kind: Any, eventually: Eventually) -> None:
    run = branches(kind, 2).launch({}, show=False)
    eventually(lambda: len(run.state().asking) == 2)

    run.answer("first", 1)
    with pytest.raises(LookupError, match=r"question 1 of run .* has its answer"):
        run.answer("second", 1)
    run.answer("other", 2)

    run.result(10)
    with pytest.raises(LookupError, match="has its answer"):
        run.answer("late", 2)
    assert sorted(run.store.get(key) for key in "01") == ["first", "other"]


@KINDS
def test_of_many_answers_at_the_same_moment_one_is_taken_and_the_others_are_told(kind: Any, eventually: Eventually) -> None:
    run = launched(kind("well?"), eventually)
    together, refused = threading.Barrier(8), []

    def answer(value: int) -> None:
        together.wait(10)
        try:
            run.answer(value, 1)
        except LookupError:
            refused.append(value)

    threads = [threading.Thread(target=answer, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    run.result(10)
    assert sorted([*refused, run.store["answer"]]) == list(range(8))


@KINDS
def test_an_answer_counts_at_once(kind: Any, eventually: Eventually) -> None:
    run = launched(kind("well?"), eventually)

    run.answer("so")

    assert (run.status == "asking", run.state().asking) == (False, {})
    run.result(10)


@KINDS
def test_an_answer_at_the_last_moment_is_taken_or_refused_and_never_lost(kind: Any) -> None:
    for _ in range(30):
        run = Flow(kind("well?", default="nobody", timeout=0.01)).launch({}, show=False)
        taken = False
        if (question := run.asking(10)) is not None:
            try:
                question.answer("somebody")
                taken = True
            except LookupError:  # too late, and told so
                pass
        run.result(10)
        assert run.store["answer"] == ("somebody" if taken else "nobody")


@KINDS
def test_plain_code_waits_for_question_after_question_until_the_run_ends(kind: Any) -> None:
    run = branches(kind, 8).launch({}, show=False)

    seen = []
    while (question := run.asking(10)) is not None:
        seen.append(question.number)
        run.answer(question.text, question)

    assert sorted(seen) == list(range(1, 9))
    assert run.wait(10).status == "done"
    assert run.asking() is None


@KINDS
def test_a_coroutine_waits_for_question_after_question_until_the_run_ends(kind: Any) -> None:
    async def main() -> Any:
        run = branches(kind, 8).launch({}, show=False)
        while (question := await run.asking()) is not None:
            run.answer(question.text, question=question.number)
        return await run.wait_async()

    run = asyncio.run(main())

    assert {key: run.store[key] for key in map(str, range(8))} == {str(n): str(n) for n in range(8)}


def test_the_same_question_is_given_until_it_is_answered() -> None:
    run = branches(AsksAsync, 2).launch({}, show=False)

    first = run.asking(10)
    assert run.asking(10) is first
    first.answer("so")
    second = run.asking(10)

    assert (first.is_open, second.number) == (False, 2)
    second.answer("so")
    run.result(10)


@pytest.mark.parametrize("ends", ["cancelled", "failed"])
def test_who_waits_for_a_question_is_told_of_an_end_without_one(ends: str) -> None:
    go = threading.Event()

    @node
    async def waits(shared: Any) -> None:
        await asyncio.to_thread(go.wait, 10)
        raise ValueError("over")

    async def main() -> Any:
        run = Flow(waits).launch({}, show=False)
        waiting = asyncio.ensure_future(run.asking())
        await asyncio.sleep(0)
        if ends == "cancelled":
            run.cancel()
        go.set()
        return await waiting, (await run.wait_async()).status

    assert asyncio.run(main()) == (None, ends)


def test_a_run_that_asks_nothing_for_so_long_is_a_timeout_and_goes_on() -> None:
    go = threading.Event()

    @node
    def waits(shared: Any) -> None:
        go.wait(10)

    run = Flow(waits).launch({}, show=False)

    async def main() -> None:
        await run.asking(timeout=0.01)

    with pytest.raises(TimeoutError, match=r"asked nothing within 0\.01 s"):
        run.asking(timeout=0.01)
    with pytest.raises(TimeoutError, match=r"asked nothing within 0\.01 s"):
        asyncio.run(main())
    go.set()

    assert run.wait(10).status == "done"


def test_who_stops_waiting_for_a_question_does_not_end_the_run() -> None:
    go = threading.Event()

    class Later(Asks):
        def exec(self, prep_res: Any) -> Any:
            go.wait(10)
            return super().exec(prep_res)

    async def main() -> Any:
        run = Flow(Later("well?")).launch({}, show=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run.asking(), 0.01)
        go.set()
        question = await run.asking()
        question.answer("so")
        return await run.wait_async()

    assert asyncio.run(main()).store["answer"] == "so"


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
