"""The house's table of rooms, held against the imports: who may import whom, what comes from outside, and where.

Every import counts, inside a function too; only what stands in a function is lazy. A room that does not exist yet is not asked.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "pocketflex_nb"
FOLDER = Path(__file__).resolve().parent.parent / PACKAGE

#: clients of servers: a file for the store, a file for the queue
SERVERS = {"redis", "psycopg", "psycopg_pool", "aio_pika"}
NETWORK_AND_DISK = {"dbm", "ftplib", "http", "shelve", "smtplib", "socket", "sqlite3", "ssl", "tempfile", "urllib"}
WAITING = {"asyncio", "concurrent", "multiprocessing", "queue", "select", "selectors", "signal", "subprocess"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a room may do. `outside` gives, per name of a foreign package, the number of files that may import it."""

    rooms: frozenset[str] = frozenset()
    outside: dict[str, float] = field(default_factory=dict)
    may_wait: bool = True
    waits_for_its_caller: frozenset[str] = frozenset()
    may_write: bool = False


MANY = float("inf")
ROOMS = {
    # a store's lock and watch are awaited by whoever asks for them; nothing else of the room knows a loop
    "core": Rule(may_wait=False, waits_for_its_caller=frozenset({"pocketflex_nb.core.store.key_lock", "pocketflex_nb.core.store.watch"})),
    "concurrency": Rule(frozenset({"core"}), {"greenlet": 1, "nest_asyncio2": 1}),
    "engine": Rule(frozenset({"core", "concurrency"})),
    "agents": Rule(frozenset({"core", "concurrency", "engine"}), {"cloudpickle": 1}),
    "resources": Rule(frozenset({"core", "concurrency"}), dict.fromkeys(SERVERS, 2), may_write=True),
    "journal": Rule(frozenset({"core"}), may_write=True),
    "views": Rule(frozenset({"core"}), {"graphviz": 1, "markdown_it": 1}, may_wait=False),
    "notebook": Rule(
        frozenset({"core", "concurrency", "engine", "agents", "resources", "journal", "views", "notebook", "pocketflow", ""}),
        # traitlets, comm and ipykernel are how one speaks to IPython and ipywidgets
        {"IPython": MANY, "ipywidgets": MANY, "anywidget": MANY, "traitlets": MANY, "comm": MANY, "ipykernel": MANY,
         "pandas": 1},
        may_write=True,
    ),
    "lessons": Rule(frozenset({"core", "concurrency", "engine", "agents", "llm"}), may_write=True),
    "pocketflow": Rule(frozenset({"core", "concurrency", "engine"})),
    # models and tools; the SDK of a provider in a file each
    "llm": Rule(
        frozenset({"core", "concurrency", "engine", "agents"}), {"openai": 1, "xllamacpp": 1, "mcp": 4, "uvicorn": 1},
        may_write=True,
    ),
    # a server of its own, for tests and lessons
    "testing": Rule(frozenset({"core", "concurrency", "engine", "agents", "llm"}), {"IPython": 1}),
    # the command line
    "__main__": Rule(frozenset({"core", "llm"})),
    # the package root joins the rooms; the screen only inside load_ipython_extension
    "": Rule(frozenset({"core", "concurrency", "engine", "agents", "resources", "journal", "views", "notebook"}), {"pandas": 1},
             may_write=True),
}
#: of another room, all that a room may import; without an entry all of it
ONLY = {("concurrency", "core"): {"pocketflex_nb.core.errors", "pocketflex_nb.core.context"}}

