"""The options of a cell that runs flows, all read and checked before anything starts."""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import TypedDict

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.engine.keeping import Keeping
from pocketflex_nb.notebook.requests.option_line import ParsedLine
from pocketflex_nb.notebook.requests.option_values import amount, duration, pairs, whole_number
from pocketflex_nb.notebook.shell.cell_errors import usage

__all__ = ["CONFIG", "DEFAULT_CONCURRENCY", "DURABILITY_CHOICES", "VIEWS", "RunOptions", "StoreExpression", "compiled", "read_run_options"]

#: runs at once unless -j says otherwise
DEFAULT_CONCURRENCY = 32
VIEWS = ("auto", "graph", "lanes", "timeline", "store", "text", "none")
_POLICIES = ("others", "stop", "pause")
DURABILITY_CHOICES = ("node", "power", "batch")
_CACHES = ("on", "off", "refresh")
_BUDGETS = ("steps", "seconds", "tokens", "cost")


class _Config(TypedDict):
    height: int
    view: str
    j: int
    cache: str


#: what ``%pocketflex config`` sets for the session: the defaults of options
CONFIG: _Config = {"height": 500, "view": "auto", "j": DEFAULT_CONCURRENCY, "cache": "pocketflex_cache.sqlite"}


@dataclass(frozen=True, slots=True)
class StoreExpression:
    """An expression of `store`, with the notebook's names as they are when it is evaluated."""

    text: str
    code: CodeType
    names: Mapping[str, object]

    def __call__(self, store: object) -> object:
        """Its value for `store`."""
        value: object = eval(self.code, {**self.names, "store": store})
        return value


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a cell as values. What depends on the cell's body stands in `Inputs`.

    Attributes
    ----------
    run : bool or None
        Whether to run what the body gives; None: Python bodies are run, diagrams are drawn.
    timeout, budget : float or None, dict or None
        Limits of each run, in seconds and by what is counted.
    node_timeout : float or None
        Seconds for each attempt of each node.
    concurrency : int
        Runs at the same time.
    number : int or None
        Runs of each flow and item.
    on_error : {"others", "stop", "pause"}
        What happens to the other runs when one fails.
    after : str or None
        The run whose end is waited for.
    then : str or None
        A line of ``%pf`` to run at the end, without its ``%pf``.
    keeping : Keeping
        Journal, tape and cache.
    output, table : str or None
        The variables for the Run or RunGroup, and for the table of its events.
    """

    run: bool | None = None
    timeout: float | None = None
    budget: Mapping[str, float] | None = None
    node_timeout: float | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    number: int | None = None
    on_error: str = "others"
    name: str | None = None
    view: str = "auto"
    height: int = 500
    output: str | None = None
    table: str | None = None
    after: str | None = None
    then: str | None = None
    is_background: bool = False
    is_check: bool = False
    is_dry: bool = False
    is_quiet: bool = False
    is_tee: bool = False
    notifies: bool = False
    has_traceback: bool = False
    break_if: StoreExpression | None = None
    watch: tuple[StoreExpression, ...] = ()
    keeping: Keeping = field(default_factory=Keeping)


def read_run_options(line: ParsedLine, names: Mapping[str, object]) -> RunOptions:
    """Check every option that does not depend on the body.

    Raises
    ------
    UsageError
        With the nearest name; nothing has been run.
    """
    timeout, node_timeout, condition = line.one("--timeout"), line.one("--node-timeout"), line.one("--break-if")
    number = line.one("-n")
    if line.has("--share") and line.has("--each"):
        raise usage("--share and --each exclude each other: one store cannot hold an item for each run; seed the list instead")
    if line.has("--run") and line.has("--no-run"):
        raise usage("--run and --no-run exclude each other")
    return RunOptions(
        run=True if line.has("--run") else False if line.has("--no-run") else None,
        timeout=duration(timeout, "--timeout") if timeout else None,
        budget=_budget(line.one("--budget")),
        node_timeout=duration(node_timeout, "--node-timeout") if node_timeout else None,
        concurrency=whole_number(line.one("-j") or str(CONFIG["j"]), "-j"),
        number=whole_number(number, "-n") if number is not None else None,
        on_error=_choice(line.one("--on-error") or "others", "--on-error", _POLICIES),
        name=line.one("--name"),
        view=_choice(line.one("--view") or CONFIG["view"], "--view", VIEWS),
        height=whole_number(line.one("--height") or str(CONFIG["height"]), "--height"),
        output=_variable(line.one("-o"), "-o"),
        table=_variable(line.one("--into"), "--into"),
        after=line.one("--after"),
        then=_magic(line.one("--then")),
        is_background=line.has("--bg"),
        is_check=line.has("--check"),
        is_dry=line.has("--dry"),
        is_quiet=line.has("--quiet"),
        is_tee=line.has("--tee"),
        notifies=line.has("--notify"),
        has_traceback=line.has("--traceback"),
        break_if=compiled(condition, "--break-if", names) if condition is not None else None,
        keeping=_keeping(line),
        watch=tuple(compiled(text, "--watch", names) for text in line.all("--watch")),
    )


def _keeping(line: ParsedLine) -> Keeping:
    """What ``--journal``, ``--tape``, ``--replay`` and ``--cache`` say together."""
    journal, tape, modes = line.one("--journal"), line.one("--replay"), line.all("--cache")
    if journal is not None and line.has("--tape"):
        raise usage("--tape and --journal both name the file that the run is recorded in: give one of them")
    journal = journal if journal is not None else line.one("--tape")
    if line.has("--durability") and journal is None:
        raise usage("--durability needs --journal FILE: without a journal nothing is kept")
    if line.has("--strict-tape") and tape is None:
        raise usage("--strict-tape needs --replay FILE: the run that is to be played")
    files = [mode for mode in modes if mode not in _CACHES]
    if len(files) > 1 or len(modes) - len(files) > 1 or ("off" in modes and files):
        raise usage(f"--cache {' --cache '.join(modes)}: one FILE, and one of on, off, refresh")
    cache = None if not modes or "off" in modes else files[0] if files else journal or CONFIG["cache"]
    if cache is not None and files and (near := nearest(cache, _CACHES)).startswith("; did") and "." not in cache:
        raise usage(f"--cache {cache!r}{near} A file has a suffix: --cache {cache}.sqlite")
    return Keeping(
        journal, _choice(line.one("--durability") or "node", "--durability", DURABILITY_CHOICES), tape, line.has("--strict-tape"),
        cache, "refresh" in modes and cache is not None,
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
            raise usage(f"--budget {what}={value}: must be more than 0")
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


def compiled(text: str, what: str, names: Mapping[str, object]) -> StoreExpression:
    """An expression of `store`; its other names must be there."""
    try:
        code = compile(text, f"<{what}>", "eval", dont_inherit=True)
    except SyntaxError:
        raise usage(f"{what}: {text!r} is not a Python expression") from None
    tree = ast.parse(text, mode="eval")
    made = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    made |= {a.arg for a in ast.walk(tree) if isinstance(a, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in {"store", *made} and node.id not in names and not hasattr(builtins, node.id):
            known = ["store", *(n for n in names if not n.startswith("_"))]
            raise usage(f"{what}: no name {node.id!r} in the notebook{nearest(node.id, known)}; the run's store is `store`")
    return StoreExpression(text, code, names)
