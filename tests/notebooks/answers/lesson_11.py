"""Answers to lesson 11: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]


def _charge(key: str, *before: str) -> str:
    lines = [*before, f'shared["bank"].pay(20, key={key})']
    return "def charge(shared):\n" + "\n".join(f"    {line}" for line in lines)


def _left(*lines: str) -> str:
    return "def left(file):\n" + "\n".join(f"    {line}" for line in lines)


def _those(condition: str) -> str:
    return _left(f"return [run.name for run in open_journal(file).runs() if {condition}]")


SOLUTIONS = {
    "11.1": _charge("current().key"),
    "11.2": 'better = night.fork(at=2, draft="The moon pulls the sea, and the earth turns under it.", show=False)',
    "11.3": _those('run.status == "unfinished"'),
}
WRONG = {
    "11.1": [
        (_charge('"order"'), "A second order has the same key"),
        (_charge('shared["order"]'), "A second order has the same key"),
        (_charge("uuid4().hex", "from uuid import uuid4"), "gets another key"),
        (_charge("time()", "from time import time"), "gets another key"),
        (_charge("random()", "from random import random"), "gets another key"),
        (_charge("id(current())"), "gets another key|the same key"),
        (_charge("current().address"), "A second order has the same key"),
        (_charge("current().node_id"), "A second order has the same key"),
        (_charge("None"), "no key"),
        ('def charge(shared):\n    shared["bank"].pay(20)', "key"),
        ('def charge(shared):\n    shared["bank"].pay(200, key=current().key)', "another amount"),
        ("def charge(shared):\n    return current().key", "was not asked to pay"),
        ('charge = "key"', "has to be the function"),
        (
            'def charge(shared):\n    try:\n        shared["bank"].pay(20, key=current().key)\n    except ConnectionError:\n        pass',
            "swallowed",
        ),
    ],
    "11.2": [
        ('better = night.fork(at=0, draft="New.", show=False)', "paid, again|draft"),
        ('better = night.fork(at=1, draft="New.", show=False)', "written, and paid, again"),
        ('better = night.fork(at=3, draft="New.", show=False)', "nothing is left to do"),
        ("better = night.fork(at=2, show=False)", "same as before"),
        ('better = night.fork(before="draft", draft="New.", show=False)', "written, and paid, again"),
        ('better = night.fork(before="research", draft="New.", show=False)', "paid, again|draft"),
        ("better = night", "no fork"),
        ("better = night.fork", "call it"),
        ('better = {"draft": "New."}', "no run"),
        ('better = night.fork(at=2, text="New.", show=False)', "new key"),
        ("better = night.fork(at=2, draft=night.store['draft'], show=False)", "same as before"),
        ('better = report.launch({"topics": ["tides"]}, show=False)', "no journal"),
        ("better = night.fork(at=2, draft=7, show=False)", "has to be a text|AttributeError"),
    ],
    "11.3": [
        (_those('run.status == "failed"'), "did end, with its error"),
        (_those('run.status != "done"'), "did end, with its error"),
        (_those("not run.done()"), "finds none"),
        (_those("run.error is not None"), "did end, with its error"),
        (_those('run.status == "running"'), "finds none"),
        (_those("run.hops == 0"), "finds none"),
        (_left("return [run.name for run in open_journal(file).runs()]"), "done is not left|did end"),
        (_left('return [run for run in open_journal(file).runs() if run.status == "unfinished"]'), "run.name"),
        (_left("return open_journal(file).unfinished()"), "run.name"),
        (_left("return len(open_journal(file).unfinished())"), "Return the names"),
        (_left('print([run.name for run in open_journal(file).runs() if run.status == "unfinished"])'), "returns nothing"),
        (_left('found = [run.name for run in open_journal(file).runs() if run.status == "unfinished"]', "return found[0] if found else ''"),
         "one text"),
        ('left = ["left"]', "has to be the function"),
    ],
}
RIGHT = {
    "11.1": [_charge("str(current().key)"), _charge('f"pay-{current().key}"')],
    "11.2": [
        'better = night.fork(before="review", draft="Short.", show=False)',
        'better = night.fork(2, draft="Short.", name="short", show=False)',
    ],
    "11.3": [
        _left('return {run.name for run in open_journal(file).runs() if run.status == "unfinished"}'),
        _left("journal = open_journal(file)", "return [journal.history(number).name for number in journal.unfinished()]"),
    ],
}
