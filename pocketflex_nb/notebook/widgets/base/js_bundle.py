"""Joins the ES modules of a widget into the one text that anywidget takes as ``_esm``: no bundler, no network, nothing at install time.

A module is what browsers and tools read as one: ``import { a, b } from "../base/js/dom.js";``, and ``export`` before a function, class,
``const`` or ``let``. All modules of a widget share one scope once they are joined, so each name stands at the top of one module only. What
cannot be joined is an error that names file, line and mend; `tests/notebook/widgets/base/test_js_bundle.py` joins every widget.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["WIDGETS", "BundleError", "bundle", "modules_of"]

#: the folder of the widgets' modules
WIDGETS = Path(__file__).resolve().parents[1]

_IMPORT = re.compile(r'^import\s*\{([^}]*)\}\s*from\s*"([^"]+)";[ \t]*\n', re.MULTILINE)
_NAMED = re.compile(r"^export (?=(?:async function|function|class|const|let)\b)", re.MULTILINE)
_TOP = re.compile(r"^(export )?(?:async function\*?|function\*?|class|const|let|var)\s+([\w$]+|[\[{])", re.MULTILINE)
_DEFAULT = re.compile(r"^export default\b", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.MULTILINE | re.DOTALL)


class BundleError(ValueError):
    """Modules that cannot be joined: which file, which line, and how to mend it."""


@dataclass(frozen=True, slots=True)
class _Module:
    path: Path
    body: str                               # without its imports, and without `export` before a declaration
    imports: tuple[tuple[Path, str, int], ...]      # file, name and line of each imported name
    exports: frozenset[str]
    names: tuple[tuple[str, int], ...]      # declared at the top, with their lines


@cache
def bundle(entry: Path | str) -> str:
    """The text of `entry` with all that it imports: one ES module, which imports nothing.

    Parameters
    ----------
    entry : path
        The module with the default export, absolute or below `WIDGETS`.

    Returns
    -------
    str
        The modules' texts, each after those that it imports.

    Raises
    ------
    BundleError
        If a module or a name is missing, a name stands at the top of two modules, modules import each other in a circle, or an
        import or export has another form than those of this module's docstring.

    Examples
    --------
    >>> bundle("engine_panel/engine_panel.js").rstrip().endswith("export default { render };")
    True
    """
    modules = _ordered(WIDGETS / entry)
    _check_names(modules)
    return "\n".join(f"// {_place(module.path)}\n{module.body.strip()}\n" for module in modules)


def modules_of(entry: Path | str) -> list[Path]:
    """The files that `entry` is joined from, each after those that it imports.

    Parameters
    ----------
    entry : path
        The module with the default export, absolute or below `WIDGETS`.

    Returns
    -------
    list of Path
        Absolute paths, `entry` last.

    Examples
    --------
    >>> [path.name for path in modules_of("base/js/delta.js")]
    ['delta.js']
    """
    return [module.path for module in _ordered(WIDGETS / entry)]


def _ordered(entry: Path) -> list[_Module]:
    """`entry` and all that it imports, depth first."""
    done: dict[Path, _Module] = {}

    def visit(path: Path, importers: tuple[Path, ...]) -> None:
        if path in importers:
            circle = [*importers[importers.index(path) :], path]
            raise BundleError(f"modules import each other: {' -> '.join(map(_place, circle))}; move what both need into a third")
        if path in done:
            return
        module = _read(path, is_entry=path == entry)
        for imported, _, line in module.imports:
            if not imported.is_file():
                raise BundleError(f"{_place(path)}:{line} imports {_place(imported)}, and there is no such file")
            visit(imported, (*importers, path))
        done[path] = module

    visit(entry.resolve(), ())
    return list(done.values())


def _read(path: Path, *, is_entry: bool) -> _Module:
    text = path.read_text(encoding="utf-8")
    code = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)         # the same lines, nothing said in comments
    rest = _IMPORT.sub(lambda found: "\n" * found[0].count("\n"), code)
    default = r"export default\b" if is_entry else r"(?!)"
    for found in _OTHER.finditer(_NAMED.sub("", rest)):
        if not re.match(default, found[0]):
            raise BundleError(f"{_place(path)}:{_line(rest, found[0])} has {found[0]!r}; {_form(found[0], is_entry=is_entry)}")
    names = tuple((name, line) for name, _, line in _declared(path, rest))
    exports = frozenset(name for name, is_exported, _ in _declared(path, rest) if is_exported)
    if len(_DEFAULT.findall(rest)) > 1:
        raise BundleError(f"{_place(path)} has two default exports; a module has one")
    body = _NAMED.sub("", _IMPORT.sub("", text)).replace("// @ts-check\n", "")
    return _Module(path, body, tuple(_imported(path, code)), exports, names)


def _form(found: str, *, is_entry: bool) -> str:
    if found.startswith("export default") and not is_entry:
        return "only the module that the widget names has a default export: give it a name"
    return 'write `import { name } from "./file.js";`, or `export` before a function, class, const or let'


def _imported(path: Path, code: str) -> Iterator[tuple[Path, str, int]]:
    for found in _IMPORT.finditer(code):
        line = code.count("\n", 0, found.start()) + 1
        for name in filter(None, map(str.strip, found[1].split(","))):
            if not re.fullmatch(r"[\w$]+", name):
                raise BundleError(f"{_place(path)}:{line} imports {name!r}; a name keeps its name in all modules")
            yield (path.parent / found[2]).resolve(), name, line


def _declared(path: Path, code: str) -> Iterator[tuple[str, bool, int]]:
    """The top-level declarations of a module: name, whether it is exported, and its line."""
    for found in _TOP.finditer(code):
        line = code.count("\n", 0, found.start()) + 1
        if found[2] in "[{":
            raise BundleError(f"{_place(path)}:{line} takes a value apart at the top; declare one name a line")
        yield found[2], found[1] is not None, line


def _check_names(modules: list[_Module]) -> None:
    """Each imported name is exported where it is imported from, and no name is declared twice."""
    by_path = {module.path: module for module in modules}
    declared: dict[str, str] = {}
    for module in modules:
        for source, name, line in module.imports:
            if name not in by_path[source].exports:
                near = difflib.get_close_matches(name, sorted(by_path[source].exports), n=1)
                mend = f"did you mean {near[0]!r}?" if near else f"it exports {', '.join(sorted(by_path[source].exports)) or 'nothing'}"
                raise BundleError(f"{_place(module.path)}:{line} imports {name!r}, which {_place(source)} does not export; {mend}")
        for name, line in module.names:
            place = f"{_place(module.path)}:{line}"
            if name in declared:
                raise BundleError(f"{name!r} stands at the top of {declared[name]} and of {place}; give one of them another name")
            declared[name] = place


def _place(path: Path) -> str:
    return path.relative_to(WIDGETS).as_posix() if path.is_relative_to(WIDGETS) else path.name


def _line(code: str, found: str) -> int:
    return code.count("\n", 0, code.index(found)) + 1
