"""Programs written as PocketFlow's cookbook writes them, run with both modules: what holds there holds here."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import enum
import functools
import importlib
import inspect
import io
import pickle
import queue
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from tests.pocketflow import pickled

#: seconds after which a wait that should have ended long ago fails its test
SOON = 20.0


@pytest.fixture(params=["pocketflow", "pocketflex_nb.pocketflow"], ids=["theirs", "ours"])
def pf(request: pytest.FixtureRequest) -> ModuleType:
    """PocketFlow, and what stands in for it."""
    return importlib.import_module(request.param)


def messages(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(w.message) for w in caught]


# loops, agents, batches ------------------------------------------------------------------------------------------------
def test_a_chat_loops_over_itself_until_the_person_leaves(pf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class ChatNode(pf.Node):
        def prep(self, shared: Any) -> Any:
            if "messages" not in shared:
                shared["messages"] = []
                print("Welcome!")
            text = input("\nYou: ")
            if text.lower() == "exit":
                return None
            shared["messages"].append({"role": "user", "content": text})
            return shared["messages"]

        def exec(self, messages: Any) -> Any:
            return None if messages is None else f"reply {len(messages)}"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            if prep_res is None or exec_res is None:
                print("\nGoodbye!")
                return None
            print(f"\nAssistant: {exec_res}")
            shared["messages"].append({"role": "assistant", "content": exec_res})
            return "continue"

    typed = iter(["hello", "more", "EXIT"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(typed))
    chat = ChatNode()
    chat - "continue" >> chat
    shared: dict[str, Any] = {}

    with redirect_stdout(io.StringIO()) as out, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action = pf.Flow(start=chat).run(shared)

    assert action is None
    assert [m["content"] for m in shared["messages"]] == ["hello", "reply 1", "more", "reply 3"]
    assert out.getvalue() == "Welcome!\n\nAssistant: reply 1\n\nAssistant: reply 3\n\nGoodbye!\n"
    assert messages(caught) == ["Flow ends: 'None' not found in ['continue']"]


def _agent(pf: Any, log: list[str]) -> Any:
    class DecideAction(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared["question"], shared.get("context", "")

        def exec(self, inputs: Any) -> Any:
            _, context = inputs
            return {"action": "answer" if context.count("result") >= 2 else "search", "query": f"q{len(context)}"}

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            log.append(exec_res["action"])
            if exec_res["action"] == "search":
                shared["search_query"] = exec_res["query"]
            return exec_res["action"]

    class SearchWeb(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared["search_query"]

        def exec(self, query: Any) -> Any:
            return f"result for {query};"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["context"] = shared.get("context", "") + exec_res
            return "decide"

    class AnswerQuestion(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["answer"] = shared["context"]
            return "done"

    decide, search, answer = DecideAction(), SearchWeb(), AnswerQuestion()
    decide - "search" >> search
    decide - "answer" >> answer
    search - "decide" >> decide
    return pf.Flow(start=decide)


def test_an_agent_decides_searches_and_answers(pf: Any) -> None:
    log: list[str] = []
    shared = {"question": "who?"}

    action = _agent(pf, log).run(shared)

    assert (action, log) == ("done", ["search", "search", "answer"])
    assert shared["answer"] == "result for q0;result for q14;"


def test_a_supervisor_sends_a_nested_agent_back(pf: Any) -> None:
    log: list[str] = []

    class SupervisorNode(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared["answer"]

        def exec(self, answer: Any) -> Any:
            return {"valid": "retry" in log, "reason": "looks like nonsense"}

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            if exec_res["valid"]:
                return "approved"
            shared["context"] = ""
            log.append("retry")
            return "retry"

    agent, supervisor = _agent(pf, log), SupervisorNode()
    agent - "done" >> supervisor
    supervisor - "retry" >> agent
    supervisor - "approved" >> None
    shared = {"question": "who?"}

    with pytest.warns(UserWarning, match=r"Flow ends: 'approved' not found in \['retry', 'approved'\]"):
        action = pf.Flow(start=agent).run(shared)

    assert action == "approved"
    assert log == ["search", "search", "answer", "retry", "search", "search", "answer"]


def test_map_reduce_retries_each_item_and_falls_back_alone(pf: Any) -> None:
    tries: dict[str, list[int]] = {}

    class EvaluateResumesNode(pf.BatchNode):
        def prep(self, shared: Any) -> Any:
            return list(shared["resumes"].items())

        def exec(self, resume: Any) -> Any:
            name, text = resume
            tries.setdefault(name, []).append(self.cur_retry)
            if text == "bad" or (text == "flaky" and self.cur_retry == 0):
                raise ValueError(name)
            return name, {"qualifies": True}

        def exec_fallback(self, resume: Any, exc: Exception) -> Any:
            return resume[0], {"qualifies": False, "why": str(exc)}

        def post(self, shared: Any, prep_res: Any, exec_res_list: Any) -> Any:
            shared["evaluations"] = dict(exec_res_list)
            return "default"

    class ReduceResultsNode(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared["evaluations"]

        def exec(self, evaluations: Any) -> Any:
            return sum(e["qualifies"] for e in evaluations.values())

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["qualified"] = exec_res

    evaluate = EvaluateResumesNode(max_retries=2, wait=0)
    evaluate >> ReduceResultsNode()
    shared = {"resumes": {"a": "good", "b": "bad", "c": "flaky"}}

    pf.Flow(start=evaluate).run(shared)

    assert tries == {"a": [0], "b": [0, 1], "c": [0, 1]}
    assert (shared["qualified"], shared["evaluations"]["b"]) == (2, {"qualifies": False, "why": "b"})


def test_nested_batch_flows_go_through_classes_and_students(pf: Any) -> None:
    class LoadGrades(pf.Node):
        def prep(self, shared: Any) -> Any:
            return self.params["class"], self.params["student"]

        def exec(self, who: Any) -> Any:
            return len(who[0]) + len(who[1])

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared.setdefault("grades", []).append((*prep_res, exec_res))
            return "calculate"

    class Average(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["seen"] = shared.get("seen", 0) + 1

    class ClassBatchFlow(pf.BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"student": s} for s in shared["classes"][self.params["class"]]]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            assert exec_res is None
            shared.setdefault("order", []).append(self.params["class"])

    class SchoolBatchFlow(pf.BatchFlow):
        def prep(self, shared: Any) -> Any:
            return [{"class": c} for c in shared["classes"]]

    load, average = LoadGrades(), Average()
    load - "calculate" >> average
    shared: dict[str, Any] = {"classes": {"a": ["x", "yy"], "bb": ["z"]}}

    action = SchoolBatchFlow(start=ClassBatchFlow(start=load)).run(shared)

    assert action is None
    assert shared["grades"] == [("a", "x", 2), ("a", "yy", 3), ("bb", "z", 3)]
    assert (shared["order"], shared["seen"]) == (["a", "bb"], 3)


def test_parallel_images_are_filtered_at_once_with_params_of_their_own(pf: Any) -> None:
    at_once = [0, 0]

    class LoadImage(pf.AsyncNode):
        async def prep_async(self, shared: Any) -> Any:
            return self.params["image_path"]

        async def exec_async(self, path: Any) -> Any:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            at_once[0] -= 1
            return f"pixels of {path}"

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared[self.params["image_path"], self.params["filter"]] = exec_res
            return "apply_filter"

    class ApplyFilter(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared[self.params["image_path"], self.params["filter"]]

        def exec(self, pixels: Any) -> Any:
            return f"{self.params['filter']} {pixels}"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["done"].append(exec_res)

    class ImageFlow(pf.AsyncParallelBatchFlow):
        async def prep_async(self, shared: Any) -> Any:
            return [{"image_path": i, "filter": f} for i in ("cat", "dog") for f in ("blur", "sepia")]

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return (len(prep_res), exec_res)

    load = LoadImage()
    load - "apply_filter" >> ApplyFilter()
    shared: dict[Any, Any] = {"done": []}

    action = asyncio.run(ImageFlow(start=load).run_async(shared))

    assert action == (4, None)
    assert at_once[1] == 4
    assert shared["done"] == [f"{f} pixels of {i}" for i in ("cat", "dog") for f in ("blur", "sepia")]


def test_a_rate_limited_parallel_batch_with_a_semaphore_in_its_init(pf: Any) -> None:
    class Translate(pf.AsyncParallelBatchNode):
        def __init__(self, concurrency: int) -> None:
            super().__init__(max_retries=2)
            self.semaphore = asyncio.Semaphore(concurrency)
            self.inside = self.most = 0
            self.box = {"most": 0, "inside": 0}

        async def prep_async(self, shared: Any) -> Any:
            return [(shared["text"], language) for language in shared["languages"]]

        async def exec_async(self, pair: Any) -> Any:
            async with self.semaphore:
                self.box["inside"] += 1
                self.box["most"] = max(self.box["most"], self.box["inside"])
                await asyncio.sleep(0)
                self.box["inside"] -= 1
            return f"{pair[0]} in {pair[1]}"

        async def post_async(self, shared: Any, prep_res: Any, exec_res_list: Any) -> Any:
            shared["translations"] = exec_res_list
            return "default"

    async def main() -> Any:
        node = Translate(2)
        shared = {"text": "hi", "languages": ["de", "fr", "es", "pt", "it"]}
        await pf.AsyncFlow(start=node).run_async(shared)
        return node.box["most"], shared["translations"]

    most, translations = asyncio.run(main())

    assert most == 2
    assert translations == [f"hi in {language}" for language in ("de", "fr", "es", "pt", "it")]


# several agents in one loop, threads, servers -----------------------------------------------------------------------------
def test_two_agents_play_taboo_over_queues_of_one_loop(pf: Any) -> None:
    class AsyncHinter(pf.AsyncNode):
        async def prep_async(self, shared: Any) -> Any:
            guess = await shared["hinter_queue"].get()
            return None if guess == "GAME_OVER" else (shared["target_word"], shared.get("past_guesses", []))

        async def exec_async(self, inputs: Any) -> Any:
            return None if inputs is None else f"hint {len(inputs[1])}"

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            if exec_res is None:
                return "end"
            await shared["guesser_queue"].put(exec_res)
            return "continue"

    class AsyncGuesser(pf.AsyncNode):
        async def prep_async(self, shared: Any) -> Any:
            return await shared["guesser_queue"].get(), shared.get("past_guesses", [])

        async def exec_async(self, inputs: Any) -> Any:
            return "nostalgia" if len(inputs[1]) == 3 else f"guess {len(inputs[1])}"

        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            if exec_res == shared["target_word"]:
                await shared["hinter_queue"].put("GAME_OVER")
                return "end"
            shared.setdefault("past_guesses", []).append(exec_res)
            await shared["hinter_queue"].put(exec_res)
            return "continue"

    async def main() -> Any:
        shared: dict[str, Any] = {
            "target_word": "nostalgia", "hinter_queue": asyncio.Queue(), "guesser_queue": asyncio.Queue(),
        }
        await shared["hinter_queue"].put("")
        hinter, guesser = AsyncHinter(), AsyncGuesser()
        hinter - "continue" >> hinter
        guesser - "continue" >> guesser
        async with asyncio.timeout(SOON):
            ends = await asyncio.gather(pf.AsyncFlow(start=hinter).run_async(shared), pf.AsyncFlow(start=guesser).run_async(shared))
        return ends, shared["past_guesses"]

    with pytest.warns(UserWarning, match="Flow ends: 'end' not found"):
        ends, guesses = asyncio.run(main())

    assert ends == ["end", "end"]
    assert guesses == ["guess 0", "guess 1", "guess 2"]


def test_no_turn_of_the_loop_between_two_nodes(pf: Any) -> None:
    seen: list[str] = []

    class First(pf.AsyncNode):
        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            asyncio.get_running_loop().call_soon(seen.append, "a turn")
            seen.append("post")

    class Second(pf.AsyncNode):
        async def prep_async(self, shared: Any) -> Any:
            seen.append("prep")

        async def exec_async(self, prep_res: Any) -> Any:
            seen.append("exec")

    first = First()
    first >> Second()

    asyncio.run(pf.AsyncFlow(start=first).run_async({}))

    assert seen[:3] == ["post", "prep", "exec"]


def test_a_flow_in_a_background_thread_feeds_a_queue_of_the_server(pf: Any) -> None:
    class Work(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["sse_queue"].put_nowait({"step": shared["n"], "thread": threading.get_ident()})
            shared["n"] += 1
            return "more" if shared["n"] < 3 else None

    async def main() -> Any:
        events: asyncio.Queue[Any] = asyncio.Queue()
        work = Work()
        work - "more" >> work
        shared = {"sse_queue": events, "n": 0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await asyncio.to_thread(pf.Flow(start=work).run, shared)
        return [events.get_nowait() for _ in range(3)]

    events = asyncio.run(main())

    assert [e["step"] for e in events] == [0, 1, 2]
    assert len({e["thread"] for e in events}) == 1
    assert events[0]["thread"] != threading.get_ident()


def test_a_chat_flow_in_an_executor_talks_through_queues(pf: Any) -> None:
    class Ask(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            return self.params["inbox"].get(timeout=SOON)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            self.params["outbox"].put(f"you said {exec_res}")
            return "again" if exec_res != "bye" else "end"

    inbox: queue.Queue[str] = queue.Queue()
    outbox: queue.Queue[str] = queue.Queue()
    ask = Ask()
    ask - "again" >> ask
    ask - "end" >> pf.Node()
    flow = pf.Flow(start=ask)
    flow.set_params({"inbox": inbox, "outbox": outbox})

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(flow.run, {})
        heard = []
        for word in ("hi", "there", "bye"):
            inbox.put(word)
            heard.append(outbox.get(timeout=SOON))
        action = ended.result(SOON)

    assert heard == ["you said hi", "you said there", "you said bye"]
    assert action is None


def test_one_flow_object_runs_in_many_threads_at_once(pf: Any) -> None:
    gate = threading.Barrier(8)

    class Meet(pf.Node):
        def prep(self, shared: Any) -> Any:
            self.mine = shared["me"]
            return shared["me"]

        def exec(self, me: Any) -> Any:
            gate.wait(SOON)
            return me, self.mine, self.cur_retry

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["out"] = exec_res

    flow = pf.Flow(start=Meet())
    stores: list[dict[str, Any]] = [{"me": n} for n in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(flow.run, stores))

    assert [s["out"] for s in stores] == [(n, n, 0) for n in range(8)]


def test_a_sync_flow_runs_inside_a_running_loop_in_its_own_thread(pf: Any) -> None:
    where: list[Any] = []

    class Where(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            where.append((threading.get_ident(), asyncio.get_running_loop(), asyncio.current_task()))

    async def main() -> Any:
        pf.Flow(start=Where()).run({})
        return threading.get_ident(), asyncio.get_running_loop(), asyncio.current_task()

    here = asyncio.run(main())

    assert where == [here]


def test_a_flow_runs_inside_a_nodes_exec(pf: Any) -> None:
    class Leaf(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["leaf"] = shared.get("leaf", 0) + 1
            return "leafed"

    class Caller(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared

        def exec(self, shared: Any) -> Any:
            inner: dict[str, Any] = {}
            return [pf.Flow(start=Leaf()).run(inner), pf.Flow(start=Leaf()).run(shared), inner["leaf"]]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["out"] = exec_res

    shared: dict[str, Any] = {}

    pf.Flow(start=Caller()).run(shared)

    assert (shared["out"], shared["leaf"]) == (["leafed", "leafed", 1], 1)


def test_human_feedback_awaits_a_future_in_post_async(pf: Any) -> None:
    class Review(pf.AsyncNode):
        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["review"] = asyncio.get_running_loop().create_future()
            shared["asked"].set()
            return await shared["review"]

    class Result(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["rounds"] = shared.get("rounds", 0)
            return "published"

    class Process(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["rounds"] = shared.get("rounds", 0) + 1

    async def main() -> Any:
        process, review = Process(), Review()
        process >> review
        review - "approved" >> Result()
        review - "rejected" >> process
        shared: dict[str, Any] = {"asked": asyncio.Event()}
        ended = asyncio.create_task(pf.AsyncFlow(start=process).run_async(shared))
        for answer in ("rejected", "rejected", "approved"):
            async with asyncio.timeout(SOON):
                await shared["asked"].wait()
            shared["asked"].clear()
            shared["review"].set_result(answer)
        return await ended, shared["rounds"]

    assert asyncio.run(main()) == ("published", 3)


def test_context_variables_pass_through_the_steps(pf: Any) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    class Set(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            var.set("set in a node")

    class Get(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            return var.get()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["seen"] = exec_res

    first = Set()
    first >> Get()
    shared: dict[str, Any] = {}

    def run() -> str:
        pf.Flow(start=first).run(shared)
        return var.get()

    assert contextvars.copy_context().run(run) == "set in a node"
    assert shared["seen"] == "set in a node"


# tools that look at flows from outside ----------------------------------------------------------------------------------
def test_a_tracer_patches_the_instances_it_finds_by_walking_the_graph(pf: Any) -> None:
    seen: list[Any] = []

    def patch(node: Any) -> None:
        if hasattr(node, "_pocketflow_traced"):
            return
        node._pocketflow_traced, node._trace_id = True, len(seen)
        name = type(node).__name__
        for step in ("prep", "exec", "post"):
            was = getattr(node, step)

            def traced(*args: Any, _was: Any = was, _step: str = step) -> Any:
                seen.append((name, _step))
                return _was(*args)
            setattr(node, step, traced)

    def patch_all(start: Any) -> None:
        visited, left = set(), [start]
        while left:
            node = left.pop()
            if not node or id(node) in visited:
                continue
            visited.add(id(node))
            patch(node)
            if hasattr(node, "start_node"):
                left.append(node.start_node)
            left.extend(node.successors.values())

    class Count(pf.Node):
        def prep(self, shared: Any) -> Any:
            self.local = 1
            return shared["n"]

        def exec(self, n: Any) -> Any:
            return n + 1

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["n"] = exec_res
            return "again" if exec_res < 2 else "done"

    count, inner = Count(), pf.Flow(start=pf.Node())
    count - "again" >> count
    count - "done" >> inner
    flow = pf.Flow(start=count)
    patch_all(flow.start_node)
    shared = {"n": 0}

    flow.run(shared)

    steps = [("Count", "prep"), ("Count", "exec"), ("Count", "post")]
    nested = [("Flow", "prep"), ("Node", "prep"), ("Node", "exec"), ("Node", "post"), ("Flow", "post")]
    assert seen == steps * 2 + nested
    assert count.local == 1  # the patched prep is bound to the original, so it writes there


def test_a_decorator_replaces_run_on_the_class(pf: Any) -> None:
    calls: list[str] = []

    def trace_flow(cls: Any) -> Any:
        was_init, was_run = cls.__init__, cls.run

        @functools.wraps(was_init)
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            was_init(self, *args, **kwargs)
            self._tracer, self._flow_name = calls, cls.__name__

        def run(self: Any, shared: Any) -> Any:
            calls.append(f"start {self._flow_name}")
            try:
                return was_run(self, shared)
            finally:
                calls.append("end")

        cls.__init__, cls.run = init, run
        return cls

    @trace_flow
    class MyFlow(pf.Flow):
        def __init__(self) -> None:
            super().__init__(start=Say())

    class Say(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            calls.append("exec")

    MyFlow().run({})

    assert calls == ["start MyFlow", "exec", "end"]


def test_the_call_stack_mirrors_the_nesting_with_locals_named_self(pf: Any) -> None:
    def nodes_on_the_stack() -> list[str]:
        names, seen = [], set()
        for info in inspect.stack()[1:]:
            caller = info.frame.f_locals.get("self")
            if isinstance(caller, pf.BaseNode) and id(caller) not in seen:
                seen.add(id(caller))
                names.append(type(caller).__name__)
        return names

    class EvaluateModelNode(pf.Node):
        def prep(self, shared: Any) -> Any:
            shared["stack"] = nodes_on_the_stack()

    class EvaluateAsync(pf.AsyncNode):
        async def prep_async(self, shared: Any) -> Any:
            shared["stack"] = nodes_on_the_stack()

    class ModelFlow(pf.Flow):
        pass

    class DataScienceFlow(pf.Flow):
        pass

    class AsyncModelFlow(pf.AsyncFlow):
        pass

    class AsyncScienceFlow(pf.AsyncFlow):
        pass

    sync, awaited = {}, {}
    DataScienceFlow(start=ModelFlow(start=EvaluateModelNode())).run(sync)
    asyncio.run(AsyncScienceFlow(start=AsyncModelFlow(start=EvaluateAsync())).run_async(awaited))

    assert list(dict.fromkeys(sync["stack"])) == ["EvaluateModelNode", "ModelFlow", "DataScienceFlow"]
    assert list(dict.fromkeys(awaited["stack"])) == ["EvaluateAsync", "AsyncModelFlow", "AsyncScienceFlow"]


def test_a_visualiser_draws_the_graph_from_successors_and_start_nodes(pf: Any) -> None:
    def build_mermaid(start: Any) -> str:
        ids: dict[Any, str] = {}
        visited: set[Any] = set()
        lines = ["graph LR"]
        counter = [0]

        def get_id(node: Any) -> str:
            if node not in ids:
                counter[0] += 1
                ids[node] = f"N{counter[0]}"
            return ids[node]

        def link(a: str, b: str) -> None:
            lines.append(f"    {a} --> {b}")

        def walk(node: Any, parent: str | None = None) -> None:
            if node in visited:
                if parent:
                    link(parent, get_id(node))
                return
            visited.add(node)
            if isinstance(node, pf.Flow):
                if node.start_node and parent:
                    link(parent, get_id(node.start_node))
                lines.append(f"\n    subgraph sub_flow_{get_id(node)}[{type(node).__name__}]")
                node.start_node and walk(node.start_node)
                for nxt in node.successors.values():
                    (node.start_node and walk(nxt, get_id(node.start_node))) or (parent and link(parent, get_id(nxt))) or walk(nxt)
                lines.append("    end\n")
            else:
                me = get_id(node)
                lines.append(f"    {me}['{type(node).__name__}']")
                if parent:
                    link(parent, me)
                for nxt in node.successors.values():
                    walk(nxt, me)

        walk(start)
        return "\n".join(lines)

    class A(pf.Node): ...
    class B(pf.BatchNode): ...
    class C(pf.AsyncNode): ...
    class Inner(pf.Flow): ...

    a, b, c = A(), B(), C()
    inner = Inner(start=b)
    a >> inner
    b - "again" >> b
    inner >> c

    text = build_mermaid(pf.Flow(start=a))

    assert [line.strip() for line in text.splitlines() if line.strip()] == [
        "graph LR", "subgraph sub_flow_N1[Flow]", "N2['A']", "N2 --> N3", "subgraph sub_flow_N4[Inner]", "N3['B']", "N3 --> N3",
        "N5['C']", "N3 --> N5", "N2 --> N5", "end", "end",
    ]


def test_nodes_are_truthy_hashable_and_themselves_only(pf: Any) -> None:
    class Odd(pf.Node):
        items: list[int] = []

    a, b = Odd(), Odd()

    assert a
    assert pf.Flow()
    assert a != b
    assert len({a, b, a}) == 2
    assert {a: 1}[a] == 1
    assert a in [b, a]
    a.anything, a.__dict__["_private"] = object(), 1
    with pytest.raises(TypeError, match="Action must be a string"):
        a - 5
    with pytest.raises(TypeError):
        a - "x" - "y"


def test_wiring_returns_the_target_and_warns_when_it_overwrites(pf: Any) -> None:
    a, b, c, flow = pf.Node(), pf.Node(), pf.Node(), pf.Flow()

    assert (a >> b) is b
    assert a.next(c, "x") is c
    assert (a - "y" >> c) is c
    assert flow.start(a) is a
    assert flow.start_node is a
    assert a.successors == {"default": b, "x": c, "y": c}
    assert type(a.successors) is dict
    with pytest.warns(UserWarning, match="Overwriting successor for action 'x'"):
        a - "x" >> b
    assert a.successors["x"] is b


def test_actions_may_be_enums_of_strings(pf: Any) -> None:
    class Way(enum.StrEnum):
        LEFT = "left"
        RIGHT = "right"

    class Choose(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return Way.RIGHT

    class Put(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["right"] = True

    choose = Choose()
    choose - Way.RIGHT >> Put()
    choose - "left" >> pf.Node()
    shared: dict[str, Any] = {}

    pf.Flow(start=choose).run(shared)

    assert shared == {"right": True}


def test_flows_are_copied_deeply_and_pickled_whole(pf: Any) -> None:
    flow = pickled.flow(pf)
    deep, restored = copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))

    outs = []
    for one in (flow, deep, restored):
        shared: dict[str, Any] = {}
        one.run(shared)
        outs.append(shared)

    assert outs[0] == outs[1] == outs[2] == {"visits": ["one", "two", "one", "two", "one"]}
    assert deep.start_node is not flow.start_node
    assert deep.start_node.successors["again"].successors["default"] is deep.start_node


# the store, the parameters, the errors -------------------------------------------------------------------------------------
@dataclass
class Notes:
    topic: str
    lines: list[str] = field(default_factory=list)


def test_shared_is_any_object_and_the_callers_own(pf: Any) -> None:
    class Write(pf.Node):
        def prep(self, shared: Any) -> Any:
            return shared.topic

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared.lines.append(prep_res)

    class AsyncWrite(pf.AsyncNode):
        async def post_async(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared.lines.append("async")

    notes = Notes("bees")
    pf.Flow(start=Write()).run(notes)
    asyncio.run(pf.AsyncFlow(start=AsyncWrite()).run_async(notes))
    assert notes.lines == ["bees", "async"]

    assert pf.Flow(start=pf.Node()).run(None) is None
    items: list[int] = []

    class Append(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared.append(1)

    pf.Flow(start=Append()).run(items)
    assert items == [1]


def test_flows_are_classes_with_no_arguments(pf: Any) -> None:
    class Step(pf.Node):
        def __init__(self, word: str) -> None:
            super().__init__(max_retries=2)
            self.word = word

        def post(self, shared_storage: Any, prep_result: Any, exec_result: Any) -> Any:
            shared_storage.setdefault("words", []).append(self.word)

    class Whole(pf.Flow):
        def __init__(self) -> None:
            first = Step("first")
            first >> Step("second")
            super().__init__(start=first)

        def prep(self, shared: Any) -> Any:
            shared["begun"] = True
            return "from prep"

        def post(self, shared: Any, prep_res: Any, *args: Any) -> Any:
            return prep_res

    outer = Whole()
    outer - "from prep" >> Step("after")
    shared: dict[str, Any] = {}

    action = pf.Flow(start=outer).run(shared)

    assert action is None
    assert shared == {"begun": True, "words": ["first", "second", "after"]}


def test_params_come_from_the_outermost_flow_only_and_are_one_dict(pf: Any) -> None:
    seen: list[Any] = []

    class Look(pf.Node):
        def prep(self, shared: Any) -> Any:
            seen.append(self.params)
            self.params["mark"] = True

    first, inner, last = Look(), pf.Flow(start=Look()), Look()
    first >> inner >> last
    first.set_params({"own": 1})
    inner.set_params({"inner": 2})
    flow = pf.Flow(start=first)
    flow.set_params({"outer": 3})

    flow.run({})

    assert seen[0] is seen[2]
    assert seen == [{"outer": 3, "mark": True}] * 3
    assert flow.params == {"outer": 3}
    assert first.params == {"own": 1}


def test_scalars_on_self_are_gone_after_the_visit_and_mutables_stay(pf: Any) -> None:
    class Keep(pf.Node):
        def __init__(self) -> None:
            super().__init__()
            self.count, self.list = 0, []

        def prep(self, shared: Any) -> Any:
            self.count += 1
            self.list.append(self.count)
            self.new = "new"

        def exec(self, prep_res: Any) -> Any:
            return self.count, self.new

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["seen"].append(exec_res)
            return "again" if len(shared["seen"]) < 3 else None

    keep = Keep()
    keep - "again" >> keep
    shared: dict[str, Any] = {"seen": []}

    with pytest.warns(UserWarning, match="Flow ends"):
        pf.Flow(start=keep).run(shared)

    assert shared["seen"] == [(1, "new")] * 3
    assert (keep.count, keep.list, hasattr(keep, "new")) == (0, [1, 1, 1], False)


def test_node_run_alone_does_not_copy(pf: Any) -> None:
    class Keep(pf.Node):
        def prep(self, shared: Any) -> Any:
            self.seen = shared["x"]

    keep = Keep()
    keep >> pf.Node()

    with pytest.warns(UserWarning, match=r"Node won't run successors. Use Flow\."):
        keep.run({"x": 7})

    assert keep.seen == 7


def test_the_exception_that_a_node_raised_reaches_the_caller_itself(pf: Any) -> None:
    class Custom(Exception):
        def __init__(self, a: int, *, b: int) -> None:
            super().__init__(a)
            self.a, self.b = a, b

    error = Custom(1, b=2)

    class Fail(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            raise error

    class AsyncFail(pf.AsyncNode):
        async def exec_async(self, prep_res: Any) -> Any:
            raise error

    for run in (
        lambda: pf.Flow(start=pf.Flow(start=Fail())).run({}),
        lambda: asyncio.run(pf.AsyncFlow(start=pf.AsyncFlow(start=AsyncFail())).run_async({})),
    ):
        with pytest.raises(Custom) as caught:
            run()
        assert caught.value is error
        assert (caught.value.args, caught.value.b) == ((1,), 2)


def test_retries_wait_by_time_sleep_and_asyncio_sleep(pf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[Any] = []

    async def sleep(seconds: float) -> None:
        slept.append(("async", seconds))

    monkeypatch.setattr(time, "sleep", lambda seconds: slept.append(seconds))

    class Fail(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            raise ValueError

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            return "spent"

    class AsyncFail(pf.AsyncNode):
        async def exec_async(self, prep_res: Any) -> Any:
            raise ValueError

        async def exec_fallback_async(self, prep_res: Any, exc: Exception) -> Any:
            return "spent"

    async def main() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await pf.AsyncFlow(start=AsyncFail(max_retries=2, wait=4)).run_async({})

    pf.Flow(start=Fail(max_retries=3, wait=2)).run({})
    asyncio.run(main())

    assert slept == [2, 2, ("async", 4)]


def test_an_interrupt_is_not_retried_and_reaches_the_caller(pf: Any) -> None:
    tries: list[int] = []

    class Interrupted(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            tries.append(1)
            raise KeyboardInterrupt

        def exec_fallback(self, prep_res: Any, exc: Exception) -> Any:
            tries.append(2)

    with pytest.raises(KeyboardInterrupt):
        pf.Flow(start=Interrupted(max_retries=3)).run({})

    assert tries == [1]


def test_an_async_flow_is_cancelled_like_any_task(pf: Any) -> None:
    cleaned: list[str] = []

    class Waits(pf.AsyncNode):
        async def exec_async(self, prep_res: Any) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                cleaned.append("cleaned")

        async def exec_fallback_async(self, prep_res: Any, exc: Exception) -> Any:
            cleaned.append("fallback")

    async def main() -> Any:
        task = asyncio.create_task(pf.AsyncFlow(start=Waits(max_retries=3)).run_async({}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        try:
            async with asyncio.timeout(0):
                await pf.AsyncFlow(start=Waits()).run_async({})
        except TimeoutError:
            cleaned.append("timeout")

    asyncio.run(main())

    assert cleaned[0] == "cleaned"
    assert cleaned[-1] == "timeout"
    assert "fallback" not in cleaned


def test_items_are_pulled_lazily_from_a_generator(pf: Any) -> None:
    order: list[str] = []

    class Chunks(pf.BatchNode):
        def prep(self, shared: Any) -> Any:
            for n in range(3):
                order.append(f"give {n}")
                yield n

        def exec(self, n: Any) -> Any:
            order.append(f"take {n}")
            return n * 10

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["out"] = exec_res

    shared: dict[str, Any] = {}

    pf.Flow(start=Chunks()).run(shared)

    assert shared["out"] == [0, 10, 20]
    assert order == ["give 0", "take 0", "give 1", "take 1", "give 2", "take 2"]


def test_twenty_thousand_visits_grow_no_stack(pf: Any) -> None:
    class Tick(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["n"] += 1
            return [] if shared["n"] < 20_000 else "done"  # an empty list is the default action too

    class Stop(pf.Node): ...

    tick = Tick()
    tick >> tick
    tick - "done" >> Stop()
    shared = {"n": 0}

    pf.Flow(start=tick).run(shared)

    assert shared["n"] == 20_000


def test_get_next_node_sees_the_visits_copy_with_its_params(pf: Any) -> None:
    seen: list[Any] = []

    class Route(pf.Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            return "go"

    class Custom(pf.Flow):
        def get_next_node(self, curr: Any, action: Any) -> Any:
            seen.append((curr is route, dict(curr.params), action))
            curr.visited = True
            return super().get_next_node(curr, action)

    route, end = Route(), pf.Node()
    route - "go" >> end
    flow = Custom(start=route)
    flow.set_params({"p": 1})

    flow.run({})

    assert seen == [(False, {"p": 1}, "go"), (False, {"p": 1}, None)]
    assert not hasattr(route, "visited")


def test_class_level_patches_between_two_runs_are_seen(pf: Any) -> None:
    class Say(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            return "first"

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared.append(exec_res)

    flow, said = pf.Flow(start=Say()), []
    flow.run(said)
    Say.exec = lambda self, prep_res: f"second, {self.params}"
    flow.run(said)

    assert said == ["first", "second, {}"]


def test_structured_output_is_asserted_and_tried_again(pf: Any) -> None:
    replies = iter(["no yaml", "a: 1", "reason: fine"])

    class Parse(pf.Node):
        def exec(self, prep_res: Any) -> Any:
            text = next(replies)
            assert text.startswith("reason"), "reason is missing"
            return text

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared["out"] = exec_res

    shared: dict[str, Any] = {}

    pf.Flow(start=Parse(max_retries=3)).run(shared)

    assert shared["out"] == "reason: fine"


def test_run_async_of_an_async_flow_says_that_it_is_to_be_awaited(pf: Any) -> None:
    flow, node = pf.AsyncFlow(start=pf.AsyncNode()), pf.AsyncNode()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # on 3.14 inspect's is the one to ask
        assert asyncio.iscoroutinefunction(flow.run_async)
    assert inspect.iscoroutinefunction(node.run_async)
    coro = flow.run_async({})
    assert inspect.iscoroutine(coro)
    assert asyncio.run(coro) is None


def test_a_dataclass_that_compares_by_its_fields_is_a_node(pf: Any) -> None:
    @dataclass
    class Say(pf.Node):
        word: str

        def __post_init__(self) -> None:
            super().__init__()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            shared.append(self.word)
            return "again" if len(shared) < 40 else "stop"

    first, second, said = Say("same"), Say("same"), []
    first - "again" >> second
    second - "again" >> first
    second - "stop" >> pf.Node()

    pf.Flow(start=first).run(said)

    assert said == ["same"] * 40


def test_a_node_that_hears_of_its_attributes_hears_of_its_own_only(pf: Any) -> None:
    heard: list[str] = []

    class Hears(pf.Node):
        def __setattr__(self, name: str, value: Any) -> None:
            heard.append(name)
            super().__setattr__(name, value)

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
            self.result = 1

    node = Hears()
    heard.clear()
    pf.Flow(start=node).run({})

    assert heard == ["params", "cur_retry", "result"]


def test_what_behaves_like_a_node_is_visited_as_one(pf: Any) -> None:
    class Duck:
        def __init__(self) -> None:
            self.successors: dict[str, Any] = {}

        def set_params(self, params: dict[str, Any]) -> None:
            self.params = params

        def _run(self, shared: Any) -> str:
            shared.append(self.params)
            return "quack"

    start, shared = pf.Node(), []
    start >> Duck()
    flow = pf.Flow(start=start)
    flow.set_params({"pond": 1})

    assert flow.run(shared) == "quack"
    assert shared == [{"pond": 1}]


@pytest.mark.parametrize("error", [TypeError, AttributeError])
def test_an_arrow_to_what_is_no_node_is_an_error(pf: Any, error: type[Exception]) -> None:
    start = pf.Node()
    start >> (pf.Node if error is TypeError else "its name")

    with pytest.raises(error):
        pf.Flow(start=start).run({})


@pytest.mark.parametrize("is_async", [False, True])
def test_a_node_that_counts_as_empty_ends_the_flow_with_the_warning(pf: Any, is_async: bool) -> None:
    class Basket(pf.Node):
        def __len__(self) -> int:
            return 0

        def exec(self, prep_res: Any) -> Any:
            raise AssertionError("an empty basket is no node to go to")

    first = pf.Node()
    first >> Basket()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if is_async:
            asyncio.run(pf.AsyncFlow(start=first).run_async({}))
        else:
            pf.Flow(start=first).run({})
    assert messages(caught) == ["Flow ends: 'None' not found in ['default']"]
