"""Agents and flows use what is shared as it is: a store's changes wake an agent, and one step's work wakes the next kernel's flow."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from pocketflex_nb import Agent, Flow, Node, launch, open_store
from pocketflex_nb.resources.stores.shared_store import SharedStore

Pair = tuple[SharedStore, SharedStore]


class Writer(Agent):
    """Writes a draft of each plan that stands in its store."""

    async def init(self, store: Any) -> None:
        self.store, self.plans = store, store.watch("plan")
        self.reading = asyncio.create_task(self.read())

    async def read(self) -> None:
        async for change in self.plans:
            self.ref.cast(change.new)

    async def handle_cast(self, message: Any) -> None:
        await self.store.aset("draft", f"on {message}")

    async def terminate(self, reason: Any) -> None:
        self.plans.close()
        await self.reading


def test_an_agent_is_woken_by_a_watch_and_answers_through_the_store(pair: Pair) -> None:
    mine, yours = pair

    async def main() -> list[Any]:
        writer = await Writer.start(yours)
        with mine.watch("draft") as drafts:
            seen = []
            for plan in ("bees", "tides", "maps"):
                await mine.aset("plan", plan)
                seen.append((await asyncio.wait_for(anext(drafts), 30)).new)
        await writer.stop()
        return seen

    assert asyncio.run(main()) == ["on bees", "on tides", "on maps"]


def test_an_agents_own_cast_is_what_a_store_tells(pair: Pair) -> None:
    mine, yours = pair

    class Listener(Agent):
        async def init(self, heard: asyncio.Queue[Any]) -> None:
            self.heard = heard

        async def handle_cast(self, message: Any) -> None:
            self.heard.put_nowait((message.key, message.new))

    async def main() -> Any:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        listener = await Listener.start(heard)
        end = yours.subscribe(listener.cast, "plan")
        await mine.aset("other", 1)
        await mine.aset("plan", "bees")
        first = await asyncio.wait_for(heard.get(), 30)
        end()
        await listener.stop()
        return first

    assert asyncio.run(main()) == ("plan", "bees")


def test_a_step_waits_in_a_watch_for_what_another_run_writes(pair: Pair) -> None:
    mine, yours = pair
    began = threading.Event()

    class Wait(Node):
        async def exec(self, prep_res: Any) -> Any:
            with yours.watch("plan") as plans:
                began.set()
                return (await anext(plans)).new

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["got"] = exec_res

    class Plan(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["plan"] = "bees"

    waiting = Flow(Wait(), name="waiting").launch(yours, show=False)
    assert began.wait(30)
    Flow(Plan(), name="planning").launch(mine, show=False).result(30)
    waiting.result(30)

    assert mine["got"] == "bees"
    assert mine.who("got").run.startswith("waiting")


def test_a_url_is_all_that_flows_of_one_group_share(url: str) -> None:
    class Add(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared.increment("n")
            shared.update("names", lambda names: [*(names or []), 1])

    with open_store(url) as store:
        launch({f"agent {number}": Flow(Add()) for number in range(5)}, share=store, show=False).results()

        with open_store(url) as other:
            assert (other["n"], other["names"]) == (5, [1] * 5)
