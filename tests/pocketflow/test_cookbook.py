"""Programs as PocketFlow's cookbook has them, and the tools that people put around them, with one import line changed."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import pickle
import queue
import threading
import time
import types
from typing import Any

import pocketflow
import pytest

from pocketflex_nb import pocketflow as ours
from pocketflex_nb import runs

MODULES = pytest.mark.parametrize("m", [pocketflow, ours], ids=["pocketflow", "ours"])
M = types.ModuleType


@MODULES
def test_a_chat_loops_until_the_person_leaves(m: M) -> None:
    typed = iter(["hi", "how are you", "exit"])

    class Chat(m.Node):
        def prep(self, shared):
            shared.setdefault("messages", [])
            text = next(typed)
            if text == "exit":
                return None
            shared["messages"].append({"role": "user", "content": text})
            return shared["messages"]

        def exec(self, messages):
            return None if messages is None else f"echo {messages[-1]['content']}"

        def post(self, shared, prep_res, exec_res):
            if prep_res is None:
                return None
            print(f"Assistant: {exec_res}")
            shared["messages"].append({"role": "assistant", "content": exec_res})
            return "continue"

    chat = Chat()
    chat - "continue" >> chat
    shared, out = {}, io.StringIO()

    with contextlib.redirect_stdout(out), pytest.warns(UserWarning, match=r"Flow ends: 'None' not found in \['continue'\]"):
        m.Flow(start=chat).run(shared)

    assert out.getvalue() == "Assistant: echo hi\nAssistant: echo how are you\n"
    assert [message["role"] for message in shared["messages"]] == ["user", "assistant"] * 2


@MODULES
def test_map_and_reduce(m: M) -> None:
    class Read(m.Node):
        def post(self, shared, prep_res, exec_res):
            shared["files"] = {"a": "one two", "b": "three"}

    class Map(m.BatchNode):
        def prep(self, shared):
            return list(shared["files"].items())

        def exec(self, item):
            name, text = item
            return name, len(text.split())

        def post(self, shared, prep_res, exec_res_list):
            shared["counts"] = dict(exec_res_list)
            return "default"

    class Reduce(m.Node):
        def prep(self, shared):
            return shared["counts"]

        def exec(self, counts):
            return sum(counts.values())

        def post(self, shared, prep_res, exec_res):
            shared["total"] = exec_res

    read, mapping, reducing = Read(), Map(max_retries=3), Reduce()
    read >> mapping >> reducing
    shared = {}

    m.Flow(start=read).run(shared)

    assert shared["total"] == 3


@MODULES
def test_an_agent_decides_searches_and_answers(m: M) -> None:
    class Decide(m.Node):
        def prep(self, shared):
            return shared["question"], shared.get("context", "none")

        def exec(self, inputs):
            _, context = inputs
            return {"action": "answer"} if context.count("fact") >= 2 else {"action": "search", "query": f"q{context.count('fact')}"}

        def post(self, shared, prep_res, exec_res):
            shared["query"] = exec_res.get("query")
            return exec_res["action"]

    class Search(m.Node):
        def __init__(self, max_retries=1, wait=0):
            super().__init__(max_retries, wait)
            self.calls = []

        def prep(self, shared):
            return shared["query"]

        def exec(self, query):
            self.calls.append(query)
            if len(self.calls) == 1:
                raise ConnectionError("first call fails")
            return f"fact about {query};"

        def post(self, shared, prep_res, exec_res):
            shared["context"] = shared.get("context", "") + exec_res
            return "decide"

    class Answer(m.Node):
        def post(self, shared, prep_res, exec_res):
            shared["answer"] = shared["context"]
            return "done"

    decide, search, answer = Decide(), Search(max_retries=2), Answer()
    decide - "search" >> search
    decide - "answer" >> answer
    search - "decide" >> decide
    shared = {"question": "?"}

    assert m.Flow(start=decide).run(shared) == "done"
    assert shared["answer"] == "fact about q0;fact about q1;"
    assert search.calls == ["q0", "q0", "q1"]


@MODULES
def test_a_parallel_batch_flow_over_files_and_filters(m: M) -> None:
    class Load(m.AsyncNode):
        async def prep_async(self, shared):
            return self.params["input"]

        async def exec_async(self, name):
            await asyncio.sleep(0)
            return f"<{name}>"

        async def post_async(self, shared, prep_res, exec_res):
            shared["loaded"][self.params["input"], self.params["filter"]] = exec_res
            return "apply"

    class Apply(m.AsyncNode):
        async def post_async(self, shared, prep_res, exec_res):
            key = self.params["input"], self.params["filter"]
            shared["out"].append((key, shared["loaded"][key]))

    class All(m.AsyncParallelBatchFlow):
        async def prep_async(self, shared):
            return [{"input": i, "filter": f} for i in ("cat", "dog") for f in ("gray", "blur")]

        async def post_async(self, shared, prep_res, exec_res):
            return len(prep_res)

    load, apply_filter = Load(), Apply()
    load - "apply" >> apply_filter
    shared = {"loaded": {}, "out": []}

    assert asyncio.run(All(start=load).run_async(shared)) == 4
    assert sorted(shared["out"]) == sorted(((i, f), f"<{i}>") for i in ("cat", "dog") for f in ("gray", "blur"))


@MODULES
def test_nested_flows_with_params_at_two_levels(m: M) -> None:
    class Grade(m.Node):
        def post(self, shared, prep_res, exec_res):
            shared["seen"].append((self.params["class"], self.params["student"]))

    class PerStudent(m.BatchFlow):
        def prep(self, shared):
            return [{"student": s} for s in shared["school"][self.params["class"]]]

        def post(self, shared, prep_res, exec_res):
            shared["done"].append(self.params["class"])

    class PerClass(m.BatchFlow):
        def prep(self, shared):
            return [{"class": c} for c in shared["school"]]

    shared = {"school": {"a": ["Ada", "Alan"], "b": ["Bo"]}, "seen": [], "done": []}

    m_flow = PerClass(start=PerStudent(start=Grade()))
    m_flow.run(shared)

    assert shared["seen"] == [("a", "Ada"), ("a", "Alan"), ("b", "Bo")]
    assert shared["done"] == ["a", "b"]


@MODULES
def test_two_agents_talk_through_queues_on_one_loop(m: M) -> None:
    class Hinter(m.AsyncNode):
        async def prep_async(self, shared):
            guess = await shared["hinter_queue"].get()
            return None if guess == "GAME_OVER" else guess

        async def exec_async(self, guess):
            return None if guess is None else f"not {guess}"

        async def post_async(self, shared, prep_res, exec_res):
            if exec_res is None:
                return "end"
            await shared["guesser_queue"].put(exec_res)
            return "continue"

    class Guesser(m.AsyncNode):
        async def prep_async(self, shared):
            return await shared["guesser_queue"].get()

        async def exec_async(self, hint):
            return f"guess after {hint}"

        async def post_async(self, shared, prep_res, exec_res):
            shared["guesses"].append(exec_res)
            if len(shared["guesses"]) == 3:
                await shared["hinter_queue"].put("GAME_OVER")
                return "end"
            await shared["hinter_queue"].put(str(len(shared["guesses"])))
            return "continue"

    async def main():
        shared = {"hinter_queue": asyncio.Queue(), "guesser_queue": asyncio.Queue(), "guesses": []}
        await shared["hinter_queue"].put("")
        hinter, guesser = Hinter(), Guesser()
        for node in (hinter, guesser):
            node - "continue" >> node
            node - "end" >> m.Node()
        await asyncio.gather(m.AsyncFlow(start=hinter).run_async(shared), m.AsyncFlow(start=guesser).run_async(shared))
        return shared["guesses"]

    assert asyncio.run(main()) == ["guess after not ", "guess after not 1", "guess after not 2"]


@MODULES
def test_a_flow_in_a_worker_thread_waits_for_a_person_at_a_queue(m: M) -> None:
    class Review(m.Node):
        def prep(self, shared):
            shared["asks"].put("ok?")
            return shared["answers"].get(timeout=10)

        def post(self, shared, prep_res, exec_res):
            shared["said"] = prep_res
            return prep_res

    shared = {"asks": queue.Queue(), "answers": queue.Queue()}
    review = Review()
    review - "rejected" >> review
    review - "approved" >> m.Node()
    thread = threading.Thread(target=m.Flow(start=review).run, args=(shared,))
    thread.start()

    for answer in ("rejected", "approved"):
        assert shared["asks"].get(timeout=10) == "ok?"
        shared["answers"].put(answer)
    thread.join(10)

    assert shared["said"] == "approved"


@MODULES
def test_a_flow_in_a_thread_writes_to_the_loops_queue(m: M) -> None:
    async def main():
        loop, messages = asyncio.get_running_loop(), asyncio.Queue()

        class Tells(m.Node):
            def exec(self, _):
                loop.call_soon_threadsafe(messages.put_nowait, "progress")

        flow = m.Flow(start=Tells())
        await asyncio.to_thread(flow.run, {})
        return await asyncio.wait_for(messages.get(), 10)

    assert asyncio.run(main()) == "progress"


def _trace(flow, log):
    """The cookbook's tracing decorator: wrap each node's `_run` on the instance, and the flow's `run` on its class."""
    seen, queue_ = set(), [flow.start_node]
    while queue_:
        node = queue_.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        queue_ += list(node.successors.values())
        for hook in ("prep", "exec", "post"):
            original, name = getattr(node, hook), f"{type(node).__name__}.{hook}"

            def traced(*args, _original=original, _name=name):
                log.append(f"> {_name}")
                try:
                    return _original(*args)
                finally:
                    log.append(f"< {_name}")

            setattr(node, hook, traced)
        node._pocketflow_traced = True


