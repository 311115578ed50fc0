"""A program that walks flows of every shape with a journal, and is killed: ``python kill_target.py FOLDER SHAPE DURABILITY``.

It goes on where an earlier one was killed. Each `exec` adds a line to ``effects``: its address, and the key by which a service outside
would know a repetition. The environment's ``KILL_AT`` kills it before or after its n-th write into the journal.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocketflex_nb import BatchFlow, BatchNode, Flow, Node, Store, ask, current, node, resume
from pocketflex_nb.engine.records.addresses import step_address
from pocketflex_nb.journal.journal import Journal
from pocketflex_nb.journal.journal_file import JournalFile

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
PAUSE = 0.002


def effect() -> None:
    """What a step does outside of this process."""
    here = current()
    line = json.dumps({"address": step_address(here, here.node), "key": here.key, "process": os.getpid()}) + "\n"
    out = os.open(FOLDER / "effects", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(out, line.encode())
    os.close(out)
    time.sleep(PAUSE)


class Add(Node):
    """Adds one to a number, by way of a paid call."""

    name_of_number = "n"
    until = 8

    def prep(self, shared: Any) -> Any:
        return shared.get(self.name_of_number, 0)

    def exec(self, n: Any) -> Any:
        effect()
        return {"sum": n + 1, "seen": (n,)}

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        shared[self.name_of_number] = exec_res["sum"]
        shared.setdefault("log", []).append([self.name_of_number, exec_res["sum"]])
        return "again" if exec_res["sum"] < self.until else None


def adder(number: str, until: int = 8) -> Node:
    """A node that counts `number` up."""
    node = type(f"Add_{number}", (Add,), {"name_of_number": number, "until": until})()
    node - "again" >> node
    return node


class AsyncAdd(Add):
    """The same, awaited."""

    async def exec(self, n: Any) -> Any:  # type: ignore[override]
        effect()
        return {"sum": n + 1, "seen": (n,)}


class Items(BatchNode):
    """A paid call for each item."""

    def prep(self, shared: Any) -> Any:
        return range(12)

    def exec(self, item: Any) -> Any:
        effect()
        return item * item

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["squares"] = exec_res


class Flaky(Node):
    """Fails at its first two attempts, whichever process makes them."""

    def exec(self, prep_res: Any) -> Any:
        effect()
        if current().attempt < 2:
            raise ConnectionError(f"attempt {current().attempt}")
        return current().attempt

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["attempts"] = exec_res


class Fails(Node):
    """Fails always; its error edge is taken."""

    def exec(self, prep_res: Any) -> Any:
        effect()
        raise ValueError("on purpose")


class Mend(Node):
    """Behind an error edge."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["mended"] = "on purpose" in str(current().error)


class Asks(Node):
    """Asks twice, with a call between."""

    async def exec(self, prep_res: Any) -> Any:
        first = await ask("first?")
        effect()
        return [first, await ask("second?")]

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["answers"] = exec_res


class Rows(BatchFlow):
    """A flow for each of four rows."""

    def prep(self, shared: Any) -> Any:
        return [{"row": row} for row in range(4)]


class Row(Node):
    """One row's call."""

    def exec(self, prep_res: Any) -> Any:
        effect()
        return self.params["row"] * 2

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared[f"row {self.params['row']}"] = exec_res