#: Inside a room, from the ground up. A folder (or a file beside the folders) imports only what stands on lower floors, and itself.
#: What shares a floor imports nothing of each other, save the names of one set.
FLOORS: dict[str, list[list[set[str]]]] = {
    "core": [
        [{"errors", "context", "events", "lane_text", "port_types", "ports", "safe_repr", "self_display", "state", "units",
          "user_traceback", "value_text", "wait_marks", "waits"}],
        [{"codec"}, {"frozen"}, {"flow"}],
        [{"store"}, {"mermaid"}, {"comparison"}],
    ],
    "engine": [[{"records"}], [{"control"}], [{"runs"}], [{"walk"}], [{"keeping"}], [{"launch"}], [{"resume"}], [{"engine_port"}]],
    "agents": [[{"protocol"}], [{"host"}], [{"messaging"}], [{"isolation"}], [{"actor"}], [{"supervision"}], [{"tasks"}]],
    "resources": [
        [{"connections"}],
        [{"stores.backends"}, {"queues.backends"}, {"topics.backends"}],
        [{"stores"}, {"topics"}],
        [{"queues"}],       # a call's reply comes on a topic
    ],
    "llm": [
        [{"errors"}, {"messages"}, {"tools.json_schema"}, {"tools.docstrings"}, {"prompt"}],
        [{"tools.tool"}, {"model_call"}, {"structured"}, {"replies"}],
        [{"conversation"}],
        [{"chat"}],
        [{"agent.think"}],
        [{"agent.tool_nodes"}],
        [{"agent.tool_agent"}],
        [{"providers"}, {"mcp"}],
    ],
    "views": [[{"secret_forms"}], [{"text"}], [{"values"}], [{"layout"}], [{"diagrams"}, {"conversation"}]],
    "notebook": [
        [{"shell"}, {"run_data"}, {"widgets.base"}],
        [{"requests"}, {"reports"}],
        [{"widgets.run_view"}, {"widgets.store_inspector"}, {"widgets.agents_view"}, {"widgets.engine_panel"}],
        [{"widgets.launcher"}, {"widgets.run_history"}],
        [{"cells"}],
        [{"magics.commands"}],
        [{"magics"}],
        [{"extension"}],
    ],
}
#: folders that never import each other, on whatever floor their parts stand
STRANGERS = {"resources": ({"stores", "queues"}, {"stores", "topics"})}

#: foreign packages that no module may import before it is asked to do something with them
ALWAYS_LAZY = {
    "greenlet", "nest_asyncio2", "cloudpickle", "graphviz", "markdown_it", "openai", "pandas", "xllamacpp", "mcp", "uvicorn",
    *SERVERS,
}

#: hooks that IPython calls by name, and nobody imports
CALLED_BY_IPYTHON = {"load_ipython_extension", "unload_ipython_extension"}

