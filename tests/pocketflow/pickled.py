"""Nodes that can be pickled: classes of a module, for either PocketFlow."""

from __future__ import annotations

from typing import Any

import pocketflow

from pocketflex_nb import pocketflow as ours


class _Visit:
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        visits = shared.setdefault("visits", [])
        visits.append(self.word)  # type: ignore[attr-defined]
        return "again" if len(visits) < 5 else "end"


class TheirOne(_Visit, pocketflow.Node):
    word = "one"


class TheirTwo(_Visit, pocketflow.Node):
    word = "two"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        super().post(shared, prep_res, exec_res)


class OurOne(_Visit, ours.Node):
    word = "one"


class OurTwo(_Visit, ours.Node):
    word = "two"

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> Any:
        super().post(shared, prep_res, exec_res)


def flow(module: Any) -> Any:
    """Two nodes in a circle, in a flow in a flow."""
    one, two = (TheirOne(), TheirTwo()) if module is pocketflow else (OurOne(), OurTwo())
    one - "again" >> two
    one - "end" >> None
    two >> one
    inner = module.Flow(start=one)
    inner.start(one)
    return _quiet(module, inner)


def _quiet(module: Any, inner: Any) -> Any:
    inner.start_node.successors["end"] = module.Node()
    return inner