@MODULES
def test_a_tracer_patches_the_steps_of_every_instance(m: M) -> None:
    class First(m.Node):
        def exec(self, _):
            return 1

    class Second(m.Node):
        def post(self, shared, prep_res, exec_res):
            shared["done"] = True

    first, second = First(max_retries=2), Second()
    first >> second
    flow, log, shared = m.Flow(start=first), [], {}
    _trace(flow, log)

    flow.run(shared)

    steps = [f"{kind} {name}.{hook}" for name in ("First", "Second") for hook in ("prep", "exec", "post") for kind in "><"]
    assert log == steps
    assert shared == {"done": True}


@MODULES
def test_a_decorator_replaces_run_on_a_flow_class(m: M) -> None:
    calls = []

    def trace_flow(cls):
        original = cls.run

        def run(self, shared):
            calls.append(type(self).__name__)
            self._trace_id = "t1"
            return original(self, shared)

        cls.run = run
        cls._pocketflow_traced = True
        return cls

    @trace_flow
    class Mine(m.Flow):
        def __init__(self):
            super().__init__(start=m.Node())

    Mine().run({})

    assert calls == ["Mine"]


@MODULES
def test_a_subclass_wraps_orch_and_sees_the_stack_of_flows(m: M) -> None:
    import inspect

    stacks = []

    class Looks(m.Node):
        def exec(self, _):
            names, frame = [], inspect.currentframe()
            while frame:
                me = frame.f_locals.get("self")
                if isinstance(me, m.BaseNode) and (not names or names[-1] != type(me).__name__):
                    names.append(type(me).__name__)
                frame = frame.f_back
            stacks.append(names)

    class Inner(m.Flow):
        pass

    class Outer(m.Flow):
        def _orch(self, shared, params=None):
            return super()._orch(shared, params)

    Outer(start=Inner(start=Looks())).run({})

    assert stacks == [["Looks", "Inner", "Outer"]]


