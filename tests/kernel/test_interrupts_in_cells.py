"""The stop button, in every way in which a cell can wait, and at every moment: the next cell runs and prints as ever."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.kernel.kernels import Kernel

_SETUP = """
%load_ext pocketflex_nb
import asyncio, queue, signal, sys, threading, time
from pocketflex_nb import Flow, Node, current, launch, node, runs, stream
from pocketflex_nb.core.context import CURRENT_FRAME
from pocketflex_nb.engine.launch import launch_each
from pocketflex_nb.concurrency.engine_thread import engine_thread
from pocketflex_nb.notebook.shell.cell_interrupts import runs_cell

class Waits(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(600)

class Inside(Node):
    async def exec(self, prep_res):
        return waits.run({})

class Short(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.002)

class Plain(Node):
    def exec(self, prep_res):
        return sum(range(5))

waits, short, plain = (Flow(n(), name=n.__name__.lower()) for n in (Waits, Short, Plain))
limited = Flow(Waits(), max_steps=9)
inside, start = Flow(Inside()), node(lambda shared: None)
start >> [Inside(), Inside()]
insides = Flow(start)
both = node(lambda shared: None)
both >> [Plain(), Short()]
fork = Flow(both)

async def slow(item):
    await asyncio.sleep(600)

def works():
    async def nothing():
        return True
    return engine_thread.pool.submit(int, 3).result(5) == 3 and engine_thread.submit(nothing()).result(5)

def interrupt_at(number, after=None):
    count, begun = 0, after is None
    def look(frame, event, arg):
        nonlocal count, begun
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "return" and frame.f_code is after:
            begun = True
        if event == "opcode" and begun and runs_cell(frame):
            count += 1
            if count == number:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return look
    sys.settrace(look)

def end_all():
    sys.settrace(None)
    until = time.monotonic() + 9
    for run in runs(live=True):
        run.cancel()
    while runs(live=True) and time.monotonic() < until:
        time.sleep(0.005)
"""

#: cells that wait for ever, by what they wait in
_WAITS = {
    "run.wait": "waits.launch({}, show=False).wait()",
    "run.result": "waits.launch({}, show=False).result()",
    "await run": "await waits.launch({}, show=False)",
    "flow.run": "waits.run({})",
    "await run_async": "await waits.run_async({})",
    "await run_async with limits": "await limited.run_async({})",
    "gather of run_async": "await asyncio.gather(*(waits.run_async({}) for _ in range(5)))",
    "group.wait": "waits.launch_each('i', range(3), show=False).wait()",
    "group.results": "waits.launch_each('i', range(3), show=False).results()",
    "await group": "await waits.launch_each('i', range(3), show=False)",
    "as_completed": "for run in waits.launch_each('i', range(3), show=False).as_completed(): pass",
    "async for in group": "async for run in waits.launch_each('i', range(3), show=False): pass",
    "run.stream": "async for event in waits.launch({}, show=False).stream(): pass",
    "await in a cell": "await asyncio.sleep(600)",
    "plain code behind an await": "await asyncio.sleep(0)\ntime.sleep(600)",
    "async for in stream": "async for result in stream(range(3), slow): pass",
    "plain run in a step": "await inside.run_async({})",
    "plain runs in branches": "await insides.run_async({})",
    "plain runs in branches of a run": "insides.run({})",
    "plain runs in branches of a launched run": "await insides.launch({}, show=False)",
    "magic": "%pocketflex run waits --view none",
    "magic with a body": "%%pocketflex --view none\nprint('here', flush=True)\nwaits",
}
#: those that launch and wait in one expression
_LAUNCHES = [way for way, code in _WAITS.items() if ".launch" in code]


@pytest.fixture(scope="module", autouse=True)
def _setup(kernel: Kernel) -> None:
    assert kernel.run(_SETUP).status == "ok"
    kernel.run("short.run({}); plain.run({}); fork.run({}); short.launch({}, show=False).wait(9)")


@pytest.fixture(autouse=True)
def _nothing_left(kernel: Kernel) -> Iterator[None]:
    """What a test that failed has left makes no other one fail."""
    yield
    kernel.run("end_all()")


def _is_as_ever(kernel: Kernel) -> None:
    ran = kernel.run("print('as ever', CURRENT_FRAME.get(), [run for run in runs(live=True)], current(), works())", timeout=20)
    assert ran.text == "as ever None [] None True\n", (ran.text, ran.errors)


@pytest.mark.parametrize("way", _WAITS)
def test_the_stop_button_is_heard_wherever_a_cell_waits(kernel: Kernel, way: str) -> None:
    code = _WAITS[way] if _WAITS[way].startswith("%%") else f"print('here', flush=True)\n{_WAITS[way]}"
    cell = kernel.start(code)
    kernel.wait_for_text(cell, "here")
    time.sleep(0.15)  # most of the time it waits by then; whether it does is not what is tested
    pressed = time.monotonic()

    kernel.interrupt()

    assert kernel.finish(cell, timeout=20).status == "error"
    assert time.monotonic() - pressed < 4
    _is_as_ever(kernel)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", _LAUNCHES)
def test_an_interrupt_between_launch_and_wait_leaves_no_run_behind(kernel: Kernel, way: str) -> None:
    name = "launch_each" if "launch_each" in _WAITS[way] else "launch"
    for at in [*range(1, 40), 90, 250]:  # from the return of the one on, until it waits, and then
        cell = kernel.start(f"interrupt_at({at}, after={name}.__code__)\n{_WAITS[way]}")
        try:
            ended = kernel.finish(cell, timeout=2)
        except TimeoutError:  # it waits already, and its code takes no step any more
            kernel.interrupt()
            ended = kernel.finish(cell, timeout=20)

        assert ended.status == "error"
        _is_as_ever(kernel)


def test_an_interrupt_ends_no_run_that_was_bound_before(kernel: Kernel) -> None:
    kernel.run("kept = []")

    kernel.run(
        "named = waits.launch({}, show=False); kept.append(waits.launch({}, show=False))\n"
        "def held():\n    mine = waits.launch_each('i', range(2), show=False)\n    kept.extend(mine)\n    raise KeyboardInterrupt\nheld()"
    )

    ran = kernel.run("print(sorted({run.status for run in [named, *kept]}), len(kept))")
    assert ran.text == "['running'] 3\n"


#: cells that end by themselves, and steps of the interpreter that they take at least
_ENDS = {
    "flow.run, async": ("short.run({})", 800), "flow.run, plain": ("plain.run({})", 500), "fork": ("fork.run({})", 1_500),
    "launch": ("short.launch({}, show=False).wait()", 7_000),
    "group": ("for run in short.launch_each('i', range(2), show=False).as_completed(): pass", 10_000),
    "body of a magic": ("%%pocketflex\ninterrupt_at({at})\nshort.run({})\nsys.settrace(None)", 800),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", _ENDS)
def test_an_interrupt_between_any_two_steps_leaves_nothing_behind(kernel: Kernel, way: str) -> None:
    code, steps = _ENDS[way]
    for at in range(3, steps, max(steps // 23, 1)):
        cell = code.replace("{at}", str(at)) if "{at}" in code else f"interrupt_at({at})\n{code}\nsys.settrace(None)"

        ran = kernel.run(cell, timeout=20)

        assert ran.status in ("ok", "error")
        _is_as_ever(kernel)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cell", ["interrupt_at({at})\nprint('x'); print('y', flush=True)\nsys.settrace(None)",
                                  "%%pocketflex --view none\ninterrupt_at({at})\nprint('x', flush=True)\nwaits.launch({}, show=False)"])
def test_an_interrupt_inside_of_a_print_loses_no_later_print(kernel: Kernel, cell: str) -> None:
    # `OutStream.flush` waits for a `threading.Event`; its lock, left acquired, would stop the thread that sends every print
    for at in range(1, 240, 7):
        assert kernel.run(cell.replace("{at}", str(at)), timeout=20).status == "error"

        kernel.run("end_all()")
        _is_as_ever(kernel)


def test_presses_at_any_time_leave_nothing_behind(kernel: Kernel) -> None:
    for number in range(12):
        cell = kernel.start("%%pocketflex --view none\nprint('here', flush=True)\nwaits.run({})")
        kernel.wait_for_text(cell, "here")
        time.sleep(number * 0.0007)  # through the print's end, the begin of the run, and the wait for it

        kernel.interrupt()

        assert kernel.finish(cell, timeout=20).status == "error"
        _is_as_ever(kernel)


def test_a_cell_begins_outside_of_every_run_and_its_prints_name_it(kernel: Kernel) -> None:
    kernel.run(
        "from pocketflex_nb.engine.runs.run import Run, lifecycle_of\nleft = lifecycle_of(Run(plain, {}))\n"
        "left.blocks = True\nCURRENT_FRAME.set(left.root)\nleft.begin()\n"
        "sys.stdout.set_parent({'header': {'msg_id': 'another'}})"
    )

    ran = kernel.run("print('here', current(), left.status)")

    assert ran.text == "here None cancelled\n"


def test_code_that_a_step_runs_as_a_cell_stays_inside_of_its_run(kernel: Kernel) -> None:
    kernel.run("inside = Flow(node(lambda shared: get_ipython().run_cell('seen = current() is not None') and None))")

    kernel.run("inside.run({})")

    assert kernel.run("print(seen, runs()[-1].status)").text == "True done\n"
