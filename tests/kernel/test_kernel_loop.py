"""``%pf config --loop kernel`` in a real kernel: runs walk on the kernel's own loop, and nothing else stops working."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.kernels import Kernel

_SETUP = """
%load_ext pocketflex_nb
import asyncio, threading
from pocketflex_nb import Flow, Node, launch, runs

class Client:
    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.future = self.loop.create_future()

class Uses(Node):
    async def exec(self, prep_res):
        await asyncio.sleep(0.01)
        return asyncio.get_running_loop() is client.loop, threading.current_thread() is threading.main_thread()
    def post(self, shared, prep_res, exec_res):
        shared["here"] = exec_res

class Pool(Node):
    def exec(self, prep_res):
        return threading.current_thread() is threading.main_thread()
    def post(self, shared, prep_res, exec_res):
        shared["in main"] = exec_res

class Waits(Node):
    async def exec(self, prep_res):
        print("waiting")
        await asyncio.sleep(600)

class Nested(Node):
    async def exec(self, prep_res):
        inner = {}
        flow.run(inner)
        return inner["here"]
    def post(self, shared, prep_res, exec_res):
        shared["inner"] = exec_res

async def _made():
    return Client()
client = await _made()
uses = Uses(); uses >> Pool()
flow, waiting, nested = Flow(uses, name="flow"), Flow(Waits(), name="waiting"), Flow(Nested(), name="nested")
"""


@pytest.fixture(scope="module")
def borrowed() -> Iterator[Kernel]:
    kernel = Kernel()
    assert kernel.run(_SETUP).status == "ok"
    ran = kernel.run("%pf config --loop kernel")
    assert (ran.status, "loop = kernel" in ran.text) == ("ok", True), ran.errors
    yield kernel
    kernel.close()


def test_a_launched_run_walks_on_the_kernels_loop_and_plain_execs_do_not(borrowed: Kernel) -> None:
    ran = borrowed.run("run = flow.launch({}, show=False)\nawait run\nprint(dict(run.store))")

    assert ran.text.strip() == "{'here': (True, True), 'in main': False}", ran.errors


@pytest.mark.parametrize(
    "wait", ["run.wait()", "run.result()", "list(group.as_completed())", "group.results()", "flow.run(store)", "Flow(Nested()).run(store)"]
)
def test_plain_code_waits_while_the_loop_turns_inside_it(borrowed: Kernel, wait: str) -> None:
    code = "store = {}; group = launch([flow, flow], {}, show=False); run = flow.launch({}, show=False)"

    told = "print(run.status, group.counts(), store.get('here', store.get('inner')))"
    ran = borrowed.run(f"{code}\n{wait}\ngroup.wait(); run.wait()\n{told}")

    told = "(True, True)" if "store" in wait else "None"
    assert ran.text.strip() == f"done {{'done': 2}} {told}", ran.errors


@pytest.mark.parametrize(
    "cell",
    ["%pf run flow -n 3 --view none -o g", "%%pf --view none -o g\n[flow, nested]", "%time %pf run flow -n 2 --view none -o g"],
)
def test_magics_wait_as_ever(borrowed: Kernel, cell: str) -> None:
    ran = borrowed.run(cell)

    assert ran.status == "ok", ran.errors
    assert "{'done': " in borrowed.run("print(g.counts())").text


def test_no_message_is_lost_while_plain_code_waits(borrowed: Kernel) -> None:
    cell = borrowed.start("run = Flow(Uses()).launch({}, show=False)\nimport time\nuntil = time.monotonic() + 1\n"
                          "while time.monotonic() < until: Flow(Uses()).launch({}, show=False).wait()\nprint('waited')")
    behind = [borrowed.start(f"print('cell', {number})") for number in range(5)]

    assert borrowed.finish(cell).text.strip() == "waited"
    for number, one in enumerate(behind):
        assert borrowed.finish(one).text.strip() == f"cell {number}"


@pytest.mark.parametrize(
    "cell",
    ["print('on', flush=True); run.wait()", "%pf run waiting --tee --view none", "%time %pf run waiting --tee --view none",
     "print('on', flush=True); await run"],
)
def test_the_stop_button_cancels(borrowed: Kernel, cell: str) -> None:
    borrowed.run("run = waiting.launch({}, show=False)")
    started = borrowed.start(cell)
    borrowed.wait_for(started, lambda m: m["msg_type"] == "stream", timeout=20)
    borrowed.manager.interrupt_kernel()

    assert borrowed.finish(started).status == "error"
    told = borrowed.run("run.cancel(); await run.wait_async()\nprint(runs()[-1].status, runs(live=True))")
    assert told.text.strip() == "cancelled []"


def test_back_on_the_engine_thread_everything_is_as_before(borrowed: Kernel) -> None:
    assert "loop = engine" in borrowed.run("%pf config --loop engine").text

    ran = borrowed.run("run = flow.launch({}, show=False).wait()\nprint(run.store['here'], type(asyncio.get_running_loop()).__name__)")

    assert ran.text.startswith("(False, False) ") and "KernelLoop" not in ran.text
    assert borrowed.run("%pf config loop=kernel").status == "ok"
    assert "(True, True)" in borrowed.run("print(flow.launch({}, show=False).wait().store['here'])").text


def test_a_wrong_name_and_a_live_run_are_refused(fresh_kernel: Kernel) -> None:
    fresh_kernel.run(_SETUP)
    assert "did you mean 'kernel'" in fresh_kernel.run("%pf config --loop kernle").errors
    fresh_kernel.run("held = waiting.launch({}, show=False)")

    refused = fresh_kernel.run("%pf config --loop kernel")

    assert refused.status == "error" and "%pocketflex cancel all" in refused.errors


@pytest.mark.parametrize(
    ("hide", "told"),
    [
        ("import sys; sys.modules['greenlet'] = None", "pip install greenlet; then restart the kernel"),
        ("asyncio.get_running_loop()._nest_patched = True", "nest_asyncio.apply() has patched this loop"),
    ],
    ids=["no greenlet", "nest_asyncio"],
)
def test_a_loop_that_cannot_be_left_is_refused_with_the_mend(fresh_kernel: Kernel, hide: str, told: str) -> None:
    fresh_kernel.run(_SETUP)
    fresh_kernel.run(hide)

    refused = fresh_kernel.run("%pf config --loop kernel")

    assert refused.status == "error" and told in refused.errors, refused.errors
    assert "(False, False)" in fresh_kernel.run("print(flow.launch({}, show=False).wait().store['here'])").text


_TWO = """
class First(Node):
    async def exec(self, prep_res):
        Flow(Uses()).run({})
        event.set()
