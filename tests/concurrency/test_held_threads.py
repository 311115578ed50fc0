"""Python exits in order, with plain runs inside async steps in every state."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, sys, threading, time
from pocketflex_nb import Flow, Node

class Inside(Node):
    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    async def exec(self, prep_res):
        await asyncio.sleep(0)
        self.flow.run({})

class Wait(Node):
    async def exec(self, prep_res):
        await asyncio.Event().wait()

class Turn(Node):
    async def exec(self, prep_res):
        while True:
            await asyncio.sleep(0)

class Again(Node):
    def post(self, shared, prep_res, exec_res):
        return "again"

class Compute(Node):
    async def exec(self, prep_res):
        while True:
            sum(range(100))

class Block(Node):
    async def exec(self, prep_res):
        time.sleep(30)

class End(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.01)

again = Again()
again - "again" >> again

def launch(start):
    runs = [Flow(Inside(Flow(start))).launch({}, show=False) for _ in range(20)]
    while not any(child.in_flight() for run in runs for child in list(run.children or ())):
        time.sleep(0.001)
    return runs

def begun(tasks):
    return [asyncio.ensure_future(Flow(Inside(Flow(Wait()))).run_async({})) for _ in range(tasks)]

async def left():
    asyncio.get_running_loop().left = begun(5)
    for _ in range(50):
        await asyncio.sleep(0)

def in_thread(join):
    thread = threading.Thread(target=asyncio.run, args=(left(),) if join else (Flow(Inside(Flow(Turn()))).run_async({}),), daemon=True)
    thread.start()
    thread.join(None if join else 0.3)
"""

STATES = {
    "ended": "[run.wait(10) for run in [Flow(Inside(Flow(End()))).launch({}, show=False) for _ in range(20)]]",
    "cancelled": "runs = launch(Wait()); [run.cancel() for run in runs]; [run.wait(10) for run in runs]",
    "suspended": "launch(Wait())",
    "turning": "launch(Turn())",
    "never waiting": "launch(again)",
    "computing": "launch(Wait()); Flow(Inside(Flow(Compute()))).launch({}, show=False); time.sleep(0.2)",
    "blocking": "launch(Wait()); Flow(Inside(Flow(Block()))).launch({}, show=False); time.sleep(0.2)",
    "on a user's loop that is over": "asyncio.run(left())",
    "on a user's loop in a thread": "in_thread(join=False)",
    "on a user's loop in a thread that is over": "in_thread(join=True)",
    "that end by sys.exit": "launch(Wait()); sys.exit(0)",
}


@pytest.mark.parametrize("state", STATES)
def test_python_exits_in_order_while_runs_are(state: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM + STATES[state]], capture_output=True, text=True, timeout=50, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
