"""Flows as agents, and flows that give work to agents and other flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from pocketflex_nb import Flow, Node, Run, RunGroup, current, launch, node, runs
from pocketflex_nb.agents import Agent, AgentDown, FlowAgent, Ok, Supervisor, call, child, results, spawn, stream, whereis
from pocketflex_nb.engine.runs.run import lifecycle_of
from pocketflex_nb.testing import Recorder
from tests.agents.fakes import Boom, Counter


class Answer(Node):
    """Counts its messages; ``"fail"`` fails."""

    def prep(self, shared: Any) -> Any:
        return shared["message"]

    def exec(self, message: Any) -> Any:
        if message == "fail":
            raise Boom("asked to")
        return str(message).upper()

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["count"] = shared.get("count", 0) + 1
        if prep_res != "quiet":
            shared["reply"] = f"{exec_res} {shared['count']}"
        return "answered"


async def test_a_flow_agent_runs_its_flow_on_each_message_and_keeps_its_state() -> None:
    ref = await FlowAgent(Flow(Answer(), name="answer"), {"count": 10}).start(name="bot")

    assert await ref.call("hello") == "HELLO 11"
    ref.cast("silent")
    assert await call("bot", "quiet") == "answered"  # no reply: the last action
    assert ref.state()["count"] == 13
    assert [lifecycle_of(run).base for run in runs()][-3:] == ["bot"] * 3
    await ref.stop()


async def test_a_flow_that_fails_crashes_the_agent_and_a_fresh_one_answers() -> None:
    async with Supervisor([child(FlowAgent, Flow(Answer()), id="bot", name="bot")]) as sup:
        assert await call("bot", "a") == "A 1"
        with Recorder(sup) as seen:
            with pytest.raises(AgentDown) as info:
                await call("bot", "fail")
            await seen.until("start", "bot")
        assert isinstance(info.value.__cause__, Boom)
        assert await call("bot", "b") == "B 1"


async def test_a_blocking_step_does_not_stop_the_other_agents() -> None:
    class Blocks(Node):
        def exec(self, _: Any) -> None:
            time.sleep(0.5)

    bot, other = await FlowAgent(Flow(Blocks())).start(), await Counter.start()
    working = asyncio.create_task(bot.call("go", timeout=30))
    began = time.monotonic()
    for _ in range(20):
        await other.call(1)
    assert not working.done()
    assert time.monotonic() - began < 0.5
    await working
    await bot.stop()
    await other.stop()


async def test_ending_the_agent_cancels_its_run() -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    ended = []

    class Waits(Node):
        async def exec(self, _: Any) -> None:  # type: ignore[override]
            loop.call_soon_threadsafe(started.set)
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(True)

    ref = await FlowAgent(Flow(Waits())).start(name="waiter")
    ref.cast("go")
    await started.wait()
    run = runs()[-1]
    monitor = ref.monitor()

    ref.exit("shutdown")

    assert (await monitor).reason == "shutdown"
    assert run.wait(5)
    assert run.status == "cancelled"
    assert ended == [True]


async def test_a_node_launches_flows_waits_for_all_and_collects() -> None:
    @node
    async def double(shared: Any) -> None:
        await asyncio.sleep(0)
        shared["doubled"] = shared["n"] * 2

    class Orchestrate(Node):
        async def exec(self, numbers: list[int]) -> list[int]:  # type: ignore[override]
            group = launch([(Flow(double), {"n": n}) for n in numbers], show=False)
            await asyncio.gather(*(run.wait_async() for run in group))
            return [run.store["doubled"] for run in group]

        def prep(self, shared: Any) -> Any:
            return shared["numbers"]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["sum"] = sum(exec_res)

    store = {"numbers": [1, 2, 3]}
    await Flow(Orchestrate()).run_async(store)
    assert store["sum"] == 12


async def test_cancelling_the_orchestrator_cancels_its_flows_and_tasks() -> None:
    ended: list[str] = []

    async def sleeper(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)

    class Sleeps(Node):
        async def exec(self, _: Any) -> None:  # type: ignore[override]
            await sleeper("flow")

    class Orchestrate(Node):
        async def exec(self, _: Any) -> None:  # type: ignore[override]
            run = launch(Flow(Sleeps()), {}, show=False)
            task = spawn(sleeper, "task")
            try:
                await asyncio.gather(run.wait_async(), task.result(timeout=None))
            finally:
                await task.shutdown()

    run = launch(Flow(Orchestrate()), {}, show=False)
    await asyncio.sleep(0.1)
    run.cancel()
    await asyncio.to_thread(run.wait, 10)
    assert run.status == "cancelled"
    assert sorted(ended) == ["flow", "task"]


class Hold(Node):
    """Tells that it waits, waits, and writes down that it was ended."""

    waiting: ClassVar[set[str]] = set()
    ended: ClassVar[list[str]] = []

    def prep(self, shared: Any) -> Any:
        return shared["name"]

    async def exec(self, name: str) -> None:  # type: ignore[override]
        await hold(name)


async def hold(name: str) -> None:
    """Wait for ever, and write down the end."""
    Hold.waiting.add(name)
    try:
        await asyncio.Event().wait()
    finally:
        Hold.ended.append(name)


class Holder(Agent):
    """Works for ever on whatever it is asked."""

    async def handle_call(self, message: Any, caller: Any) -> None:
        await hold(message)


async def cancelled_while(step: Callable[[], Awaitable[Any]], *names: str) -> Run:
    """The run of a node that does `step`, cancelled as soon as all of `names` hold; and each must have ended."""
    Hold.waiting.clear()
    Hold.ended.clear()

    class Orchestrate(Node):
        async def exec(self, _: Any) -> Any:  # type: ignore[override]
            return await step()

    run: Run = launch(Flow(Orchestrate()), {}, show=False)
    await until(lambda: Hold.waiting == set(names))
    run.cancel()
    await run.wait_async()
    await until(lambda: sorted(Hold.ended) == sorted(names))
    assert run.status == "cancelled"
    return run


async def until(happened: Callable[[], bool]) -> None:
    """Look again and again, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not happened():
            await asyncio.sleep(0.005)