class Total(Node):
    """What a private store holds at its end."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["total"] = shared["inner"] + shared.get("given", 0)


class Launches(Node):
    """Begins a run on the store of this one, two on stores of their own, and a plain one, in its steps."""

    async def exec(self, prep_res: Any) -> Any:
        group = Flow(adder("own", 3), name="own").launch_each("own", [0, 1])
        await group
        return [dict(run.store)["own"] for run in group]

    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["owns"] = exec_res
        await Flow(adder("inside", 4), name="inside").launch(shared)
        Flow(Plain(), name="plain").run(shared)


class Plain(Node):
    """What a run without a record of its own changes."""

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["plain"] = [shared["inside"]]


@node
def functional(shared: Any) -> None:
    """Works on the store itself."""
    shared["functional"] = shared.get("s", 0) + 100
    shared["log"].append("functional")


def _launches() -> Flow:
    start, launches, end = adder("s", 2), Launches(), adder("end", 2)
    start >> launches >> end
    return Flow(start, name="kill")


def _functions() -> Flow:
    start, end = adder("s", 3), adder("end", 3)
    start >> functional >> end
    return Flow(start, name="kill")


def _loop() -> Flow:
    return Flow(adder("n", 12), name="kill")


def _async_loop() -> Flow:
    node = AsyncAdd()
    node - "again" >> node
    return Flow(node, name="kill")


def _fork() -> Flow:
    start, left, right, end = adder("s", 2), adder("left", 5), adder("right", 6), adder("end", 2)
    start >> [left, right] >> end
    return Flow(start, name="kill")


def _nested() -> Flow:
    inner = Flow(adder("inner", 5), name="inner")
    start, end = adder("s", 2), adder("end", 2)
    start >> inner >> end
    return Flow(start, name="kill")


def _private() -> Flow:
    first = adder("inner", 5)
    first >> Total()
    inner = Flow(first, name="inner", inputs=["given"], outputs=["total"])
    start, end = adder("given", 3), adder("end", 2)
    start >> inner >> end
    return Flow(start, name="kill")


def _batch(limit: int | None = 1) -> Flow:
    items, end = Items(max_concurrency=limit), adder("end", 2)
    items >> end
    return Flow(items, name="kill")


def _batch_flow(limit: int | None = 1) -> Flow:
    rows, end = Rows(Row(), max_concurrency=limit), adder("end", 2)
    rows >> end
    return Flow(rows, name="kill")


def _retries() -> Flow:
    flaky, end = Flaky(max_retries=3), adder("end", 3)
    flaky >> end
    return Flow(flaky, name="kill")


def _error_edge() -> Flow:
    start, fails, mend, end = adder("s", 3), Fails(), Mend(), adder("end", 3)
    start >> fails
    fails.on_error(mend)
    mend >> end
    return Flow(start, name="kill")


def _asks() -> Flow:
    start, asks, end = adder("s", 2), Asks(), adder("end", 2)
    start >> asks >> end
    return Flow(start, name="kill")


SHAPES: dict[str, Callable[[], Flow]] = {
    "loop": _loop,
    "async loop": _async_loop,
    "fork": _fork,
    "nested": _nested,
    "private": _private,
    "batch": _batch,
    "parallel batch": lambda: _batch(4),
    "batch flow": _batch_flow,
    "parallel batch flow": lambda: _batch_flow(None),
    "retries": _retries,
    "error edge": _error_edge,
    "asks": _asks,
    "launches": _launches,
    "functions": _functions,
}


def _kill_at(number: int) -> None:
    """Kill this process around its writes: at 2n before the n-th, at 2n + 1 after it."""
    points, commit = itertools.count(1), JournalFile._commit

    def counted(self: Any, line: Any, statements: Any) -> None:
        if next(points) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, line, statements)
        if next(points) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    JournalFile._commit = counted  # type: ignore[method-assign]


def main() -> None:
    """Begin the run, or go on with it; write its store when it is done."""
    shape, durability = sys.argv[2], sys.argv[3]
    if os.environ.get("KILL_AT"):
        _kill_at(int(os.environ["KILL_AT"]))
    path, flow = FOLDER / "runs.sqlite", SHAPES[shape]()
    begun = path.exists() and Journal(path).numbers()
    if begun and (history := Journal(path).history("kill")).status == "done":  # killed after its end was kept
        _done(history.content(), history.hops)
        return
    if begun:
        run = resume(path, "kill", flow=flow, durability=durability)
    else:
        run = flow.launch(Store({"given": 1} if shape == "private" else {}), name="kill", journal=path, durability=durability)

    def answer() -> None:
        while (question := run.asking(timeout=60)) is not None:
            run.answer(f"to {question.text}", question)

    if shape == "asks":
        threading.Thread(target=answer, daemon=True).start()
    run.result(60)
    _done(dict(run.store), run.hops)


def _done(store: dict[str, Any], hops: int) -> None:
    (FOLDER / "done").write_text(json.dumps({"store": store, "hops": hops}, default=str, sort_keys=True))


if __name__ == "__main__":
    main()
