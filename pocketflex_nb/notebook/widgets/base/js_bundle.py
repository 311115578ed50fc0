"""Joins the ES modules of a widget into the one text that anywidget takes as ``_esm``: no bundler, no network, nothing at install time.

A module is what browsers and tools read as one: ``import { a, b } from "../base/js/dom.js";``, and ``export`` before a function, class,
``const`` or ``let``. All modules of a widget share one scope once they are joined, so each name stands at the top of one module only.
`check_modules` names what cannot be joined by file and line, with the mend; a test asks it of every widget, so that loading stays quick.
"""

from __future__ import annotations

import difflib
import os.path
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["WIDGETS", "BundleError", "bundle", "check_modules", "modules_of"]

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
    text: str
    imports: tuple[tuple[Path, str, int], ...]      # file, names as written, and line of each import

    @property
    def code(self) -> str:
        """The text without imports and comments, on the same lines."""
        return _COMMENT.sub(_empty_lines, _IMPORT.sub(_empty_lines, self.text))


def bundle(entry: Path) -> str:
    """The text of `entry` with all that it imports: one ES module, which imports nothing.

    Parameters
    ----------
    entry : Path
        The module with the default export.

    Returns
    -------
    str
        The modules' texts, each after those that it imports.

    Raises
    ------
    BundleError
        If a module is missing, or modules import each other in a circle.

    Examples
    --------
    >>> bundle(WIDGETS / "engine_panel" / "engine_panel.js").rstrip().endswith("export default { render };")
    True
    """
    return "\n".join(f"// {_place(module.path)}\n{_joinable(module.text)}\n" for module in _ordered(entry))


def modules_of(entry: Path) -> list[Path]:
    """The files that `entry` is joined from, each after those that it imports.

    Parameters
    ----------
    entry : Path
        The module with the default export.

    Returns
    -------
    list of Path
        `entry` is the last.

    Raises
    ------
    BundleError
        If a module is missing, or modules import each other in a circle.

    Examples
    --------
    >>> [path.name for path in modules_of(WIDGETS / "base" / "js" / "status.js")]
    ['dom.js', 'status.js']
    """
    return [module.path for module in _ordered(entry)]


def check_modules(entry: Path) -> None:
    """Refuse modules that become no working module once they are joined.

    Parameters
    ----------
    entry : Path
        The module with the default export.

    Raises
    ------
    BundleError
        If a module or a name is missing, a name stands at the top of two modules, modules import each other in a circle, or an
        import or export has another form than those of this file's docstring.

    Examples
    --------
    >>> check_modules(WIDGETS / "engine_panel" / "engine_panel.js")
    """
    modules = _ordered(entry)
    for module in modules:
        _check_form(module, is_entry=module is modules[-1])
    _check_imports(modules)
    _check_names(modules)


def _joinable(text: str) -> str:
    return _NAMED.sub("", _IMPORT.sub("", text)).replace("// @ts-check\n", "").strip()


def _empty_lines(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _ordered(entry: Path) -> list[_Module]:
    """`entry` and all that it imports, depth first."""
    done: dict[Path, _Module] = {}

    def visit(path: Path, importers: tuple[Path, ...]) -> None:
        if path in importers:
            circle = [*importers[importers.index(path) :], path]
            raise BundleError(f"modules import each other: {' -> '.join(map(_place, circle))}; move what both need into a third")
        if path in done:
            return
        module = _read(path)
        for imported, _, line in module.imports:
            if imported not in done and not imported.is_file():
                raise BundleError(f"{_place(path)}:{line} imports {_place(imported)}, and there is no such file")
            visit(imported, (*importers, path))
        done[path] = module

    visit(entry, ())
    return list(done.values())


@cache
def _read(path: Path) -> _Module:
    text = path.read_text(encoding="utf-8")
    imports = ((Path(os.path.normpath(path.parent / m[2])), m[1], text.count("\n", 0, m.start()) + 1) for m in _IMPORT.finditer(text))
    return _Module(path, text, tuple(imports))


def _check_form(module: _Module, *, is_entry: bool) -> None:
    code = _NAMED.sub("", module.code)
    for found in _OTHER.finditer(code):
        if is_entry and found[0].startswith("export default"):
            continue
        mend = 'write `import { name } from "./file.js";`, or `export` before a function, class, const or let'
        if found[0].startswith("export default"):
            mend = "only the module that the widget names has a default export: give it a name"
        raise BundleError(f"{_place(module.path)}:{_line(code, found)} has {found[0]!r}; {mend}")
    if len(_DEFAULT.findall(code)) > 1:
        raise BundleError(f"{_place(module.path)} has two default exports; a module has one")


def _check_imports(modules: list[_Module]) -> None:
    """Each imported name is exported where it is imported from."""
    exports = {module.path: sorted(name for name, is_exported, _ in _declared(module) if is_exported) for module in modules}
    for module in modules:
        for source, names, line in module.imports:
            for name in filter(None, map(str.strip, names.split(","))):
                place, known = f"{_place(module.path)}:{line}", exports[source]
                if not re.fullmatch(r"[\w$]+", name):
                    raise BundleError(f"{place} imports {name!r}; a name keeps its name in all modules")
                if name not in known:
                    near = difflib.get_close_matches(name, known, n=1)
                    mend = f"did you mean {near[0]!r}?" if near else f"it exports {', '.join(known) or 'nothing'}"
                    raise BundleError(f"{place} imports {name!r}, which {_place(source)} does not export; {mend}")


def _check_names(modules: list[_Module]) -> None:
    """No name is declared at the top of two modules."""
    declared: dict[str, str] = {}
    for module in modules:
        for name, _, line in _declared(module):
            place = f"{_place(module.path)}:{line}"
            if name in declared:
                raise BundleError(f"{name!r} stands at the top of {declared[name]} and of {place}; give one of them another name")
            declared[name] = place


def _declared(module: _Module) -> Iterator[tuple[str, bool, int]]:
    """The top-level declarations of a module: name, whether it is exported, and its line."""
    code = module.code
    for found in _TOP.finditer(code):
        if found[2] in "[{":
            raise BundleError(f"{_place(module.path)}:{_line(code, found)} takes a value apart at the top; declare one name a line")
        yield found[2], found[1] is not None, _line(code, found)


def _place(path: Path) -> str:
    return path.relative_to(WIDGETS).as_posix() if path.is_relative_to(WIDGETS) else path.name


def _line(code: str, found: re.Match[str]) -> int:
    return code.count("\n", 0, found.start()) + 1