@MODULES
def test_a_visualiser_walks_the_successors(m: M) -> None:
    def mermaid(start):
        ids, lines = {}, []

        def walk(node):
            if node in ids:
                return
            ids[node] = f"N{len(ids) + 1}"
            for action, target in node.successors.items():
                walk(target)
                lines.append(f"{ids[node]} --{action}--> {ids[target]}")
            if isinstance(node, m.Flow) and node.start_node:
                walk(node.start_node)

        walk(start)
        return lines

    a, b, c = m.Node(), m.BatchNode(), m.AsyncNode()
    a >> b
    b - "again" >> a
    b >> m.Flow(start=c)

    assert mermaid(a) == ["N2 --again--> N1", "N2 --default--> N3", "N1 --default--> N2"]


class Counted(ours.Node):
    """At module level, so that it can be pickled."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared["n"] = shared.get("n", 0) + 1
        return "again" if shared["n"] < 3 else "done"


def test_flows_are_copied_and_pickled_before_and_after_they_run() -> None:
    counted = Counted(max_retries=2)
    counted - "again" >> counted
    counted - "done" >> ours.Node()
    flow = ours.Flow(start=counted)

    for twin in (flow, copy.deepcopy(flow), pickle.loads(pickle.dumps(flow)), copy.copy(flow)):
        shared: dict[str, Any] = {}
        twin.run(shared)
        assert shared["n"] == 3


@MODULES
def test_params_are_one_dict_that_all_nodes_of_a_run_share(m: M) -> None:
    class Leaves(m.Node):
        def prep(self, shared):
            self.params["left"] = "by the first"

    class Finds(m.Node):
        def prep(self, shared):
            shared["found"] = self.params.get("left")

    leaves, finds = Leaves(), Finds()
    leaves >> finds
    shared = {}

    m.Flow(start=leaves).run(shared)

    assert shared["found"] == "by the first"


@MODULES
def test_any_parameter_names_will_do(m: M) -> None:
    class Odd(m.Node):
        def prep(self, shared_storage):
            return 1

        def exec(self, *args):
            return args

        def post(self, s, p, result_of_exec):
            s["result"] = result_of_exec

    shared = {}
    m.Flow(start=Odd()).run(shared)

    assert shared["result"] == (1,)


@MODULES
def test_streaming_stops_when_a_thread_of_the_node_says_so(m: M) -> None:
    class Stream(m.Node):
        def prep(self, shared):
            stop = threading.Event()
            listener = threading.Thread(target=stop.set)
            listener.start()
            return iter("abc"), stop, listener

        def exec(self, prep_res):
            chunks, stop, listener = prep_res
            listener.join(10)
            return [chunk for chunk in chunks if not stop.is_set()]

        def post(self, shared, prep_res, exec_res):
            shared["chunks"] = exec_res

    shared = {}
    m.Flow(start=Stream()).run(shared)

    assert shared["chunks"] == []


@MODULES
def test_a_flow_runs_inside_a_running_loop_on_the_calling_thread(m: M) -> None:
    async def main():
        shared = {}

        class Where(m.Node):
            def exec(self, _):
                return threading.get_ident()

            def post(self, shared, prep_res, exec_res):
                shared["thread"] = exec_res

        m.Flow(start=Where()).run(shared)
        return shared["thread"] == threading.get_ident()

    assert asyncio.run(main())


@MODULES
def test_nothing_yields_between_post_and_the_next_prep(m: M) -> None:
    log = []

    class Step(m.AsyncNode):
        def __init__(self, name):
            super().__init__()
            self.mark = name

        async def prep_async(self, shared):
            log.append(f"{self.mark} prep")

        async def post_async(self, shared, prep_res, exec_res):
            log.append(f"{self.mark} post")

    async def other():
        for _ in range(5):
            log.append("other")
            await asyncio.sleep(0)

    async def main():
        first = Step("a")
        first >> Step("b")
        await asyncio.gather(other(), m.AsyncFlow(start=first).run_async({}), other())

    asyncio.run(main())

    assert log[1:5] == ["a prep", "a post", "b prep", "b post"]


@MODULES
def test_wait_stands_between_tries_only(m: M, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)

    class Fails(m.Node):
        def exec(self, _):
            raise ValueError

        def exec_fallback(self, prep_res, exc):
            return "fallback"

    m.Flow(start=Fails(max_retries=3, wait=7)).run({})

    assert slept == [7, 7]


# where PocketFlow 0.0.3 is wrong or old, and what we do --------------------------------------------------------------------
def test_each_parallel_item_counts_its_own_tries() -> None:
    """PocketFlow's head shares `cur_retry` between the items, which loses tries and can turn an item into None."""
    tried: dict[int, list[int]] = {}

    class Each(ours.AsyncParallelBatchNode):
        async def prep_async(self, shared):
            return range(5)

        async def exec_async(self, item):
            tried.setdefault(item, []).append(self.cur_retry)
            await asyncio.sleep(0)
            if len(tried[item]) < 3:
                raise ValueError(item)
            return item

        async def post_async(self, shared, prep_res, exec_res):
            shared["results"] = exec_res

    shared: dict[str, Any] = {}
    asyncio.run(ours.AsyncFlow(start=Each(max_retries=3)).run_async(shared))

    assert shared["results"] == list(range(5))
    assert all(numbers == [0, 1, 2] for numbers in tried.values())


def test_an_item_that_failed_every_try_is_never_none() -> None:
    class Each(ours.AsyncParallelBatchNode):
        async def prep_async(self, shared):
            return range(3)

        async def exec_async(self, item):
            raise ValueError(item)

    with pytest.raises(ValueError):
        asyncio.run(ours.AsyncFlow(start=Each(max_retries=2, wait=0.001)).run_async({}))


def test_cur_retry_may_be_read_before_the_first_try() -> None:
    """0.0.3 raises AttributeError there."""
    assert ours.Node().cur_retry == 0


@pytest.mark.parametrize("launched", [False, True])
def test_every_program_leaves_a_record_that_can_be_drawn(launched: bool) -> None:
    counted = Counted()
    counted - "again" >> counted
    counted - "done" >> ours.Node()
    flow = ours.Flow(start=counted)

    if launched:
        flow.launch({}, show=False).result(10)
    else:
        flow.run({})

    assert runs()[-1].state().nodes["Counted"].visits == 3
