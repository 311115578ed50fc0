"""The subcommands for journals: what they keep, and going on, forking and playing again what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import JournalError, PocketflexError
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.node_ids import base_id
from pocketflex_nb.engine.resume import resume
from pocketflex_nb.engine.runs.run import Run, lifecycle_of, runs
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.journal.journal import open_journal
from pocketflex_nb.notebook.magics.commands.command import Call, Command, Table
from pocketflex_nb.notebook.magics.commands.run_rows import run_row, run_table
from pocketflex_nb.notebook.requests.names import find_run, runs_of
from pocketflex_nb.notebook.requests.option_line import Option, option_table
from pocketflex_nb.notebook.requests.option_values import amount, evaluated
from pocketflex_nb.notebook.requests.run_options import CONFIG
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.safe_print import print_safely
from pocketflex_nb.notebook.widgets.base.static_fallback import has_widgets

__all__ = ["JOURNAL_COMMANDS", "kept_history"]


def kept_history(call: Call) -> object:
    """The runs of this kernel that have no journal, and those of journals, whichever kernels they ran in."""
    from pocketflex_nb.notebook.widgets.run_history.history_rows import RunsKept, told_rows

    paths = [Path(path).expanduser() for path in call.values("--journal")]
    for path in paths:
        _checked(path)
    kept = RunsKept(paths, _flows(call))
    rows = kept.rows()
    unkept = [] if paths else [run for run in runs() if lifecycle_of(run).kept_at is None]
    if call.has("--df"):
        return ports.export([*(run_row(run) for run in unkept), *(dict(row) for row in rows)], "frame")
    if rows and has_widgets():
        from IPython.display import display

        from pocketflex_nb.notebook.widgets.run_history.run_history import RunHistory

        if unkept:
            display(run_table([run_row(run) for run in unkept], unkept))
        return RunHistory(*paths, flow=_flows(call))
    if not rows and not unkept:
        print_safely("no runs yet, and no journal in this folder: launch a flow with journal='runs.sqlite', or use --journal runs.sqlite")
        return None
    told = [] if not unkept else [run_table([run_row(run) for run in unkept], unkept)]
    told += [Table(told_rows(rows), always=("run", "status", "age", "steps"))] if rows else []
    for one in told[:-1]:
        print_safely(repr(one))
    return told[-1]


def _flows(call: Call) -> dict[str, Flow]:
    """The notebook's flows by their ids."""
    return {base_id(value): value for key, value in call.names.items() if isinstance(value, Flow) and not key.startswith("_")}


def _checked(path: Path) -> None:
    try:
        open_journal(path)
    except JournalError as exc:
        raise usage(str(exc)) from None


def _kept_run(call: Call) -> Run:
    """A run of this kernel by its name, or one of a journal: ``FILE RUN`` or ``FILE#RUN``."""
    word = call.word("the run's name")
    file, mark, name = word.partition("#")
    if not mark and not (call.words and Path(word).expanduser().is_file()):
        found = runs_of(find_run(word, call.names))
        if len(found) != 1:
            raise usage(f"{word!r} is several runs: name one of them, such as {found[0].name!r}")
        return found[0]
    if not mark:
        file, name = word, call.word("the run's name")
    try:
        run: Run = open_journal(file, flow=_flows(call) or None).run(int(name) if name.isdecimal() else name)
    except JournalError as exc:
        raise usage(str(exc)) from None
    return run


def _step(text: str) -> int:
    if not text.isdecimal():
        raise usage(f"--at {text!r}: a number of steps is needed, from 0")
    return int(text)


def _fork(call: Call) -> object:
    run = _kept_run(call)
    at, before, name = call.value("--at"), call.value("--before"), call.value("--name")
    if (at is None) == (before is None):
        raise usage(f"fork needs --at STEP (0 to {run.hops}) or --before NODE, and not both")
    edits, swap = dict[str, Any](), dict[str, Any]()
    for texts, into, what in ((call.values("--set"), edits, "--set KEY=VALUE"), (call.values("--swap"), swap, "--swap NODE=NAME")):
        for pair in texts:
            key, equals, value = pair.partition("=")
            if not equals or not key:
                raise usage(f"{pair!r}: {what} is needed")
            into[key] = evaluated(value, call.names, key)
    call.end()
    try:
        return run.fork(at=None if at is None else _step(at), before=before, swap=swap or None, name=name, **edits)
    except (PocketflexError, ValueError, TypeError) as exc:
        raise usage(str(exc)) from None


def _resume(call: Call) -> object:
    file = call.word("the journal's file")
    name = call.word("the run's name") if call.words else None
    call.end()
    try:
        found = resume(file, int(name) if name is not None and name.isdecimal() else name, flow=_flows(call), strict=call.has("--strict"))
    except PocketflexError as exc:
        raise usage(str(exc)) from None
    if isinstance(found, RunGroup) and not len(found):
        print_safely(f"nothing to resume in {file}: every run is over, or goes on in another process")
        return None
    return found


def _replay(call: Call) -> None:
    run = _kept_run(call)
    call.end()
    speed = amount(call.value("--speed") or "1", "--speed")
    if speed <= 0:
        raise usage("--speed: must be more than 0, such as 0.5, 1 or 4")
    first = call.value("--from") or "0"
    if not first.isdigit():
        raise usage(f"--from {first!r}: a number of steps is needed, from 0 to {run.hops}")
    if int(first) > run.hops:
        raise usage(f"--from {first}: run {run.name!r} has made {run.hops} steps")
    if not run.done():
        raise usage(f"run {run.name!r} is {run.status}: only a finished run can be replayed; %pocketflex show {run.name} shows it live")
    run.replay(speed=float(speed), first=int(first), height=CONFIG["height"])


JOURNAL_COMMANDS = [
    Command("resume", "resume FILE [RUN]", "Go on with runs that a crash left in a journal.", _resume, option_table(
        Option("--strict", "", "refuse when the code has changed since"),
    )),
    Command(
        "fork", "fork RUN|FILE RUN", "A new run from a step of a journalled one.", _fork, option_table(
            Option("--at", "STEP", "behind so many finished steps"), Option("--before", "NODE", "before the last visit of this node"),
            Option("--set", "KEY=VALUE", "a value of the store that differs; may be given again", many=True),
            Option("--swap", "NODE=NAME", "another node in its place; may be given again", many=True),
            Option("--name", "NAME", "the new run's name"),
        ),
    ),
    Command(
        "replay", "replay RUN|FILE RUN", "Play a finished run again; no step is executed.", _replay,
        option_table(Option("--speed", "4", "this many times as fast"), Option("--from", "N", "begin after this many steps")),
    ),
]
