"""What agents do when Python ends: they end in order, within two seconds."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

CODE = """
import asyncio, os, sys, time
from pocketflex_nb.agents import Agent, DynamicSupervisor, Supervisor, child, spawn
class Says(Agent):
    async def init(self, name, seconds=0):
        self.name, self.seconds = name, seconds
    async def terminate(self, reason):
        await asyncio.sleep(self.seconds)
        print(self.name, reason, flush=True)
class Holds(Agent):
    async def handle_cast(self, message):
        time.sleep(60)
Says.start_sync("first")
Supervisor([child(Says, "a", id="a"), child(Says, "b", id="b"), Supervisor([child(Says, "c", id="c")], name="inner")]).start_sync()
Says.start_sync("second", 0.05)
spawn(asyncio.sleep, 60)
"""
ORDER = ["second shutdown", "c shutdown", "b shutdown", "a shutdown", "first shutdown"]


def _ran(more: str = "") -> tuple[list[str], float, int]:
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", CODE + more], capture_output=True, text=True, timeout=50, check=False)
    return done.stdout.splitlines(), time.monotonic() - start, done.returncode


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise ValueError"])
def test_agents_end_in_order_when_python_ends(end: str) -> None:
    told, _, code = _ran(end)

    assert told == ORDER
    assert code == {"": 0, "sys.exit(3)": 3}.get(end, 1)


def test_one_that_takes_its_time_keeps_nobody_from_ending() -> None:
    _, quick, _ = _ran()

    told, slow, _ = _ran('Says.start_sync("slow", 60)')

    assert told == ORDER
    assert slow - quick < 10  # it takes 2 s, on a machine that has nothing else to do


def test_a_loop_that_is_held_does_not_hold_the_end_up() -> None:
    _, quick, _ = _ran()

    told, slow, _ = _ran("Holds.start_sync().cast(1); time.sleep(0.2)")

    assert told == []
    assert slow - quick < 10


def test_an_agent_with_a_process_of_its_own_ends_too() -> None:
    told, _, code = _ran('Says.start_sync("far", isolation="process", name="far")')

    assert told == ["far shutdown", *ORDER]
    assert code == 0


def test_a_fork_leaves_its_parents_agents_alone() -> None:
    told, _, code = _ran("pid = os.fork()\nif pid == 0:\n    sys.exit(0)\nos.waitpid(pid, 0)")

    assert told == ORDER
    assert code == 0