#: what a user types, by the room it comes from (only the rooms that stand are asked)
ROOT_NAMES = {
    "core": "compare Node BatchNode Flow BatchFlow node linear END Retry Store replay",
    "engine": "Breaker Limiter launch ask emit runs current",
    "agents": "Agent FlowAgent Supervisor DynamicSupervisor Registry child spawn stream trace",
    "resources": "open_store open_queue open_topic",
    "journal": "open_journal resume",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One name imported by a file. `is_lazy` when it stands inside a function, or for type checkers only."""

    file: str
    line: int
    target: str
    is_lazy: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    """Every module of the package: dotted name to file."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """The room of a module: the first folder or file below the package; the root itself is ``""``."""
    return module.split(".")[1] if "." in module else ""


@cache
def imports(module: str) -> tuple[Import, ...]:
    """Every import of a module, with names resolved to the file that they stand in."""
    file = str(modules()[module].relative_to(FOLDER.parent))
    return tuple(Import(file, line, target, is_lazy) for target, line, is_lazy in _imported(tree(module), is_lazy=False))


def _imported(node: ast.AST, *, is_lazy: bool) -> Iterator[tuple[str, int, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((_file_of(alias.name), child.lineno, is_lazy) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute"
            yield from ((_file_of(f"{child.module}.{alias.name}"), child.lineno, is_lazy) for alias in child.names)
        elif isinstance(child, ast.Call) and (name := _imported_by_call(child)):
            yield _file_of(name), child.lineno, is_lazy
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imported(child, is_lazy=is_lazy or is_function or _is_for_types(child))


def _is_for_types(node: ast.AST) -> bool:
    """Whether it is an ``if TYPE_CHECKING:``, whose imports never run."""
    return isinstance(node, ast.If) and getattr(node.test, "id", "").lstrip("_") == "TYPE_CHECKING" and not node.orelse


def _imported_by_call(call: ast.Call) -> str | None:
    """The name in ``import_module("name")`` or ``__import__("name")``."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
    if called not in {"import_module", "__import__"} or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    return str(call.args[0].value)


def _file_of(name: str) -> str:
    """The module that holds a dotted name, if it is ours; else the name."""
    if name.split(".")[0] != PACKAGE:
        return name
    while name not in modules() and "." in name:
        name = name.rpartition(".")[0]
    return name


def is_ours(name: str) -> bool:
    return name.split(".")[0] == PACKAGE


def is_foreign(name: str) -> bool:
    return not is_ours(name) and name.split(".")[0] not in sys.stdlib_module_names


def all_imports() -> list[Import]:
    return [found for module in modules() for found in imports(module)]


@pytest.mark.parametrize("module", modules())
def test_a_module_stands_in_a_room(module: str) -> None:
    assert room_of(module) in ROOMS, f"{module} stands in no room of the table"


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_the_rooms_that_its_room_may(module: str) -> None:
    allowed = ROOMS[room_of(module)].rooms | {room_of(module)}

    strayed = [str(found) for found in imports(module) if is_ours(found.target) and room_of(found.target) not in allowed]

    assert strayed == []


@pytest.mark.parametrize(("room", "other"), ONLY)
def test_a_room_imports_of_another_only_what_it_may(room: str, other: str) -> None:
    found = [found for module in modules() if room_of(module) == room for found in imports(module)]

    strayed = [str(one) for one in found if is_ours(one.target) and room_of(one.target) == other and one.target not in ONLY[room, other]]

    assert strayed == []


def _floor_of(module: str) -> tuple[int, int, str]:
    """Where a module stands in its room: the floor's number, the number of its set there, and the name that `FLOORS` has for it."""
    inside = ".".join(module.split(".")[2:])
    standing = [(len(name), floor, place, name) for floor, sets in enumerate(FLOORS[room_of(module)]) for place, names in enumerate(sets)
                for name in names if inside == name or inside.startswith(name + ".")]
    assert standing, f"{module} stands on no floor of its room"
    return max(standing)[1:]


def _has_a_floor(module: str) -> bool:
    """Whether `FLOORS` speaks of a module; a folder's own `__init__` is asked only where it imports something."""
    is_hall = modules()[module].name == "__init__.py" and not any(is_ours(found.target) for found in imports(module))
    return room_of(module) in FLOORS and module.count(".") > 1 and not is_hall


@pytest.mark.parametrize("module", [module for module in modules() if _has_a_floor(module)])
def test_a_module_imports_only_what_stands_below_it(module: str) -> None:
    room = room_of(module)
    floor, place, name = _floor_of(module)
    strayed = []

    for found in imports(module):
        if not is_ours(found.target) or room_of(found.target) != room or found.target.count(".") < 2:
            continue
        other_floor, other_place, other = _floor_of(found.target)
        apart = {name.split(".")[0], other.split(".")[0]}
        if apart in STRANGERS.get(room, ()):
            strayed.append(f"{found} (a stranger)")
        elif other_floor > floor or (other_floor == floor and other_place != place):
            strayed.append(str(found))

    assert strayed == []


@pytest.mark.parametrize("module", modules())
def test_a_module_named_in_a_text_exists(module: str) -> None:
    """Module paths in strings, which no import shows: a formatter's class, a look into `sys.modules`, a worker's command line."""
    texts = [node.value for node in ast.walk(tree(module)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    named = {name for text in texts for name in re.findall(r"\bpocketflex_nb(?:\.[a-z][a-z0-9_]*)+(?![\w/*.]|\.ipynb)", text)}
    package = __import__(PACKAGE)

    missing = [name for name in named if not _exists(package, name)]

    assert missing == []


def _exists(package: object, name: str) -> bool:
    module = _file_of(name)
    rest = name.removeprefix(module).strip(".").split(".")
    found: object = __import__(module, fromlist=["_"])
    for part in filter(None, rest):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_its_foreign_packages_in_as_few_files_as_it_may(room: str) -> None:
    files: dict[str, set[str]] = {}
    for module in modules():
        for found in imports(module) if room_of(module) == room else ():
            if is_foreign(found.target):
                files.setdefault(found.target.split(".")[0], set()).add(found.file)

    allowed = ROOMS[room].outside

    assert {name: names for name, names in files.items() if len(names) > allowed.get(name, 0)} == {}


def test_heavy_packages_are_imported_inside_functions() -> None:
    eager = [str(found) for found in all_imports() if found.target.split(".")[0] in ALWAYS_LAZY and not found.is_lazy]

    assert eager == []


def test_the_root_reaches_the_screen_only_inside_functions() -> None:
    eager = [str(found) for found in imports(PACKAGE) if room_of(found.target) == "notebook" and not found.is_lazy]

    assert eager == []


def _waits_not(module: str) -> bool:
    rule = ROOMS.get(room_of(module), Rule())
    return not rule.may_wait and module not in rule.waits_for_its_caller


@pytest.mark.parametrize("module", [module for module in modules() if _waits_not(module)])
def test_a_room_that_may_not_wait_imports_nothing_to_wait_for(module: str) -> None:
    found = [str(found) for found in imports(module) if found.target.split(".")[0] in WAITING or found.target == "time.sleep"]

    assert found == []
    assert not _calls(module, "sleep", ".sleep")


@pytest.mark.parametrize("module", [m for m in modules() if not ROOMS.get(room_of(m), Rule()).may_write])
def test_a_room_that_may_not_write_touches_neither_disk_nor_network(module: str) -> None:
    found = [str(found) for found in imports(module) if found.target.split(".")[0] in NETWORK_AND_DISK]

    assert found == []
    assert not _calls(module, "open", ".write_text", ".write_bytes")


def _calls(module: str, *names: str) -> list[int]:
    """The lines on which a module calls one of these functions, or (with a dot before it) methods."""
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    called = [(c.lineno, f".{c.func.attr}" if isinstance(c.func, ast.Attribute) else getattr(c.func, "id", "")) for c in calls]
    return [line for line, name in called if name in names]


#: the one file that waits in slices for the stop button, and loops that wait for something else. (Rooms whose loops ask servers are not
#: asked.)
WAITS_IN_SLICES = "pocketflex_nb.concurrency.interruptible"
OTHER_LOOPS = {
    "pocketflex_nb.engine.control.throttling": "waits for tokens to leave a limiter's window, which others spend from meanwhile",
    "pocketflex_nb.agents.actor.interpreter_exit": "shares the time that is left at the interpreter's exit",
    "pocketflex_nb.agents.host.watchdog": "a thread that looks at other threads",
    "pocketflex_nb.concurrency.thread_pool": "a thread that looks at the pool while calls wait",
    "pocketflex_nb.engine.control.attempt_clock": "a thread that looks at limits of time",
    "pocketflex_nb.engine.control.pause_gate": "turns a loop on whose stack it stands",
    "pocketflex_nb.notebook.widgets.base.refresh_loop": "a thread that refreshes views",
}


def _timed_waits(module: str) -> list[str]:
    """Calls inside ``while`` that wait for a bounded time: the sign of a loop that looks again and again."""
    found = []
    for call in (call for loop in ast.walk(tree(module)) if isinstance(loop, ast.While) for call in ast.walk(loop)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        is_bounded = any(keyword.arg == "timeout" for keyword in call.keywords)
        owner = getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""
        is_plain = bool(call.args) and owner not in {"asyncio", "path"}
        yields = bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
        if (name in {"acquire", "get", "join", "result", "wait"} and is_bounded) or (name in {"result", "wait"} and is_plain) or (
            name == "sleep" and not yields
        ):
            found.append(f"{module}:{call.lineno} {ast.unparse(call)}")
    return found


@pytest.mark.parametrize("module", [module for module in modules() if room_of(module) in {"agents", "concurrency", "engine", "notebook"}])
def test_no_other_file_waits_in_slices(module: str) -> None:
    waits = _timed_waits(module)

    if module == WAITS_IN_SLICES or module in OTHER_LOOPS:
        assert waits, "it waits in no loop any more: take it out of the table"
    else:
        assert waits == [], "wait by wait_in_slices, wait_interruptibly, wait_awake or wait_until_over"


def test_no_circle_between_files() -> None:
    graph = {module: {found.target for found in imports(module) if is_ours(found.target)} - {module} for module in modules()}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle: " + " <- ".join(error.args[1]), pytrace=False)


@pytest.mark.parametrize("module", modules())
def test_all_lists_what_is_public_sorted(module: str) -> None:
    body = tree(module).body
    listed = _listed(body)
    defined = {name for statement in body for name in _defined(statement)}
    public = {name for name in defined if not name.startswith("_")} - CALLED_BY_IPYTHON
    if listed is None:
        assert not public, f"{module} has public names, and no __all__"
        return

    bringing = [s for s in ast.walk(tree(module)) if isinstance(s, ast.Import | ast.ImportFrom)]
    brought = {alias.asname or alias.name for s in bringing for alias in s.names}
    has_lazy_names = "__getattr__" in defined

    assert listed == sorted(listed, key=_isort_order)
    assert public - set(listed) == set(), "public, and not in __all__"
    assert has_lazy_names or set(listed) - defined - brought == set(), "in __all__, and not there"


def _listed(body: list[ast.stmt]) -> list[str] | None:
    for statement in body:
        if isinstance(statement, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in statement.targets):
            return list(ast.literal_eval(statement.value))
    return None


def _defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a module's statement makes, save type variables, which are nobody's business."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign) and not _is_type_variable(statement.value):
        yield from (name.id for target in statement.targets for name in ast.walk(target) if isinstance(name, ast.Name)
                    and isinstance(name.ctx, ast.Store))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.If | ast.Try):
        for inner in [*statement.body, *statement.orelse]:
            yield from _defined(inner)


def _is_type_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") in {"TypeVar", "ParamSpec", "TypeVarTuple"}


def _isort_order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Constants, then classes, then the rest, each naturally: the order that ruff's RUF022 keeps."""
    bare = name.strip("_")
    kind = 0 if bare.isupper() and len(bare) > 1 else 1 if bare[:1].isupper() else 2
    return kind, [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


@pytest.mark.parametrize("room", ROOT_NAMES)
def test_the_root_exports_what_a_user_types(room: str) -> None:
    stands = any(room_of(module) == room and module.count(".") > 1 for module in modules())
    if not stands:
        pytest.skip(f"the room {room} is not built yet")
    package = __import__(PACKAGE)

    missing = [name for name in ROOT_NAMES[room].split() if name not in package.__all__ or not hasattr(package, name)]

    assert missing == []


def test_every_name_of_the_root_is_there() -> None:
    package = __import__(PACKAGE)

    assert [name for name in package.__all__ if not hasattr(package, name)] == []


_FRESH = """
import json, sys, threading
before = set(sys.modules)
import asyncio, time
begin = time.perf_counter()
import pocketflex_nb
took = time.perf_counter() - begin
print(json.dumps({"ms": took * 1e3, "modules": sorted(set(sys.modules) - before), "threads": threading.active_count()}))
"""


def test_importing_the_package_imports_nothing_foreign_and_starts_no_thread(record_property: pytest.RecordProperty) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])}

    told = [subprocess.run([sys.executable, "-c", _FRESH], env=env, capture_output=True, text=True, check=True) for _ in range(3)]

    facts = [json.loads(done.stdout) for done in told]
    record_property("import_ms", round(min(fact["ms"] for fact in facts), 1))
    print(f"import {PACKAGE}, beyond asyncio: {min(fact['ms'] for fact in facts):.1f} ms")
    assert [name for name in facts[0]["modules"] if is_foreign(name)] == []
    assert facts[0]["threads"] == 1
    assert not {"sqlite3", "multiprocessing", "http", "unittest"} & set(facts[0]["modules"]), "heavy, and not needed yet"
