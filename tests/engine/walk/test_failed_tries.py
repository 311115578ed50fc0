"""What a try that failed, or that was given up, leaves in a store: nothing, unless somebody else wrote the key since."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from pocketflex_nb import BatchNode, Flow, Node, Retry, Store, current, node


@dataclasses.dataclass
class Data:
    items: list[Any] = dataclasses.field(default_factory=list)


class Model(BaseModel):
    items: list[Any] = []


class Plain:
    def __init__(self) -> None:
        self.items: list[Any] = []


def content() -> dict[str, Any]:
    return {
        "flat": "old", "gone": "here", "list": [1, [2]], "dict": {"a": {"b": 1}}, "set": {1}, "data": Data([1]), "model": Model(items=[1]),
        "object": Plain(), "replaced": [1], "count": 0, "client": [object()],
    }


def spoil(shared: Any) -> None:
    """Change everything that there is, in every way."""
    shared["flat"] = "new"
    shared["flat"] = "newer"
    shared["fresh"] = [1]
    del shared["gone"]
    shared["list"].append(3)
    shared["list"][1].append(3)
    shared["dict"]["a"]["b"] = 2
    shared["dict"]["c"] = 3
    shared["set"].add(2)
    shared["data"].items.append(2)
    shared["data"].more = 1
    shared["model"].items.append(2)
    shared["object"].items.append(1)
    shared["replaced"].append(2)
    shared["replaced"] = [9]
    shared["replaced"].append(10)
    shared.increment("count")
    shared["client"].append("x")


def assert_untouched(store: Any, before: dict[str, Any]) -> None:
    twin = content()
    assert list(store.keys() ^ twin.keys()) == []
    for key in ("flat", "gone", "list", "dict", "set", "data", "model", "replaced", "count"):
        assert store[key] == twin[key], key
    assert not hasattr(store["data"], "more")
    assert store["object"].items == []
    assert store["client"] == before["client"] and len(store["client"]) == 1
    for key in ("list", "dict", "set", "data", "model", "object", "replaced", "client"):
        assert store[key] is before[key], f"{key} is another object now"


def run_it(how: str, flow: Flow, store: Store) -> None:
    if how == "run":
        flow.run(store)
    elif how == "run_async":
        asyncio.run(flow.run_async(store))
    else:
        run = flow.launch(store, show=False).wait(10)
        if run.error is not None:
            raise run.error


HOWS = ["run", "run_async", "launch"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("is_async", [False, True])
def test_failed_try_of_a_function_leaves_nothing(how: str, is_async: bool) -> None:
    tries: list[int] = []
    store = Store(content())
    before = dict(store)

    def work(shared: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            spoil(shared)
            raise ValueError
        assert_untouched(shared, before)
        shared["flat"] = "done"
        shared["list"].append("done")

    async def work_async(shared: Any) -> None:
        work(shared)

    run_it(how, Flow(node(max_retries=3)(work_async if is_async else work)), store)

    assert len(tries) == 3
    assert store["flat"] == "done" and store["list"] == [1, [2], "done"]
    store["flat"], store["list"][2:] = "old", []
    assert_untouched(store, before)


@pytest.mark.parametrize("how", HOWS)
def test_last_try_that_fails_is_taken_back_too(how: str) -> None:
    store = Store(content())
    before = dict(store)

    def work(shared: Any) -> None:
        spoil(shared)
        raise ValueError

    failing = node(retry=Retry(2, wait=0))(work)
    seen: list[Any] = []
    failing.on_error(node(lambda shared: seen.append(dict(shared))))
    run_it(how, Flow(failing), store)

    assert len(seen) == 1
    assert_untouched(store, before)


@pytest.mark.parametrize("how", HOWS)
def test_function_without_tries_keeps_what_it_wrote_as_pocketflow_does(how: str) -> None:
    store = Store({"n": 0})

    def work(shared: Any) -> None:
        shared["n"] = 1
        raise ValueError

    with pytest.raises(ValueError):
        run_it(how, Flow(node(work)), store)

    assert store["n"] == 1


def test_plain_dict_stays_pocketflows() -> None:
    tries: list[int] = []
    shared: dict[str, Any] = {"n": 0, "list": []}

    def work(shared: Any) -> None:
        tries.append(1)
        shared["n"] += 1
        shared["list"].append(1)
        if len(tries) < 2:
            raise ValueError

    Flow(node(max_retries=2)(work)).run(shared)

    assert shared == {"n": 2, "list": [1, 1]}


@pytest.mark.parametrize("how", HOWS)
def test_what_prep_wrote_stays(how: str) -> None:
    class Work(Node):
        def prep(self, shared: Any) -> Any:
            shared["n"] = "prep"
            shared["list"].append("prep")
            return shared["list"]

        def exec(self, items: Any) -> Any:
            items.append(f"exec {self.cur_retry}")
            if self.cur_retry == 0:
                raise ValueError

    store = Store({"n": 0, "list": []})
    run_it(how, Flow(Work(max_retries=2)), store)

    assert store == {"n": "prep", "list": ["prep", "exec 1"]}


def test_key_that_somebody_else_wrote_since_stays() -> None:
    store = Store({"n": 0, "mine": 0})
    tries: list[int] = []

    def work(shared: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            shared["n"] = shared["mine"] = "try"
            thread = threading.Thread(target=lambda: store.update({"n": "other"}))
            thread.start()
            thread.join()
            raise ValueError

    Flow(node(max_retries=2)(work)).run(store)

    assert store == {"n": "other", "mine": 0}


def test_branches_lose_only_what_their_own_tries_wrote() -> None:
    store = Store({"list": []}, on_conflict="ignore")
    start = node(lambda shared: None)

    def branch(name: str) -> Any:
        tries: list[int] = []

        async def work(shared: Any) -> None:
            tries.append(1)
            shared["list"].append(f"{name}{len(tries)}")
            shared[name] = len(tries)
            await asyncio.sleep(0.01)
            if len(tries) == 1:
                raise ValueError

        return node(max_retries=2)(work)

    start >> [branch("a"), branch("b"), branch("c")]
    Flow(start).launch(store, show=False).wait(5)

    assert sorted(store["list"]) == ["a2", "b2", "c2"]
    assert (store["a"], store["b"], store["c"]) == (2, 2, 2)


# given up ---------------------------------------------------------------------------------------------------------------
class Late:
    """A first try that goes on when it was given up, until it is told to write."""

    def __init__(self) -> None:
        self.tries: list[int] = []
        self.go, self.done = threading.Event(), threading.Event()

    def work(self, shared: Any, write: Any) -> None:
        self.tries.append(1)
        if len(self.tries) > 1:
            return
        handed = {key: shared[key] for key in ("list", "dict", "set", "data", "model", "replaced")}
        self.go.wait(5)
        try:
            write(shared, handed)
        finally:
            self.done.set()


def write_late(shared: Any, handed: dict[str, Any]) -> None:
    handed["list"].append("late")
    handed["list"][1].append("late")
    handed["dict"]["a"]["b"] = "late"
    handed["set"].add("late")
    handed["data"].items.append("late")
    handed["model"].items.append("late")
    shared["list"].append("later")
    shared["dict"].update(later=1)
    shared.get("replaced").append("later")
    shared.setdefault("replaced", []).append("later")
    for value in shared.values():
        if isinstance(value, list):
            value.append("later")
    for _, value in shared.items():
        if isinstance(value, dict):
            value["later"] = 1
    shared["flat"] = "late"
    shared.update(flat="late")
    shared.update("flat", lambda value: "late")
    shared.increment("count")
    shared.pop("gone", None)
    shared["new"] = 1


@pytest.mark.parametrize("how", HOWS)
def test_try_that_was_given_up_writes_nothing_more(how: str) -> None:
    late, store = Late(), Store(content())
    run_it(how, Flow(node(timeout=0.05, max_retries=2)(lambda shared: late.work(shared, write_late))), store)
    late.go.set()
    assert late.done.wait(5)

    assert len(late.tries) == 2
    twin = content()
    assert {key: store[key] for key in twin if key not in ("object", "client")} == {
        key: twin[key] for key in twin if key not in ("object", "client")
    }
    assert "new" not in store


@pytest.mark.parametrize("how", HOWS)
def test_what_it_had_written_before_is_taken_back(how: str) -> None:
    store = Store({"n": 0, "list": []})
    tries: list[int] = []
    gate = threading.Event()

    def work(shared: Any) -> None:
        tries.append(1)
        shared["n"] += 1
        shared["list"].append(len(tries))
        if len(tries) == 1:
            gate.wait(5)

    run_it(how, Flow(node(timeout=0.05, max_retries=2)(work)), store)
    gate.set()

    assert store == {"n": 1, "list": [2]}


@pytest.mark.parametrize("how", HOWS)
def test_next_try_gets_the_object_that_took_its_place(how: str) -> None:
    go, done = threading.Event(), threading.Event()

    class Work(Node):
        def prep(self, shared: Any) -> Any:
            return {"list": shared["list"], "more": [shared["dict"]]}

        def exec(self, given: Any) -> Any:
            number = self.cur_retry
            if number == 0:
                go.wait(5)
            given["list"].append(number)
            given["more"][0][number] = number
            if number == 0:
                done.set()

    store = Store({"list": [], "dict": {}})
    run_it(how, Flow(Work(timeout=0.05, max_retries=2)), store)
    go.set()
    assert done.wait(5)

    assert store == {"list": [1], "dict": {1: 1}}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("at_once", [1, 3])
def test_items_of_a_batch_are_kept_apart(how: str, at_once: int) -> None:
    go, done = threading.Event(), threading.Event()

    class Work(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [shared] * 3

        def exec(self, shared: Any) -> Any:
            number = self.cur_retry
            if number == 0:
                shared["list"].append("early")
                go.wait(5)
                shared["list"].append("late")
                shared["late"] = True
                done.set()
            else:
                shared.increment("count")

    store = Store({"list": [], "count": 0})
    run_it(how, Flow(Work(timeout=0.05, max_retries=2, max_concurrency=at_once)), store)
    go.set()
    assert done.wait(5)

    assert store == {"list": [], "count": 3}


def test_abandoned_step_of_a_cancelled_run_writes_nothing_more() -> None:
    go, done, begun = threading.Event(), threading.Event(), threading.Event()

    def work(shared: Any) -> None:
        items = shared["list"]
        begun.set()
        go.wait(5)
        items.append("late")
        shared["flat"] = "late"
        done.set()

    store = Store({"list": [], "flat": ""})
    run = Flow(node(work)).launch(store, show=False)
    assert begun.wait(5)
    run.cancel()
    run.wait(5)
    go.set()
    assert done.wait(5)

    assert store == {"list": [], "flat": ""}


def test_address_inside_of_an_items_step_is_the_items() -> None:
    seen: list[str] = []

    class Work(BatchNode):
        def prep(self, shared: Any) -> Any:
            return [1, 2]

        def exec(self, item: Any) -> Any:
            seen.append(current().address)

    Flow(Work(timeout=5), name="f").launch({}, show=False).wait(5)

    assert seen == ["f/Work#1[0]", "f/Work#1[1]"]
