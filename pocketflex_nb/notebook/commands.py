"""What can ``%pocketflex`` do besides running? One small function a subcommand: read the words, call, show."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow import Flow
from pocketflex_nb.core.graph import graph_of
from pocketflex_nb.core.preview import preview
from pocketflex_nb.core.store import Store
from pocketflex_nb.engine.group import RunGroup
from pocketflex_nb.engine.hot import is_stale
from pocketflex_nb.engine.run import Run, runs
from pocketflex_nb.notebook.help import topic
from pocketflex_nb.notebook.options import value_of, whole
from pocketflex_nb.notebook.short import usage
from pocketflex_nb.notebook.show import show
from pocketflex_nb.notebook.starting import find_flow, find_run, pinned
from pocketflex_nb.views.diff import diff, text_of

__all__ = [
    "COMMANDS", "Call", "answer", "cancel", "clear", "config", "diagram", "doctor", "go_on", "help_", "launcher", "list_agents",
    "list_runs", "pause", "pin", "set_value", "show_run", "stop_agent", "store", "trace", "unpin", "wait",
]


class Call:
    """One line of ``%pocketflex``: the words behind the subcommand, its flags, and the shell."""

    def __init__(self, shell: Any, words: list[str]) -> None:
        self.shell, self.names = shell, shell.user_ns
        self.words = [w for w in words if not w.startswith("--")]
        self.flags = [w for w in words if w.startswith("--")]

    def flag(self, *known: str) -> str | None:
        """The flag that was given among `known`; an error for any other."""
        for given in self.flags:
            if given not in known:
                raise usage(f"unknown option {given!r}{nearest(given, known)}")
        return self.flags[-1] if self.flags else None

    def word(self, what: str) -> str:
        """The next word."""
        if not self.words:
            raise usage(f"{what} is missing")
        return self.words.pop(0)

    def rest(self) -> list[str]:
        """The words that are left."""
        words, self.words = self.words, []
        return words


def _each(call: Call, what: str) -> list[Run]:
    """The runs that the words name; ``all`` for every live one."""
    words = call.rest()
    if not words:
        raise usage(f"which run? %pocketflex {what} RUN, or all")
    found: list[Run] = []
    for word in words:
        if word == "all":
            found += runs(live=True)
        else:
            named = find_run(word, call.names)
            found += [named] if isinstance(named, Run) else list(named)
    return found


def list_runs(call: Call) -> Any:
    """Runs with their state, node, time and cost."""
    flags = set(call.flags)
    call.flag("--all", "--df")
    listed = runs() if "--all" in flags else runs()[-20:]
    rows = [_row(run) for run in listed]
    if "--df" in flags:
        return ports.export(rows, "frame")
    if not rows:
        print("no runs yet: launch a flow, or %pocketflex run FLOW")
        return None
    return _Table(rows, older=len(runs()) - len(listed))


def _row(run: Run) -> dict[str, Any]:
    state = run.state()
    return {
        "run": run.name, "status": run.status, "node": ", ".join(run.in_flight()[:3]) if not run.done() else "", "steps": state.steps,
        "seconds": round(run.seconds, 2), "tokens": state.tokens, "cost": state.cost, "error": state.error,
        "old code": ", ".join(is_stale(run)),
    }


class _Table:
    """Rows with the same keys, as text and as a table; columns that say nothing are left out."""

    def __init__(self, rows: list[dict[str, Any]], older: int = 0, always: tuple[str, ...] = ("run", "status", "steps")) -> None:
        self.older = older
        self.names = [name for name in rows[0] if name in always or any(row[name] for row in rows)]
        self.rows = [[str(row[name]) for name in self.names] for row in rows]

    def __repr__(self) -> str:
        widths = [max(len(cell) for cell in column) for column in zip(self.names, *self.rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for cells in [self.names, *self.rows]]
        return "\n".join(lines + ([f"and {self.older} older: %pocketflex runs --all"] if self.older > 0 else []))

    def _repr_html_(self) -> str:
        from html import escape

        def cells(tag: str, row: list[str]) -> str:
            return "".join(f'<{tag} style="text-align:left">{escape(cell)}</{tag}>' for cell in row)

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        more = f"<p>and {self.older} older: <code>%pocketflex runs --all</code></p>" if self.older > 0 else ""
        return f"<table><thead><tr>{cells('th', self.names)}</tr></thead><tbody>{body}</tbody></table>{more}"


def show_run(call: Call) -> Any:
    """A new view of a live or old run."""
    call.flag()
    show(find_run(call.word("the run's name"), call.names))


def cancel(call: Call) -> None:
    """End runs."""
    call.flag("--now")
    chosen = [run for run in _each(call, "cancel") if run.cancel()]
    for run in chosen:
        if run._future is not None:
            run.wait(5.0)
    print(f"{len(chosen)} run{'s' if len(chosen) != 1 else ''} cancelled" if chosen else "nothing to cancel: it is over already")


def pause(call: Call) -> None:
    """Hold runs before their next node."""
    call.flag()
    for run in _each(call, "pause"):
        run.pause()


def go_on(call: Call) -> None:
    """Let paused runs go on, or one node further with ``--step``."""
    step = call.flag("--step")
    for run in _each(call, "continue"):
        run.step() if step else run.resume()


def wait(call: Call) -> None:
    """Wait for runs."""
    seconds = None
    if "--timeout" in call.flags:
        call.flags.remove("--timeout")
        from pocketflex_nb.notebook.options import duration

        seconds = duration(call.words.pop(), "--timeout") if len(call.words) > 1 else None
    for run in _each(call, "wait"):
        run.wait(seconds)
        print(f"{run.name}: {run.status}")


def store(call: Call) -> Any:
    """The store of a run, or a value in it; ``--at N`` as of version N, ``--diff N M`` what changed between."""
    flag = call.flag("--at", "--diff")
    name = call.word("the run's name")
    found = call.names.get(name)
    held, title = (found, name) if isinstance(found, Store) else (None, name)
    if held is None:
        run = find_run(name, call.names)
        if isinstance(run, RunGroup):
            run = run[0]
        held, title = run.store, run.name
    words = call.rest()
    if flag == "--diff":
        return _difference(held, words)
    if flag == "--at":
        if not words or not words[-1].isdigit():
            raise usage("--at needs a version: %pocketflex store RUN [PATH] --at N")
        held, words = _as_of(held, int(words[-1])), words[:-1]
    if words:
        return _value_at(held, words[0])
    if flag is None and isinstance(held, Store):
        return _inspect(held, title)
    return held


def _as_of(held: Any, version: int) -> Any:
    if not isinstance(held, Store):
        raise usage("this run shared a plain dict, which keeps no versions; launch it, or pass a Store")
    try:
        return held.at(version)
    except LookupError as exc:
        raise usage(str(exc.args[0] if exc.args else exc)) from None


def _inspect(held: Store, title: str) -> Any:
    from pocketflex_nb.notebook.store_inspector import inspect_store

    return inspect_store(held, title)


def _difference(held: Any, words: list[str]) -> Any:
    if len(words) < 2 or not all(w.isdigit() for w in words[-2:]):
        raise usage("--diff needs two versions: %pocketflex store RUN --diff N M")
    old, new = (_as_of(held, int(w)) for w in words[-2:])
    print(text_of(diff(old, new)) or "no difference")
    return None


def _value_at(held: Any, path: str) -> Any:
    """The value at ``notes[2].title``: keys and indexes, one after the other."""
    import re

    value: Any = held
    where = ""
    for part in re.findall(r"[^.\[\]]+", path) if path not in held else [path]:
        key: Any = int(part) if re.fullmatch(r"-?\d+", part) and not isinstance(value, dict) else part
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            known = [str(k) for k in value] if isinstance(value, dict) else []
            raise usage(f"the store has no {path!r}: nothing at {(where + '.' if where else '') + part!r}{nearest(part, known)}") from None
        where = f"{where}.{part}" if where else part
    return value


def set_value(call: Call) -> None:
    """Change a value while the run is paused; the change is kept as a person's."""
    call.flag()
    run = find_run(call.word("the run's name"), call.names)
    path, equals, text = " ".join(call.rest()).partition("=")
    if not equals:
        raise usage("%pocketflex set RUN KEY=EXPR")
    if isinstance(run, RunGroup):
        raise usage(f"{run.name!r} is several runs: name one of them")
    if not run.done() and run.status not in ("paused", "asking"):
        raise usage(f"run {run.name!r} is {run.status}: pause it first (%pocketflex pause {run.name})")
    value = value_of(text, call.names, path)
    run.store[path.strip()] = value
    run.root.note("output", stream="log", text=f"a person set {path.strip()} = {preview(value)}")


