"""How may a step on the engine's loop run a flow synchronously? By re-entrancy, patched into our own loop class only, when first needed.

``apply()`` of nest-asyncio is never called: it swaps asyncio's C tasks for Python ones everywhere and loses kernel messages
(https://github.com/erdewit/nest_asyncio; jupyter-facts, section 5). ``_patch_loop`` touches nothing but `EngineLoop`.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any

__all__ = ["run_nested"]


def run_nested(loop: Any, coro: Coroutine[Any, Any, Any]) -> Any:
    """Run `coro` to its end inside a callback of `loop`, which is running in this thread. Nested calls end last in, first out."""
    _patch(loop)
    return loop.run_until_complete(coro)


def _patch(loop: Any) -> None:
    if getattr(type(loop), "_nest_patched", False):
        return
    try:
        import nest_asyncio2 as nest
    except ImportError:
        if sys.version_info >= (3, 14):
            raise RuntimeError(
                "a plain flow.run() inside an async step needs nest-asyncio2 on Python 3.14: pip install 'nest-asyncio2>=1.7.3', "
                "or write `await flow.run_async(shared)`"
            ) from None
        import nest_asyncio as nest
    nest._patch_loop(loop)
