"""A node that is run alone, without a flow."""

from __future__ import annotations

from typing import Any

import pytest

from pocketflex_nb import Node, Store


class Plain(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["n"] = shared.get("n", 0) + 1


class AsyncExec(Plain):
    async def exec(self, prep_res: Any) -> Any: ...


class AsyncPrep(Plain):
    async def prep(self, shared: Any) -> Any: ...


class AsyncPost(Node):
    async def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["n"] = shared.get("n", 0) + 1


@pytest.mark.parametrize("kind", [Plain, AsyncExec, AsyncPrep, AsyncPost])
def test_a_node_run_alone_again_conflicts_with_nothing(kind: type[Node]) -> None:
    store = Store(on_conflict="raise")

    for _ in range(3):
        kind().run(store)

    assert store["n"] == 3