def diagram(call: Call) -> Any:
    """A picture of a flow, coloured by a run."""
    flags = list(call.flags)
    for given in flags:
        if given not in ("--svg", "--mermaid", "--dot", "--text", "--save", "--with"):
            raise usage(f"unknown option {given!r}{nearest(given, ('--svg', '--mermaid', '--dot', '--text', '--save', '--with'))}")
    words = call.rest()
    if not words:
        raise usage("which flow? %pocketflex diagram FLOW [--svg|--mermaid|--dot|--text] [--save FILE] [--with RUN]")
    flow = find_flow(words[0], call.names)
    values = dict(zip([f for f in flags if f in ("--save", "--with")], words[1:], strict=False))
    run = find_run(values["--with"], call.names) if "--with" in values else None
    form = next((f[2:] for f in flags if f in ("--svg", "--mermaid", "--dot", "--text")), "svg")
    return _drawn(flow, run, form, values.get("--save"))


def _drawn(flow: Flow, run: Any, form: str, save: str | None) -> Any:
    from IPython.display import display

    from pocketflex_nb.views.svg import svg

    if form == "svg":
        text = svg(graph_of(flow), run.state() if isinstance(run, Run) else None)
    else:
        text = str(ports.export(flow, form))
    if save:
        Path(save).write_text(text, encoding="utf-8")
        print(f"saved as {save}")
        return None
    if form == "svg":
        display({"image/svg+xml": text, "text/plain": repr(flow)}, raw=True)
    elif form == "mermaid":
        display({"text/markdown": f"```mermaid\n{text}\n```", "text/plain": text}, raw=True)
    else:
        print(text)
    return None


