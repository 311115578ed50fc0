"""Flows that tests serve: ``python -m pocketflex_nb serve tests.llm.mcp.served:research``."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from pocketflex_nb import Flow, Node, ask, emit, node


class Draft(Node):
    """Reads a topic, tells progress, asks twice."""

    def prep(self, shared: Any) -> Any:
        return shared["topic"], shared.get("depth", 2)

    async def exec(self, prep_res: Any) -> Any:
        print("steps may print: it is not the protocol")
        emit("progress", done=1, total=4)
        verdict = await ask("Publish?", ["yes", "no"])
        count = await ask("How many copies?", schema=int)
        return f"{prep_res[0]} at depth {prep_res[1]}: {verdict}, {count}"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["draft"] = exec_res


class Wait(Node):
    """Waits until it is cancelled."""

    async def exec(self, prep_res: Any) -> None:
        await asyncio.sleep(600)


@node
def double(shared: Any) -> None:
    shared["twice"] = 2 * shared["number"]


@node
def divide(shared: Any) -> None:
    shared["part"] = shared["number"] / 0


@node
def tell_process(shared: Any) -> None:
    shared["pid"] = os.getpid()


research, wait, twice, broken, pid = (
    Flow(start, name=name) for start, name in
    ((Draft(), "research"), (Wait(), "wait"), (double, "twice"), (divide, "broken"), (tell_process, "pid"))
)
FLOWS = {"research": research, "wait": wait, "twice": twice, "broken": broken, "pid": pid}
