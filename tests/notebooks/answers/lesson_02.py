"""Answers to lesson 02: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]

_MODULES = 'my_modules = ["csv", "heapq", "pprint", "sched", "tarfile", "bisect"]\n\ncrew = '
_NODES = 'draw, left, right, referee = Draw(), Duellist("json"), Duellist("heapq"), Referee()\n'
_QUIET = "import warnings\nwarnings.simplefilter('ignore')\n" + _NODES


def _duel(*arrows: str, nodes: str = _NODES, flow: str = "Flow(start=draw)") -> str:
    return "\n".join([nodes, *arrows, f"duel = {flow}"])


SOLUTIONS = {
    "02.1": _MODULES + 'ask.launch_each("module", my_modules, max_concurrency=3)',
    "02.2": 'outcome = {run.store["module"]: run.status for run in mixed}',
    "02.3": _duel("draw >> [left, right] >> referee"),
}
WRONG = {
    "02.1": [
        ('my_modules = ["csv", "heapq", "pprint"]\ncrew = ask.launch_each("module", my_modules)', "With three modules"),
        (_MODULES + 'ask.launch_each("module", my_modules)', "6 were on their way at once"),
        (_MODULES + 'ask.launch_each("module", my_modules, max_concurrency=1)', "one by one"),
        (_MODULES + 'ask.launch_each("module", my_modules, max_concurrency=2)', "No more than 2"),
        (_MODULES + 'ask.launch_each("modules", my_modules, max_concurrency=3)', "that is the key to name first"),
        (_MODULES + 'ask.launch_each("module", [my_modules], max_concurrency=3)', "not a list around it"),
        (_MODULES + 'ask.launch({"module": my_modules[0]})', "That is one run"),
        (_MODULES + '[ask.launch({"module": module}) for module in my_modules]', "That is a list"),
        (_MODULES + 'ask.launch_each("module", modules, max_concurrency=3)', "not my_modules"),
        (_MODULES + "3", "not a group of runs"),
    ],
    "02.2": [
        ("outcome = [run.status for run in mixed]", "without their modules"),
        ("outcome = {run.name: run.status for run in mixed}", "the runs' names"),
        ('outcome = {run.store["module"]: run.status for run in mixed if run.status == "done"}', "belong in it, too"),
        ('outcome = {run.store["module"]: run.error is None for run in mixed}', "are no words"),
        ('outcome = {run.store["module"]: "done" for run in mixed}', "All done?"),
        ("outcome = mixed.wait()", "not a dict"),
    ],
    "02.3": [
        (_duel("draw >> left >> right >> referee"), "One asked, and then the other"),
        (_duel("draw >> left >> referee", "draw >> right >> referee", nodes=_QUIET), "Only one of them asked"),
        (_duel("draw >> [left, right]"), "There was no referee"),
        (_duel("draw >> [left, right]", "left >> referee"), "waits for one of them only"),
        (_duel("draw >> [left, right] >> referee", flow="Flow(start=left)"), "begin at draw"),
        (_duel(flow="draw >> [left, right] >> referee"), "Arrows give back"),
    ],
}
