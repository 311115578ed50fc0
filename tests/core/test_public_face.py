"""What Tab offers on the objects of core: the names that users type, and no others."""

from __future__ import annotations

import pytest

from pocketflex_nb import END, BatchFlow, BatchNode, Flow, Node, Retry, Store, node

NODE = {"branch", "exec", "name", "next", "on", "on_error", "params", "post", "prep", "run", "set_params", "successors"}
TRIED = NODE | {"cur_retry", "exec_fallback", "max_retries", "wait"}
FLOW = NODE | {
    "check", "copy", "get_next_node", "launch", "launch_each", "run_async", "start", "start_node", "to_dot", "to_graphviz", "to_mermaid",
    "to_svg", "to_text", "with_nodes",
}
STORE = set(dir({})) - set(dir(object)) | {
    "at", "cas", "diff", "history", "increment", "insert_new", "lock", "snapshot", "subscribe", "version", "watch", "who",
}


def double(shared: Store) -> None:
    """A function that is made a node."""


@pytest.mark.parametrize(("made", "names"), [
    (Store(), STORE),
    (Node(), TRIED), (BatchNode(), TRIED), (node(double), TRIED), (END, NODE),
    (Flow(), FLOW), (BatchFlow(), FLOW),
    (Retry(3), {"attempts", "backoff", "delay", "jitter", "max_wait", "on", "wait"}),
], ids=lambda value: type(value).__name__)
def test_tab_offers_what_users_type(made: object, names: set[str]) -> None:
    offered = {name for name in dir(made) if not name.startswith("_")}

    assert offered == {name for name in names if not name.startswith("_")}


def test_tab_offers_the_names_of_a_stores_other_parts() -> None:
    store = Store({"n": 1, "notes": ["a"]})
    store["n"] = 2
    shown = {
        type(part).__name__: {name for name in dir(part) if not name.startswith("_")}
        for part in (store.who("n"), store.history()[0], store.lock("n"), store.diff(0)[0])
    }

    assert shown == {
        "Written": {"node", "run", "step", "time", "version"},
        "Change": {"key", "new", "node", "old", "op", "run", "step", "time", "version"},
        "Lock": {"is_held", "key", "token"},
        "Difference": {"new", "old", "op", "path", "where"},
    }
