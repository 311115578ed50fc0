"""What does a cell's body say? Mermaid that becomes a flow, or Python whose last expression gives flows."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.mermaid import parse
from pocketflex_nb.core.wiring import build
from pocketflex_nb.notebook.short import usage

__all__ = ["is_mermaid", "read_mermaid", "run_python"]

_MERMAID = re.compile(r"(flowchart|graph)\b|stateDiagram(-v2)?\b")


def is_mermaid(body: str, forced: str | None) -> bool:
    """Whether the body is Mermaid: its first line that is neither blank nor a comment begins with a Mermaid keyword."""
    if forced is not None:
        if forced not in ("mermaid", "python"):
            raise usage(f"--as {forced!r}: mermaid or python")
        return forced == "mermaid"
    frontmatter = False
    for line in body.splitlines():
        line = line.strip()
        if line == "---":
            frontmatter = not frontmatter
        elif line and not frontmatter and not line.startswith(("%%", "#")):
            return bool(_MERMAID.match(line))
    return False


def read_mermaid(body: str, namespace: Mapping[str, Any], name: str) -> Any:
    """The flow that the diagram draws with the names of the notebook."""
    return build(parse(body), namespace, name)


def run_python(body: str, namespace: dict[str, Any], number: int) -> tuple[Any, Any]:
    """Run a body in the user's namespace.

    Returns
    -------
    value : object
        Of its last expression, or None.
    coroutine : coroutine or None
        When the body awaits: what is to be awaited for the value.
    """
    second = next((line for line in body.splitlines() if line.startswith("%%") and not line.startswith("%% ")), None)
    if second is not None:
        raise usage(f"a cell has one cell magic; take {second.split()[0]!r} out of this body, or put it into a cell of its own")
    file = f"<pocketflex cell {number}>"
    linecache.cache[file] = (len(body), None, body.splitlines(True), file)
    tree = ast.parse(body, file)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    end = tree.body[-1] if tree.body else None
    last = None
    if isinstance(end, ast.Expr):
        last = ast.Expression(end.value)
        del tree.body[-1]
    code = compile(tree, file, "exec", flags=flags)
    final = compile(last, file, "eval", flags=flags) if last is not None else None
    if not (code.co_flags & inspect.CO_COROUTINE or (final is not None and final.co_flags & inspect.CO_COROUTINE)):
        exec(code, namespace)
        return (eval(final, namespace) if final is not None else None), None

    async def awaited() -> Any:
        for part in (code, final):
            result = eval(part, namespace) if part is not None else None
            if inspect.iscoroutine(result):
                result = await result
        return result

    return None, awaited()
