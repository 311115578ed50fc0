"""Tab completion behind the magics: options, subcommands, flows, runs, node ids and store keys."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from IPython import get_ipython
from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.utils.generics import complete_object

from pocketflex_nb.core.errors import JournalError
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.flow_graph import nodes_by_path
from pocketflex_nb.core.flow.nodes import BaseNode
from pocketflex_nb.engine.runs.run import Run, runs
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.journal.journal import journals_in, open_journal
from pocketflex_nb.notebook.magics.commands.command_table import COMMANDS
from pocketflex_nb.notebook.magics.commands.help import topics
from pocketflex_nb.notebook.requests.option_line import RUN_FLAGS
from pocketflex_nb.notebook.requests.run_options import CONFIG
from pocketflex_nb.notebook.shell.kernel_loop import LOOPS
from pocketflex_nb.notebook.shell.loaded_agents import living_agents

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["candidates", "install_completion", "matcher", "remove_completion"]

_LINE = re.compile(r"^\s*(%{1,2})(?:pocketflex|pf)\b(?P<rest>.*)$", re.DOTALL)
_RUN_COMMANDS = {"answer", "cancel", "continue", "fork", "pause", "replay", "set", "show", "store", "trace", "wait"}
_FLOW_COMMANDS = {"diagram", "launch", "pin", "run", "unpin"}
_CHOICES = {"--as", "--on-error", "--view"}


def candidates(line: str, names: dict[str, object]) -> list[str] | None:
    """The completions at the end of `line`, or None when the line is not one of our magics."""
    match = _LINE.match(line)
    if match is None or (match["rest"] and not match["rest"][0].isspace()):
        return None
    is_cell = match[1] == "%%"
    words = match["rest"].split()
    fragment = "" if not words or match["rest"][-1].isspace() else words.pop()
    return sorted({word for word in _offers(words, fragment, is_cell, names) if word.startswith(fragment)})


def _offers(words: list[str], fragment: str, is_cell: bool, names: dict[str, object]) -> Iterable[str]:
    last = words[-1] if words else ""
    if last in _CHOICES:
        return RUN_FLAGS[last].takes.split("|")
    if last == "--break":
        return _nodes(words, names)
    if last in ("--journal", "--cache", "--tape"):
        return _files()
    if last == "--loop" and words[0] == "config":
        return LOOPS
    if last == "--budget":
        return [f"{what}=" for what in ("steps", "seconds", "tokens", "cost")]
    if last in ("--after", "--with", "--diff"):
        return _runs(names)
    if last in ("--seed", "--each") and "@" in fragment:
        before = fragment.rpartition("@")[0]  # `topic=@` names the key first
        return [f"{before}@{name}" for name in names if not name.startswith("_")]
    if fragment.startswith("-"):
        return _flags(words, is_cell)
    if is_cell:
        return [] if words else _flows(names)
    if not words:
        return [*COMMANDS, "run"]
    return _words(words, names)


def _words(words: list[str], names: dict[str, object]) -> Iterable[str]:
    command = words[0]
    if command in ("store", "set") and len(words) == 2:
        return _keys(words[1], names)
    if command in ("resume", "fork", "replay") and len(words) == 2 and words[1].endswith(".sqlite"):
        return _kept_runs(words[1])
    if command == "resume":
        return _files()
    if command in ("fork", "replay"):
        return [*_runs(names), *_files()]
    if command in _RUN_COMMANDS:
        return [*_runs(names), *(["all"] if command in ("cancel", "pause", "continue") else [])]
    if command == "run":
        return _flows(names) or RUN_FLAGS
    if command in _FLOW_COMMANDS:
        return _flows(names)
    if command == "help":
        return [*topics(), *COMMANDS, "run"]
    if command == "stop":
        return [*(str(ref.name) for ref in living_agents()), "all"]
    if command == "node":
        return [n for n, v in names.items() if isinstance(v, BaseNode) and not n.startswith("_")]
    if command == "config":
        return [f"{name}=" for name in [*CONFIG, "loop"]]
    return []


def _flags(words: list[str], is_cell: bool) -> Iterable[str]:
    if not is_cell and words and words[0] in COMMANDS:
        return COMMANDS[words[0]].options
    return RUN_FLAGS


def _nodes(words: list[str], names: dict[str, object]) -> Iterable[str]:
    """Ids of the flow that the line names, else of all."""
    flows = _flows(names)
    named = {word: flows[word] for word in words if word in flows}
    paths = [path for flow in (named or flows).values() for path in nodes_by_path(flow)]
    return [*paths, *(path.rsplit("/", 1)[-1] for path in paths)]


def _flows(names: dict[str, object]) -> dict[str, Flow]:
    return {n: v for n, v in list(names.items()) if isinstance(v, Flow) and not n.startswith("_")}


def _runs(names: dict[str, object]) -> list[str]:
    bound = [n for n, v in list(names.items()) if isinstance(v, (Run, RunGroup)) and not n.startswith("_")]
    return [run.name for run in runs()[-200:]] + bound


def _files() -> list[str]:
    """The journals in this folder, and those that are open."""
    here = Path.cwd().resolve()
    return [path.name if path.parent == here else str(path) for path in journals_in(here)]


def _kept_runs(path: str) -> list[str]:
    """The names of the runs that a journal keeps."""
    try:
        return [run.name for run in open_journal(path).runs()[-200:]]
    except JournalError:
        return []


def _keys(name: str, names: dict[str, object]) -> list[str]:
    bound = names.get(name)
    run = bound if isinstance(bound, Run) else next((r for r in reversed(runs()) if r.name == name), None)
    return [str(key) for key in run.store if " " not in str(key)] if run is not None and isinstance(run.store, dict) else []


@context_matcher(identifier="pocketflex_nb", priority=100)  # type: ignore[untyped-decorator]
def matcher(context: CompletionContext) -> object:
    """IPython's matcher (v2): only ours are offered on our lines."""
    shell = get_ipython()
    line = context.text_until_cursor
    found = candidates(line, shell.user_ns) if shell is not None else None
    if found is None:
        return {"completions": [], "suppress": False}
    words = line.split()
    fragment = "" if not words or line[-1].isspace() else words[-1]
    if not found and fragment:
        found = [fragment]  # IPython suppresses the names of other matchers only for a matcher that has found something
    return {
        "completions": [SimpleCompletion(text=text, type="pocketflex") for text in found], "suppress": True, "matched_fragment": fragment,
    }


def _offered(thing: object, names: list[str]) -> list[str]:
    """Of the `names` that IPython found, those that ``dir(thing)`` lists: IPython adds what the class has besides."""
    listed = set(dir(thing))
    return [name for name in names if name in listed]


for _kind in (Run, RunGroup):
    complete_object.register(_kind, _offered)


def install_completion(shell: InteractiveShell) -> None:
    """Offer them in `shell`."""
    if shell.Completer is not None and matcher not in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.append(matcher)


def remove_completion(shell: InteractiveShell) -> None:
    """Undo `install_completion`."""
    if shell.Completer is not None and matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)
