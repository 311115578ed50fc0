"""The options of a cell that runs flows, all read and checked before anything starts."""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.option_values import amount, duration, pairs, whole_number
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["CONFIG", "DEFAULT_CONCURRENCY", "VIEWS", "RunOptions", "compiled", "read_run_options"]

#: runs at once unless -j says otherwise
DEFAULT_CONCURRENCY = 32
VIEWS = ("auto", "graph", "lanes", "timeline", "store", "text", "none")
_POLICIES = ("others", "stop", "pause")
_BUDGETS = ("steps", "seconds", "tokens", "cost")

#: what ``%pocketflex config`` sets for the session: the defaults of options
CONFIG: dict[str, Any] = {"height": 500, "view": "auto", "j": DEFAULT_CONCURRENCY}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a cell, checked.

    Attributes
    ----------
    limits : dict
        ``timeout`` and ``budget`` of each whole run, as `launch` takes them.
    node_timeout : float or None
        Seconds for each attempt of each node.
    at_once : int
        Runs at once.
    on_error : {"others", "stop", "pause"}
        What the other runs do when one fails.
    """

    limits: dict[str, Any] = field(default_factory=dict)
    node_timeout: float | None = None
    at_once: int = DEFAULT_CONCURRENCY
    number: int | None = None
    on_error: str = "others"
    name: str | None = None
    view: str = "auto"
    height: int = 500
    output: str | None = None
    table: str | None = None
    background: bool = False
    then: str | None = None
    notify: bool = False
    breaks: frozenset[str] = frozenset()
    break_if: CodeType | None = None
    watch: tuple[tuple[str, CodeType], ...] = ()


def read_run_options(options: ParsedLine, names: Mapping[str, Any]) -> RunOptions:
    """Check every option that does not depend on the body.

    Raises
    ------
    UsageError
        With the nearest name; nothing has been run.
    """
    timeout, node_timeout, condition = options.one("--timeout"), options.one("--node-timeout"), options.one("--break-if")
    number = options.one("-n")
    if options.has("--share") and options.has("--each"):
        raise usage("--share and --each exclude each other: one store cannot hold an item for each run; seed the list instead")
    if options.has("--run") and options.has("--no-run"):
        raise usage("--run and --no-run exclude each other")
    return RunOptions(
        limits={"budget": _budget(options.one("--budget")), "timeout": duration(timeout, "--timeout") if timeout else None},
        node_timeout=duration(node_timeout, "--node-timeout") if node_timeout else None,
        at_once=whole_number(options.one("-j") or str(CONFIG["j"]), "-j"),
        number=whole_number(number, "-n") if number is not None else None,
        on_error=_choice(options.one("--on-error") or "others", "--on-error", _POLICIES),
        name=options.one("--name"),
        view=_choice(options.one("--view") or CONFIG["view"], "--view", VIEWS),
        height=whole_number(options.one("--height") or str(CONFIG["height"]), "--height"),
        output=_variable(options.one("-o"), "-o"),
        table=_variable(options.one("--into"), "--into"),
        background=options.has("--bg"),
        then=_magic(options.one("--then")),
        notify=options.has("--notify"),
        breaks=frozenset(options.all("--break")),
        break_if=compiled(condition, "--break-if", names) if condition is not None else None,
        watch=tuple((text, compiled(text, "--watch", names)) for text in options.all("--watch")),
    )


def _budget(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    budget = {}
    for what, value in pairs(text, "--budget"):
        if what not in _BUDGETS:
            raise usage(f"--budget {what}: not counted{nearest(what, _BUDGETS)}")
        budget[what] = duration(value, "--budget seconds") if what == "seconds" else amount(value, f"--budget {what}")
        if not budget[what]:
            raise usage(f"--budget {what}={value}: more than 0 is needed")
    return budget


def _choice(value: str, what: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise usage(f"{what} {value!r}{nearest(value, known)}")
    return value


def _variable(name: str | None, what: str) -> str | None:
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise usage(f"{what} {name!r} is no name that Python can bind")
    return name


def _magic(command: str | None) -> str | None:
    """The ``%pf`` words that ``--then`` was given."""
    if command is None:
        return None
    word, _, rest = command.strip().lstrip("%").partition(" ")
    if not command.strip().startswith("%") or word not in ("pf", "pocketflex"):
        raise usage(f"--then {command!r}: a line of ours is needed, such as --then '%pf show night'")
    return rest.strip()


def compiled(text: str, what: str, names: Mapping[str, Any]) -> CodeType:
    """An expression of `store`; its other names must be there."""
    try:
        code = compile(text, f"<{what}>", "eval", dont_inherit=True)
    except SyntaxError:
        raise usage(f"{what}: {text!r} is no Python expression") from None
    tree = ast.parse(text, mode="eval")
    made = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    made |= {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in {"store", *made} and node.id not in names and not hasattr(builtins, node.id):
            known = ["store", *(n for n in names if not n.startswith("_"))]
            raise usage(f"{what}: no name {node.id!r} in the notebook{nearest(node.id, known)}; the run's store is `store`")
    return code
