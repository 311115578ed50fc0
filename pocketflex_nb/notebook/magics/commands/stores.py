"""The subcommands for stores: show them now or at a version, compare versions, and change a value."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.runs.run import Run, lifecycle_of
from pocketflex_nb.notebook.magics.commands.command import Call, Command
from pocketflex_nb.notebook.requests.names import find_run, runs_of
from pocketflex_nb.notebook.requests.option_line import Option, option_table
from pocketflex_nb.notebook.requests.option_values import evaluated
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.notebook.shell.safe_print import print_safely
from pocketflex_nb.notebook.widgets.store_inspector.store_history import put_at
from pocketflex_nb.views.values.change_lines import change_text, compare_lines
from pocketflex_nb.views.values.value_preview import preview

__all__ = ["STORE_COMMANDS", "Content", "parts_of", "value_at_path"]


#: the content of a store: the Store, the mapping that a plain run shared, or one version of either
Content = Mapping[object, object]


def _store(call: Call) -> object:
    if call.has("--at") and call.has("--diff"):
        raise usage("--at and --diff exclude each other")
    name = call.word("the run's name")
    held, title = _held(name, call.names)
    path = call.word("the path") if call.words else None
    call.end()
    if call.has("--diff"):
        _print_difference(call, held, path)
        return None
    at = call.value("--at")
    if at is not None:
        held = _as_of(held, at, "--at")
    if path is not None:
        return value_at_path(held, path)
    if at is None and isinstance(held, Store):
        from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import inspect_store

        found = call.names.get(name)
        inspect_store(held if isinstance(found, Store) else runs_of(find_run(name, call.names))[0], title)
        return None
    return held


def _held(name: str, names: Mapping[str, object]) -> tuple[Content, str]:
    """The store of that run, or the Store of that name in the notebook, and its name."""
    found = names.get(name)
    if isinstance(found, Store):
        return found, name
    chosen = runs_of(find_run(name, names))
    if any(run.store is not chosen[0].store for run in chosen):
        print_safely(f"the store of {chosen[0].name}, the first of {len(chosen)} runs")
    return chosen[0].store, chosen[0].name


def _as_of(held: Content, version: str, what: str) -> Content:
    if not isinstance(held, Store):
        raise usage("this run shared a plain dict, which keeps no versions; launch it, or pass a Store")
    if not version.isdigit():
        raise usage(f"{what} {version!r}: a version is needed, from 0 to {held.version}")
    return held.at(int(version))


def _print_difference(call: Call, held: Content, path: str | None) -> None:
    given = call.values("--diff")
    old: object
    new: object
    if len(given) == 2:
        old, new = _as_of(held, given[0], "--diff"), _as_of(held, given[1], "--diff")
    elif given[0].isdigit():
        old, new = _as_of(held, given[0], "--diff"), held
    else:
        old, new = held, _held(given[0], call.names)[0]
    if path is not None:
        old, new = (_or_none(side, path) for side in (old, new))
    print_safely(change_text(compare_lines(old, new)) or "no difference")


def _item(value: Any, key: object) -> object:
    """What the user's container has at `key`.

    Raises
    ------
    LookupError
        Nothing, or it is no container.
    """
    try:
        return value[key]
    except TypeError as exc:
        raise LookupError(str(exc)) from None


def _or_none(held: object, path: str) -> object:
    """What is at `path`, or None where it is not there yet."""
    value = held
    for key in parts_of(held, path):
        try:
            value = _item(value, key)
        except LookupError:
            return None
    return value


def parts_of(held: object, path: str) -> list[object]:
    """``notes[2].title`` as the keys and indexes one after the other; a key that is written so itself is one."""
    if isinstance(held, Container) and path in held:
        return [path]
    parts: list[object] = []
    value: object = held
    for text in re.findall(r"[^.\[\]]+", path):
        text = text.strip("\"'")
        is_index = re.fullmatch(r"-?\d+", text) and not (isinstance(value, dict) and text in value)
        key = int(text) if is_index else text
        parts.append(key)
        try:
            value = _item(value, key)
        except LookupError:
            value = None
    return parts


def value_at_path(held: object, path: str) -> object:
    """The value at `path`.

    Raises
    ------
    UsageError
        With the part that is not there and the nearest key.
    """
    value, where = held, ""
    for key in parts_of(held, path):
        here = f"{where}.{key}" if where else str(key)
        try:
            value = _item(value, key)
        except LookupError:
            known = [str(k) for k in value] if isinstance(value, dict) else []
            raise usage(f"the store has no {path!r}: nothing at {here!r}{nearest(str(key), known)}") from None
        where = here
    return value


def _set(call: Call) -> None:
    run = call.one_run()
    path, equals, text = " ".join(call.rest()).partition("=")
    path = path.strip()
    if not equals or not path:
        raise usage(f"%pocketflex {call.command.usage}")
    if not run.done() and run.status not in ("paused", "asking"):
        raise usage(f"run {run.name!r} is {run.status}: pause it first (%pocketflex pause {run.name})")
    value = evaluated(text, call.names, path)
    _put(run, path, value)
    told = f"{path} = {preview(value, 200, key=tuple(parts_of(run.store, path)))}"
    lifecycle_of(run).root.note("output", stream="log", text=f"a person set {told}", by="person")
    print_safely(told)


def _put(run: Run, path: str, value: object) -> None:
    first, *rest = parts_of(run.store, path)
    if rest and first not in run.store:
        raise usage(f"the store has no {first!r}{nearest(str(first), map(str, run.store))}")
    try:
        put_at(run.store, (first, *rest), value)
    except (LookupError, TypeError) as exc:
        raise usage(f"{path} cannot be set: {type(exc).__name__}: {exc}") from None


STORE_COMMANDS = [
    Command(
        "store", "store RUN [PATH]", "The store of a run, live, or the value at a path such as notes[2].title.", _store,
        option_table(
            Option("--at", "N", "as of this version"),
            Option("--diff", "N M|RUN2", "what changed between two versions, or from this run's store to another's", takes_two=True),
        ),
    ),
    Command("set", "set RUN PATH=EXPR", "Change a value while the run is paused; the change is noted in its lane.", _set),
]