class Second(Node):
    async def exec(self, prep_res):
        Flow(Sets()).run({})
class Sets(Node):
    async def exec(self, prep_res):
        await event.wait()
class Begins(Node):
    async def exec(self, prep_res):
        global event
        event = asyncio.Event()
begins = Begins()
begins >> [Second(), First()]
two = Flow(begins)
"""


@pytest.mark.parametrize(
    "way",
    [
        "two.run({})", "two.launch({}, show=False).wait(20)", "await two.run_async({})", "await two.launch({}, show=False)",
        "%pf run two --view none", "launch([two], {}, show=False).wait(20)",
    ],
)
def test_two_plain_runs_in_branches_that_need_each_other_both_end(borrowed: Kernel, way: str) -> None:
    borrowed.run(_TWO)

    ran = borrowed.run(f"{way}\nprint(runs(live=True))", timeout=25)

    assert (ran.status, ran.text.strip().endswith("[]")) == ("ok", True), (ran.text, ran.errors)


@pytest.mark.parametrize("wait", ["run.wait()", "two.run({})", "flow.run({}); run.result()"])
def test_the_stop_button_reaches_the_cell_and_not_the_runs_that_wait_on_its_loop(borrowed: Kernel, wait: str) -> None:
    borrowed.run(
        f"{_TWO}class Holds(Node):\n    async def exec(self, prep_res):\n        waiting.run({{}})\nholds = Flow(Holds(), name='holds')"
    )
    borrowed.run("run = waiting.launch({}, show=False); others = [holds.launch({}, show=False) for _ in range(3)]")
    borrowed.run("while not all(one.children for one in others): await asyncio.sleep(0.01)")
    cell = borrowed.start(f"First.exec = lambda self, prep_res: None\nprint('here', flush=True)\n{wait}")
    borrowed.wait_for_text(cell, "here")

    borrowed.interrupt()

    assert borrowed.finish(cell, timeout=20).status == "error"
    told = borrowed.run("print([one.status for one in others]); [one.cancel() for one in runs(live=True)]\n"
                        "for one in (run, *others): await one.wait_async()\nprint(runs(live=True))")
    assert told.text.splitlines() == ["['running', 'running', 'running']", "[]"], (told.text, told.errors)


def test_the_stop_button_ends_a_step_that_blocks_the_kernels_loop_and_the_cell(borrowed: Kernel, tmp_path: Path) -> None:
    mark = tmp_path / "blocks"
    borrowed.run(
        "import pathlib, time\nclass Blocks(Node):\n    def post(self, *_):\n"
        f"        pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    )
    cell = borrowed.start("run = Flow(Blocks()).launch({}, show=False)\nrun.wait()\nprint('went on')")
    until = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.01)

    borrowed.interrupt()

    ended = borrowed.finish(cell, timeout=20)
    assert ended.status == "error" and "went on" not in ended.text
    assert borrowed.run("print(run.status, runs(live=True))").text == "cancelled []\n"
