"""The subcommands for runs: list, show, control, wait for, answer and report them."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic

from pocketflex_nb.concurrency.interruptible import GRACE, wait_awake
from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.events import Event
from pocketflex_nb.core.frozen.freezer import MISSING
from pocketflex_nb.core.units import duration_text
from pocketflex_nb.engine.runs.run import Run, lifecycle_of, runs
from pocketflex_nb.engine.runs.run_group import RunGroup
from pocketflex_nb.notebook.cells.cell_wait import CellWait
from pocketflex_nb.notebook.cells.show import show
from pocketflex_nb.notebook.magics.commands.command import Call, Command, Table
from pocketflex_nb.notebook.magics.commands.journals import JOURNAL_COMMANDS, kept_history
from pocketflex_nb.notebook.magics.commands.run_rows import run_row, run_table
from pocketflex_nb.notebook.requests.names import find_run
from pocketflex_nb.notebook.requests.option_line import Option, option_table
from pocketflex_nb.notebook.requests.option_values import duration, evaluated, whole_number
from pocketflex_nb.notebook.requests.run_options import CONFIG, VIEWS
from pocketflex_nb.notebook.shell.cell_errors import Interrupted, usage
from pocketflex_nb.notebook.shell.safe_print import print_safely
from pocketflex_nb.notebook.widgets.base.view_lifetimes import forget_all
from pocketflex_nb.views.conversation.turn_text import event_line
from pocketflex_nb.views.diagrams.sequence import steps_of
from pocketflex_nb.views.text.safe_messages import masked_lines
from pocketflex_nb.views.values.value_preview import preview

__all__ = ["RUN_COMMANDS"]

#: lines that ``runs`` shows without ``--all``
_LISTED = 20
#: events that ``trace`` prints, and that ``events`` shows unless told otherwise
_TOLD, _LATEST = 200, 50
#: characters of one output that are read for secrets
_LONGEST = 4_000


def _count(number: int) -> str:
    return f"{number} run{'s' if number != 1 else ''}"


def _list(call: Call) -> object:
    call.end()
    if call.has("--journal") or (call.has("--all") and not call.has("--df")):
        return kept_history(call)
    made = runs()
    listed = made if call.has("--all") else made[-_LISTED:]
    rows = [run_row(run) for run in listed]
    if call.has("--df"):
        return ports.export(rows, "frame")
    if not rows:
        print_safely("no runs yet: launch a flow, or %pocketflex run FLOW")
        return None
    older = len(made) - len(listed)
    return run_table(rows, listed, f"and {older} older: %pocketflex runs --all" if older else "")


def _show(call: Call) -> None:
    found = find_run(call.word("the run's name"), call.names)
    call.end()
    view = call.value("--view") or CONFIG["view"]
    if view not in VIEWS:
        raise usage(f"--view {view!r}{nearest(view, VIEWS)}")
    show(found, view=view, height=whole_number(call.value("--height") or str(CONFIG["height"]), "--height"))


def _cancel(call: Call) -> None:
    chosen = [run for run in call.some_runs() if run.cancel()]
    until = monotonic() + GRACE
    for run in chosen:
        if not call.has("--now") and lifecycle_of(run).launched:
            run.wait(max(0.0, until - monotonic()))
    left = [run.name for run in chosen if not run.done()]
    print_safely(f"{_count(len(chosen))} cancelled" if chosen else "nothing to cancel: every run named is over")
    if left and not call.has("--now"):
        print_safely(f"still ending: {', '.join(left[:5])}")


def _pause(call: Call) -> None:
    held = [run for run in call.some_runs() if not run.done()]
    for run in held:
        run.pause()
    print_safely(f"{_count(len(held))} paused before the next node" if held else "nothing to pause: every run named is over")


def _go_on(call: Call) -> None:
    for run in call.some_runs():
        if run.done():
            print_safely(f"{run.name} is over: {run.status}")
        elif call.has("--step"):
            run.step()
        else:
            run.resume()


class _Waiting(CellWait):
    """``%pf wait``: the runs continue when it is interrupted, since they belong to other cells."""

    def __init__(self, chosen: list[Run], seconds: float | None) -> None:
        self._runs = chosen
        self._until = None if seconds is None else monotonic() + seconds

    def __repr__(self) -> str:
        return f"<waiting for {_count(len(self._runs))}>"

    def _left(self) -> bool:
        return not all(run.done() for run in self._runs) and (self._until is None or monotonic() < self._until)

    async def _until_over(self) -> None:
        try:
            loop, over = asyncio.get_running_loop(), asyncio.Event()

            def tell(_: Run) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(over.set)

            for run in self._runs:
                run.add_done_callback(tell)
            while self._left():
                over.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._until is None else self._until - monotonic()):
                        await wait_awake(over.wait())
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise self._interrupted() from None
        self._end()

    def _end(self) -> None:
        for run in self._runs:
            print_safely(f"{run.name}: {run.status}")
        late = [run.name for run in self._runs if not run.done()]
        if late:
            raise usage(f"not over in time: {', '.join(late[:5])}; {'they go' if len(late) > 1 else 'it goes'} on")

    def _interrupted(self) -> Interrupted:
        return Interrupted("Interrupted: no longer waiting; the runs go on.")


def _wait(call: Call) -> CellWait:
    seconds = call.value("--timeout")
    return _Waiting(call.some_runs(), duration(seconds, "--timeout") if seconds else None)


def _answer(call: Call) -> None:
    run = call.one_run()
    text = " ".join(call.rest())
    if not text:
        raise usage(f"the answer is missing: %pocketflex {call.command.usage}")
    try:
        run.answer(_answered(run, text, call.names))
    except (LookupError, ValueError) as exc:
        raise usage(str(exc.args[0] if exc.args else exc)) from None


def _answered(run: Run, text: str, names: Mapping[str, object]) -> object:
    """The answer that a text means: one of the choices, else a value of the notebook, a literal, or the text itself."""
    question = lifecycle_of(run).ensure_controller().questions.oldest()
    if question is not None:
        for choice in question.choices or ():
            if text.strip("\"'") == str(choice):
                return choice
    if text.startswith(("@", "$")):
        return evaluated(text, names, "answer")
    try:
        value: object = ast.literal_eval(text)
        return value
    except (ValueError, SyntaxError):
        return text


def _trace(call: Call) -> object:
    found = find_run(call.word("the run's name"), call.names)
    call.end()
    if call.has("--df"):
        return found.to_frame()
    run = found if isinstance(found, Run) else found[0]
    if call.has("--sequence"):
        from IPython.display import display

        if not steps_of(run.events):
            raise usage(f"run {run.name!r} sent no messages between agents; its steps: %pocketflex trace {run.name}")
        text = ports.export(run.events, "sequence")
        display({"text/markdown": f"```mermaid\n{text}\n```", "text/plain": text}, raw=True)
        return None
    for flag, write in (("--otel", _otel), ("--html", _html)):
        if call.has(flag):
            target = Path(call.value(flag) or "")
            try:
                write(found, target)
            except OSError as exc:
                raise usage(f"{flag} {str(target)!r}: {exc.strerror or exc}") from None
            print_safely(f"written to {target}")
            return None
    table = _events_table(run.events, _TOLD, f"all of them: %pocketflex events {run.name} --all")
    print_safely(repr(table))
    return None


def _events(call: Call) -> object:
    if call.words:
        found = find_run(call.word("the run's name"), call.names)
    elif latest := runs():
        found = latest[-1]
    else:
        raise usage("no runs yet: launch a flow, or %pocketflex run FLOW")
    call.end()
    if call.has("--df"):
        return found.to_frame()
    run = found if isinstance(found, Run) else found[0]
    wanted, events = call.values("--kind"), run.events
    if wanted:
        known = {event.kind for event in events}
        for kind in wanted:
            if kind not in known:
                raise usage(f"run {run.name!r} has no event of kind {kind!r}{nearest(kind, sorted(known))}")
        events = [event for event in events if event.kind in wanted]
    limit = len(events) if call.has("--all") else whole_number(call.value("--last") or str(_LATEST), "--last")
    return _events_table(events, limit, "--all shows them all, --last N the last N", began=run.events[0].ns if run.events else 0)


def _otel(found: Run | RunGroup, target: Path) -> None:
    from pocketflex_nb.notebook.reports.html_page import write_beside
    from pocketflex_nb.notebook.reports.otel import otlp_json

    write_beside(target, otlp_json([found] if isinstance(found, Run) else list(found)))


def _html(found: Run | RunGroup, target: Path) -> None:
    from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

    RunView(found).to_html(target)


def _events_table(events: list[Event], limit: int, mend: str, *, began: int | None = None) -> Table:
    """The last `limit` events in columns, each at its time since the run began."""
    outputs = [event for event in events if event.kind == "output"][-2 * _TOLD :]
    masked = masked_lines([(str(e.get("stream", "print")), str(e.get("text", "")), e.node) for e in outputs], _LONGEST)
    texts = {event.seq: text for event, text in zip(outputs, masked, strict=True)}
    zero = began if began is not None else events[0].ns if events else 0
    rows: list[dict[str, object]] = [
        {
            "#": event.seq, "at": f"{(event.ns - zero) / 1e9:.3f} s", "event": event.kind, "where": event.address,
            "took": "" if event.get("seconds") is None else duration_text(event["seconds"]),
            "what": _facts(event, texts.get(event.seq)),
        }
        for event in events[-limit:]
    ] or [{"#": "", "at": "", "event": "nothing has happened yet", "where": "", "took": "", "what": ""}]
    note = f"the last {limit:,} of {len(events):,} events; {mend}" if len(events) > limit else ""
    return Table(rows, always=("#", "at", "event"), note=note)


def _facts(event: Event, text: str | None = None) -> str:
    if line := event_line(event):
        return line
    if event.kind == "store_changed":
        return "; ".join(_changed(change) for change in event["changes"])
    facts = {k: v for k, v in event.data.items() if v is not None and k not in ("start", "seconds", "visit")}
    if text is not None:
        facts["text"] = text
    return ", ".join(f"{k}={preview(v, 60, key=k)}" for k, v in facts.items())


def _changed(change: Mapping[str, object]) -> str:
    """One change of a store: the old and the new value."""
    key, old, new = change["key"], *(preview(change[side], 60, key=change["key"]) for side in ("old", "new"))
    if change["op"] == "delete":
        return f"- {key}: {old}"
    return f"+ {key}: {new}" if change["old"] is MISSING else f"~ {key}: {old} → {new}"


def _clear(call: Call) -> None:
    call.end()
    print_safely(f"forgot {_count(forget_all())}")


RUN_COMMANDS = [
    Command("runs", "runs", "The runs with their status, node, time and cost.", _list, option_table(
        Option("--all", "", "also the older ones, and those that journals keep, of earlier kernels too"),
        Option("--journal", "FILE", "only those of this journal; may be given again", many=True),
        Option("--df", "", "as a pandas DataFrame"),
    )),
    Command("show", "show RUN", "A live view of a run, or the view of a finished one.", _show, option_table(
        Option("--view", "|".join(VIEWS), "what to show"), Option("--height", "500", "maximum height in pixels"),
    )),
    Command("cancel", "cancel RUN|all", "Cancel runs, and wait until they are over.", _cancel, option_table(
        Option("--now", "", "do not wait until they are over"),
    )),
    Command("pause", "pause RUN|all", "Pause runs before their next node.", _pause),
    Command("continue", "continue RUN|all", "Continue paused runs.", _go_on, option_table(
        Option("--step", "", "only to the next node"),
    )),
    Command("wait", "wait RUN...", "Wait until runs are over; the buttons of views work meanwhile.", _wait, option_table(
        Option("--timeout", "60s", "wait no longer than this"),
    )),
    Command("answer", "answer RUN VALUE", "Answer the question of a run.", _answer),
    Command(
        "events", "events [RUN]", "The events of a run in columns, those of the latest run by default.", _events,
        option_table(
            Option("--last", str(_LATEST), "so many, the latest"), Option("--all", "", "all of them"),
            Option("--kind", "KIND", "only this kind; may be given again", many=True), Option("--df", "", "as a pandas DataFrame"),
        ),
    ),
    Command(
        "trace", "trace RUN", "The events of a run, in order.", _trace,
        option_table(
            Option("--df", "", "as a pandas DataFrame"), Option("--sequence", "", "as a sequence diagram of the messages between agents"),
            Option("--otel", "FILE", "write OpenTelemetry JSON"), Option("--html", "FILE", "write the run as one HTML page"),
        ),
    ),
    *JOURNAL_COMMANDS,
    Command("clear", "clear", "Forget the runs that are over.", _clear),
]
