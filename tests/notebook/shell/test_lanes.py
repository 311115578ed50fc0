"""Prints of launched runs: whole lines, unfinished lines, and lines of siblings."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

from pocketflex_nb.notebook.shell import output_capture as lanes
from tests.notebook.conftest import Shell


def _lines(shell: Shell, cell: str) -> list[tuple[str, str]]:
    shell.run(f"@node\ndef speak(shared):\n    {cell}")
    shell.run("%pocketflex run speak -o run --view none")
    return [(stream, text) for _, stream, text, _ in shell.names["run"].state().lines]


def test_a_line_of_several_writes_is_one_line(shell: Shell) -> None:
    assert _lines(shell, "print('a', 1); print('b', end=''); print('c'); print('d\\ne')") == [
        ("print", "a 1"), ("print", "bc"), ("print", "d"), ("print", "e")
    ]


def test_what_ends_without_a_newline_is_not_lost(shell: Shell) -> None:
    assert _lines(shell, "print('a'); print('rest', end='')") == [("print", "a"), ("print", "rest")]


def test_a_flushed_part_is_shown_at_once_and_joined(shell: Shell) -> None:
    assert _lines(shell, "[print(n, end=' ', flush=True) for n in (1, 2)]; print(); print('after')") == [
        ("token", "1 2 \n"), ("print", "after")
    ]


def test_stderr_goes_to_the_lane_too(shell: Shell) -> None:
    assert _lines(shell, "import sys; print('oh', file=sys.stderr); sys.stdout.writelines(['x\\n', 'y\\n'])") == [
        ("print", "oh"), ("print", "x"), ("print", "y")
    ]


_LOGGING = """
import logging, sys
class Mine(logging.Handler):
    def emit(self, record): print("mine:", self.format(record))
def heard(handler=None):
    log = logging.getLogger("of the test"); log.handlers[:] = [handler] if handler else []; log.propagate = handler is None
    return log
log = heard({handler})
"""


@pytest.mark.parametrize("handler", ["", "logging.StreamHandler()", "logging.StreamHandler(sys.stdout)", "Mine()"])
def test_one_logging_call_is_one_line_whatever_its_handlers_print(shell: Shell, handler: str) -> None:
    shell.run(_LOGGING.replace("{handler}", handler))

    told = _lines(shell, "log.warning('careful'); print('after'); log.error('worse', stack_info=True); print('end')")

    assert told == [("log", "WARNING of the test: careful"), ("print", "after"), ("log", "ERROR of the test: worse"), ("print", "end")]


def test_logging_of_a_plain_run_goes_where_its_handlers_write(shell: Shell) -> None:
    head = _LOGGING.replace("{handler}", "logging.StreamHandler(sys.stdout)")

    shell.run(f"{head}\nFlow(node(lambda shared: log.warning('careful'))).run({{}})")

    assert shell.said == "careful\n"


def test_unfinished_lines_of_siblings_never_mix(shell: Shell) -> None:
    shell.run("import threading\nboth = threading.Barrier(8)\n@node\ndef speak(shared):\n"
              "    for n in range(20):\n        print(shared['agent'], end=''); both.wait(10); print('', n)")

    shell.run("%pocketflex run speak -n 8 -j 8 -o group --view none")

    for agent, run in enumerate(shell.names["group"]):
        assert [text for _, _, text, _ in run.state().lines] == [f"{agent} {n}" for n in range(20)]


def _said(message: Any, category: Any, *_: Any, **__: Any) -> None:
    print(category.__name__, message, file=sys.stderr)


def test_what_the_events_tell_is_not_also_printed_as_a_warning(shell: Shell) -> None:
    shell.run("import warnings\nclass Sets(Node):\n    def prep(self, shared): return shared['n']\n"
              "    async def exec(self, prep_res):\n        warnings.warn('mine'); await asyncio.sleep(0.05)\n"
              "    def post(self, shared, prep_res, exec_res):\n        shared['n'] = id(self)\n        return 'nowhere'\n"
              "ends = Sets()\nends - 'on' >> Plan()\nboth, common = Flow(ends), Store({'n': 0})")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        lanes.remove_output_capture()
        warnings.showwarning = _said  # pytest keeps them to itself
        lanes.install_output_capture()
        shell.run("group = launch([both, both], share=common, show=False).wait()")

    problems = [text for run in shell.names["group"] for text in run.state().problems]
    lines = [text for run in shell.names["group"] for _, _, text, _ in run.state().lines]
    assert sum("overwrote 'n'" in text for text in problems) == 1
    assert sum("no arrow for action 'nowhere'" in text for text in problems) == 2
    assert not [text for text in lines if "ConflictWarning" in text or "Flow ends" in text]
    assert any("mine" in text for text in lines)


def test_unloading_gives_warnings_back(shell: Shell) -> None:
    with warnings.catch_warnings():
        lanes.remove_output_capture()
        before = warnings.showwarning
        lanes.install_output_capture()
        assert warnings.showwarning is not before

        lanes.remove_output_capture()

        assert warnings.showwarning is before
        lanes.install_output_capture()
