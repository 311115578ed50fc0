"""A program with a model and tools that is killed at its n-th deed: ``kill_target.py FOLDER N``; without N it goes on where it was left.

Each deed, a call of the model or of a tool, writes a line when it begins and one when it is done, before it returns.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketflex_nb import Flow, linear, node, resume
from pocketflex_nb.llm import Chat, Reply, tool, tool_agent

FOLDER, LAST = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
LOG = FOLDER / "deeds.txt"


def deed(name: str, value: Any) -> Any:
    begun = sum(line.startswith("begin") for line in LOG.read_text().splitlines()) if LOG.exists() else 0
    _write(f"begin {name}")
    if LAST and begun + 1 == LAST:
        os.kill(os.getpid(), signal.SIGKILL)
    _write(f"done {name}")
    return value


def _write(line: str) -> None:
    with LOG.open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


@dataclass
class Verdict:
    ok: bool


async def model(messages: list[Any], *, tools: Any = None, schema: Any = None) -> Reply:
    """What it says follows from what it was sent, as it must where a process may end in between."""
    if schema is not None:
        corrected = len(messages) > 1
        return deed(f"judge {1 + corrected}", Reply('{"ok": true}' if corrected else "yes", usage=10))
    done = [message["content"] for message in messages if message["role"] == "tool"]
    if not done:
        return deed("think 1", Reply("", [("add", {"a": 1, "b": 2}), ("double", {"a": 4})], usage=10))
    if len(done) == 2:
        return deed("think 2", Reply("", [("research", {"topic": "tides"})], usage=10))
    return deed("think 3", Reply(f"It is {', '.join(sorted(done))}.", usage=10))


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return deed("add", a + b)


@tool
async def double(a: int) -> int:
    """Double."""
    return deed("double", a * 2)


@node
def look(shared: Any) -> None:
    shared["page"] = deed("look", f"a page on {shared['topic']}")


@node
def sum_up(shared: Any) -> None:
    shared["found"] = deed("sum up", shared["page"].upper())


research = Flow(linear(look, sum_up, name="inside"), name="research", inputs=["topic"], outputs=["found"])
desk = tool_agent(model, "Be brief.", tools=[add, double, research], name="desk")
flow = linear(desk, Chat(model, "Is {answer} right?", writes="verdict", returns=Verdict, name="judge"), name="night")


def main() -> None:
    path = FOLDER / "runs.sqlite"
    if LAST:
        flow.launch({"question": "What is it?"}, journal=path).result(20)
        return
    run = resume(path, "night", flow=flow)
    run.result(20)
    print(run.store["answer"], run.store["verdict"], int(run.usage.tokens), len(run.store["messages"]))


if __name__ == "__main__":
    main()
