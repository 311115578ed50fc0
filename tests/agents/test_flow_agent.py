"""Flows as agents, and flows that give work to agents and other flows."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, current, launch, node, runs
from pocketflex_nb.agents import AgentDown, FlowAgent, Ok, Supervisor, call, child, results, spawn, stream, whereis
from pocketflex_nb.testing import Recorder
from tests.agents.people import Boom, Counter


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
    assert [run.base for run in runs()][-3:] == ["bot"] * 3
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
