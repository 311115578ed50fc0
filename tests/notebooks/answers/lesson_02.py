"""Answers to lesson 02: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

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
        (_MODULES + 'ask.launch_each("module", my_modules)', "6 ran in parallel"),
        (_MODULES + 'ask.launch_each("module", my_modules, max_concurrency=1)', "one after the other"),
        (_MODULES + 'ask.launch_each("module", my_modules, max_concurrency=2)', "No more than 2"),
        (_MODULES + 'ask.launch_each("modules", my_modules, max_concurrency=3)', "that key is the first argument"),
        (_MODULES + 'ask.launch_each("module", [my_modules], max_concurrency=3)', "not a list around it"),
        (_MODULES + 'ask.launch({"module": my_modules[0]})', "That is one run"),
        (_MODULES + '[ask.launch({"module": module}) for module in my_modules]', "That is a list"),
        (_MODULES + 'ask.launch_each("module", modules, max_concurrency=3)', "not for my_modules"),
        (_MODULES + "3", "not a group of runs"),
    ],
    "02.2": [
        ("outcome = [run.status for run in mixed]", "without their modules"),
        ("outcome = {run.name: run.status for run in mixed}", "the runs' names"),
        ('outcome = {run.store["module"]: run.status for run in mixed if run.status == "done"}', "Runs are missing: no"),
        ('outcome = {run.store["module"]: run.error is None for run in mixed}', "are not texts"),
        ('outcome = {run.store["module"]: "done" for run in mixed}', "Not all are done"),
        ("outcome = mixed.wait()", "not a dict"),
        ('outcome = {run.store["module"]: "failed" for run in mixed if run.status == "failed"}', "Runs are missing"),
        ('outcome = {run.status: run.store["module"] for run in mixed}', "exchange keys and values"),
        ('outcome = {run.store["module"]: "failed" if run.error is None else "done" for run in mixed}', "and should be"),
        ('outcome = {run.store["module"]: run for run in mixed}', "are not texts"),
    ],
    "02.3": [
        (_duel("draw >> left >> right >> referee"), "One asked after the other"),
        (_duel("draw >> left >> referee", "draw >> right >> referee", nodes=_QUIET), "Only one of them asked"),
        (_duel("draw >> [left, right]"), "No referee ran"),
        (_duel("draw >> [left, right]", "left >> referee"), "waits for one of them only"),
        (_duel("draw >> [left, right] >> referee", flow="Flow(start=left)"), "start at draw"),
        (_duel(flow="draw >> [left, right] >> referee"), "An arrow returns"),
        (_duel("draw >> [left, right, referee]"), "starts together with a duellist"),
        (_duel("draw >> [left, right]", "left >> referee", "right >> Referee()"), "ran 2 times"),
        (_duel("draw >> [left, referee]", "referee >> right"), "starts together"),
        (_duel("draw >> left >> referee"), "Only one of them asked"),
        (_duel("draw >> [left, right] >> referee", flow="Flow(start=referee)"), "start at draw"),
    ],
}
RIGHT = {
    "02.1": [_MODULES.replace("crew", "from pocketflex_nb import launch\n\ncrew") + "launch([(ask, {'module': one}) for one in "
     "my_modules], max_concurrency=3)",
             _MODULES + 'ask.launch_each("module", my_modules, max_concurrency=3, show=False)'],
    "02.2": ['outcome = {run.store["module"]: "failed" if run.error else "done" for run in mixed}'],
    "02.3": [_duel("draw >> [right, left] >> referee"), _duel("draw >> [left, right]", "left >> referee", "right >> referee")],
}