def answer(call: Call) -> None:
    """Answer a run's open question."""
    call.flag()
    run = find_run(call.word("the run's name"), call.names)
    text = " ".join(call.rest())
    if isinstance(run, RunGroup):
        raise usage(f"{run.name!r} is several runs: name one of them")
    try:
        run.answer(_answer(text, call.names))
    except (LookupError, ValueError) as exc:
        raise usage(str(exc.args[0])) from None


def _answer(text: str, names: Any) -> Any:
    import ast

    if text.startswith(("@", "$")):
        return value_of(text, names, "answer")
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def launcher(call: Call) -> None:
    """The Launcher form."""
    raise usage("the Launcher form comes with the next version; start flows with %pocketflex run FLOW, or %%pocketflex")


def pin(call: Call) -> None:
    """Freeze the flow's nodes as they are."""
    call.flag()
    flow = find_flow(call.word("the flow's name"), call.names)
    pinned.add(id(flow))
    print(f"{flow.name or 'the flow'} keeps its nodes as they are now; %pocketflex unpin takes that back")


def unpin(call: Call) -> None:
    """Let the flow follow its names again."""
    call.flag()
    pinned.discard(id(find_flow(call.word("the flow's name"), call.names)))


def clear(call: Call) -> None:
    """Forget the runs that are over."""
    from pocketflex_nb.engine.run import forget

    call.flag()
    number = forget()
    print(f"forgot {number} run{'s' if number != 1 else ''}")


#: what ``%pocketflex config`` knows: name to default
_CONFIG: dict[str, Any] = {"height": 500}


def config(call: Call) -> None:
    """Settings of this session."""
    words = call.rest()
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _CONFIG:
            raise usage(f"no setting {name!r}{nearest(name, _CONFIG)}")
        if equals:
            _CONFIG[name] = whole(value, name)
    for name, value in _CONFIG.items():
        print(f"{name} = {value}")


def doctor(call: Call) -> None:
    """Checks of the kernel, the front end, the widgets and the engine."""
    from pocketflex_nb.notebook.doctor import report

    call.flag()
    print(report(call.shell))


def help_(call: Call) -> None:
    """Help, or help on one topic."""
    call.flag()
    print(topic(call.words[0] if call.words else None))


def trace(call: Call) -> Any:
    """The events of a run."""
    flag = call.flag("--df")
    run = find_run(call.word("the run's name"), call.names)
    chosen = run if isinstance(run, Run) else run[0]
    if flag == "--df":
        return chosen.to_frame()
    events = chosen.events
    for event in events[-200:]:
        facts = ", ".join(f"{k}={preview(v, 60)}" for k, v in event.data.items() if v is not None and k not in ("start",))
        print(f"{event.seq:>5}  {event.kind:<15} {event.address}  {facts}")
    if len(events) > 200:
        print(f"the last 200 of {len(events)} events; all of them: run.events", file=sys.stderr)
    return None


def list_agents(call: Call) -> Any:
    """What lives: agents, supervisors and tasks that stand on their own."""
    from pocketflex_nb.agents import living

    call.flag()
    rows = [
        {"agent": str(ref.name), "status": ref.status, "children": len(ref.children()) if hasattr(ref, "children") else ""}
        for ref in living()
    ]
    if not rows:
        print("no agents live")
        return None
    return _Table(rows, always=("agent", "status"))


def stop_agent(call: Call) -> None:
    """End an agent or supervisor by name, in order; ``all`` for every one."""
    from pocketflex_nb.agents import living

    call.flag()
    name = call.word("the agent's name")
    found = {str(ref.name): ref for ref in living()}
    if name != "all" and name not in found:
        raise usage(f"no agent {name!r} lives{nearest(name, found)}")
    for ref in reversed(list(found.values()) if name == "all" else [found[name]]):
        ref.stop_sync("shutdown", timeout=10)
        print(f"{ref.name} stopped")


COMMANDS: dict[str, Callable[[Call], Any]] = {
    "agents": list_agents,
    "answer": answer,
    "cancel": cancel,
    "clear": clear,
    "config": config,
    "continue": go_on,
    "diagram": diagram,
    "doctor": doctor,
    "help": help_,
    "launch": launcher,
    "pause": pause,
    "pin": pin,
    "runs": list_runs,
    "set": set_value,
    "show": show_run,
    "stop": stop_agent,
    "store": store,
    "trace": trace,
    "unpin": unpin,
    "wait": wait,
}
