"""Reads a cell's body: Mermaid text that becomes a flow, or Python whose last expression gives flows."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from types import CodeType
from typing import TYPE_CHECKING

from pocketflex_nb.core.errors import nearest
from pocketflex_nb.core.flow.checks import Problem
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.mermaid import parser as mermaid
from pocketflex_nb.core.mermaid.builder import build_and_check
from pocketflex_nb.notebook.shell.cell_errors import usage

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["PythonBody", "is_mermaid_body", "read_mermaid", "read_python"]

#: an arrow behind an id, with no quote, comment or assignment before it
_ARROW = re.compile(r"^[ \t]*(?:\[\*\]|[\w.\-]+)[^\"'#=\n]*?(?:-->|-\.+->|==>)", re.MULTILINE)
_FORMS = ("mermaid", "python")


def is_mermaid_body(body: str, forced: str | None) -> bool:
    """Whether the body is Mermaid: its first line that is neither blank nor a comment is the head of a diagram.

    What Python cannot read and has a diagram's arrow, or the head of another kind of diagram, is taken for Mermaid too: the words about
    what is wrong are Mermaid's then.
    """
    if forced is not None:
        if forced not in _FORMS:
            raise usage(f"--as {forced!r}: must be mermaid or python{nearest(forced, _FORMS)}")
        return forced == "mermaid"
    if mermaid.is_mermaid(body):
        return True
    return (_first_word(body) in (*mermaid.HEADERS, *mermaid.OTHERS) or _ARROW.search(body) is not None) and _tree(body) is None


def _first_word(body: str) -> str:
    said = [line.split() for line in body.splitlines() if line.strip() and not line.strip().startswith("%%")]
    return said[0][0].rstrip(";") if said else ""


def _tree(body: str) -> ast.Module | None:
    try:
        return ast.parse(body)
    except SyntaxError:
        return None


def read_mermaid(body: str, namespace: Mapping[str, object], name: str) -> tuple[Flow, list[Problem]]:
    """The flow that the diagram draws with the names of the notebook, and the warnings of its checks.

    Lines of errors count from the magic's own, as the page does.
    """
    return build_and_check(mermaid.parse("\n" + body), namespace, name)


class PythonBody:
    """The code of a Python body, as the user's own cell: tracebacks show its lines.

    Attributes
    ----------
    is_async : bool
        Whether it awaits.
    """

    def __init__(self, code: CodeType | None, last: CodeType | None, namespace: dict[str, object]) -> None:
        self._parts = [part for part in (code, last) if part is not None]
        self._has_value = last is not None
        self._names = namespace
        self.is_async = any(part.co_flags & inspect.CO_COROUTINE for part in self._parts)

    def run(self) -> object:
        """Run it, and return the value of its last expression, or None."""
        value: object = None
        for part in self._parts:
            value = eval(part, self._names)
        return value if self._has_value else None

    async def run_async(self) -> object:
        """The same for a body that awaits."""
        value = None
        for part in self._parts:
            value = eval(part, self._names)
            if part.co_flags & inspect.CO_COROUTINE:
                value = await value
        return value if self._has_value else None


def read_python(shell: InteractiveShell, line: str, body: str) -> PythonBody:
    """Compile a body for the user's namespace.

    Raises
    ------
    SyntaxError
        With the line as the page counts it: the magic's own is the first.
    UsageError
        For a second cell magic.
    """
    second = next((text for text in body.splitlines() if text.startswith("%%") and text[2:3].strip()), None)
    if second is not None:
        raise usage(f"a cell can have only one cell magic: move {second.split()[0]!r} and what follows it to a cell of its own")
    if _tree(body) is None:
        body = _with_magics(shell, body)
    # a blank line stands for the magic's, so that lines are the page's
    file = shell.compile.cache(f"%%pocketflex {line}\n{body}", shell.execution_count)
    tree = ast.parse("\n" + body, file)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags = shell.compile.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(tree, file, "exec", flags, dont_inherit=True)
    final = compile(ast.Expression(last.value), file, "eval", flags, dont_inherit=True) if isinstance(last, ast.Expr) else None
    return PythonBody(code if tree.body else None, final, shell.user_ns)


def _with_magics(shell: InteractiveShell, body: str) -> str:
    """The body with its line magics, ``!commands`` and ``name?`` written as Python; its lines stay where they are."""
    blank = len(body) - len(body.lstrip("\n"))
    made = shell.transform_cell(body)
    return body if _tree(made) is None else body[:blank] + made.lstrip("\n")