def holders(*names: str) -> RunGroup:
    """Inner runs that hold."""
    group: RunGroup = launch([(Flow(Hold()), {"name": name}) for name in names], show=False)
    return group


async def test_cancelling_a_node_that_waits_for_all_cancels_all() -> None:
    groups: list[RunGroup] = []

    async def wait() -> None:
        groups.append(holders("a", "b"))
        await groups[0]

    await cancelled_while(wait, "a", "b")
    assert groups[0].counts() == {"cancelled": 2}


async def test_cancelling_a_node_that_waits_for_the_first_cancels_all() -> None:
    async def first() -> Any:
        async for run in holders("a", "b"):
            return run
        return None

    await cancelled_while(first, "a", "b")


async def test_cancelling_a_node_ends_the_task_it_waits_for() -> None:
    await cancelled_while(lambda: spawn(hold, "task").result(timeout=None), "task")


async def test_cancelling_a_node_ends_a_task_that_it_does_not_wait_for() -> None:
    async def aside() -> None:
        spawn(hold, "task")
        await hold("step")

    await cancelled_while(aside, "task", "step")


async def test_an_unlinked_task_and_an_ignored_one_outlive_the_cancelled_run() -> None:
    tasks: list[Any] = []

    async def free() -> None:
        tasks.extend([spawn(hold, "unlinked", link=False), spawn(hold, "ignored")])
        tasks[1].ignore()
        await until(lambda: Hold.waiting == {"unlinked", "ignored"})
        Hold.waiting.clear()
        await hold("step")

    await cancelled_while(free, "step")
    assert [task.outcome for task in tasks] == [None, None]
    for task in tasks:
        task.exit("kill")
    await until(lambda: sorted(Hold.ended) == ["ignored", "step", "unlinked"])


async def test_a_run_forgets_the_tasks_that_are_over() -> None:
    async def nothing() -> None:
        pass

    class Spawns(Node):
        async def exec(self, _: Any) -> int:  # type: ignore[override]
            await results([spawn(nothing) for _ in range(50)])
            return len(current().lifecycle.cancellations or ())

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["kept"] = exec_res

    run = launch(Flow(Spawns()), {}, show=False)
    await run
    assert run.store["kept"] == 0


async def test_cancelling_a_node_ends_the_agents_of_its_supervisor() -> None:
    async def ask() -> None:
        async with Supervisor([child(Holder, id="holder", name="holder")]):
            await call("holder", "call", timeout=None)

    await cancelled_while(ask, "call")
    await until(lambda: whereis("holder") is None)


async def test_a_node_waits_for_the_first_run_and_cancels_the_others() -> None:
    @node
    def quick(shared: Any) -> None:
        shared["answer"] = "quick"

    groups: list[RunGroup] = []

    class First(Node):
        async def exec(self, _: Any) -> Any:  # type: ignore[override]
            flows = {"slow": Flow(Hold()), "broken": Flow(node(lambda shared: shared["nothing"])), "quick": Flow(quick)}
            groups.append(launch(flows, {"name": "slow"}, show=False))
            try:
                async for run in groups[0]:
                    if run.status == "done":
                        return run.store["answer"]
            finally:
                groups[0].cancel()

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answer"] = exec_res

    run = launch(Flow(First()), {}, show=False)
    await run
    await groups[0]

    assert run.store["answer"] == "quick"
    assert {name: each.status for name, each in groups[0].runs.items()} == {"slow": "cancelled", "broken": "failed", "quick": "done"}


async def test_a_node_that_waits_for_all_gets_results_and_failures() -> None:
    class All(Node):
        async def exec(self, _: Any) -> Any:  # type: ignore[override]
            group = await launch([(Flow(Answer()), {"message": word}) for word in ("one", "fail", "two")], show=False)
            return [each.error or each.store["reply"] for each in group]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["found"] = exec_res

    run = launch(Flow(All()), {}, show=False)
    await run
    one, failure, two = run.store["found"]
    assert (one, two) == ("ONE 1", "TWO 1")
    assert isinstance(failure, Boom)
    assert run.status == "done"


async def test_a_node_takes_the_first_good_answer_and_failures_do_not_hurt() -> None:
    async def ask(model: str) -> str:
        if model == "broken":
            raise Boom("down")
        await asyncio.sleep(60 if model == "slow" else 0.01)
        return f"{model} says hello"

    class Race(Node):
        async def exec(self, _: Any) -> Any:  # type: ignore[override]
            async for outcome in stream(ask, ["slow", "broken", "quick"], ordered=False, timeout=30):
                if isinstance(outcome, Ok):
                    return outcome.value
            return None

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["answer"] = exec_res

    store: dict[str, Any] = {}
    await Flow(Race()).run_async(store)
    assert store["answer"] == "quick says hello"


async def test_a_node_calls_agents_and_tells_who_it_is() -> None:
    ref = await Counter.start(name="tally")

    class Adds(Node):
        async def exec(self, _: Any) -> Any:  # type: ignore[override]
            assert current().run.flow is flow
            return await asyncio.gather(*(call("tally", n) for n in (1, 2, 3)))

    flow = Flow(Adds())
    run = launch(flow, {}, show=False)
    await run
    assert await ref.call("get") == 6
    assert whereis("tally") is ref
    assert await results([spawn(call, "tally", 0)]) == [6]
    await ref.stop()
