"""The ids of a flow's nodes, and the traversal of its arrows in wiring order.

This is the only place that names nodes: a node's id is its Mermaid id, else its given name, else its class (or function) name, numbered
in wiring order when several share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork

__all__ = [
    "action_text", "arrows", "base_id", "base_name", "branches", "first_nodes", "ids_of", "label_of", "members", "nodes_by_path",
]


def arrows(node: BaseNode) -> Iterator[tuple[str, str, BaseNode, int]]:
    """The arrows that leave `node`: (kind, action, target, how many leave together), forks opened, None left out."""
    for action, target in list(node.successors.items()):
        if isinstance(target, Fork):
            heads, detached = branches(target)
            yield from (("action", action, head, len(heads)) for head in heads)
            yield from (("detached", action, head, 1) for head in detached)
        elif target is not None:
            yield "action", action, target, 1
    handler = getattr(node, "_pfx_on_error", None)
    if isinstance(handler, Fork):
        heads = branches(handler)[0]
        yield from (("error", "default", head, len(heads)) for head in heads)
    elif handler is not None:
        yield "error", "default", handler, 1


def branches(fork: Fork) -> tuple[list[BaseNode], list[BaseNode]]:
    """Heads and detached nodes of `fork`, with forks among its heads opened too."""
    heads: list[BaseNode] = []
    detached: list[BaseNode] = list(fork.detached)
    queue, seen = list(fork.heads), {id(fork)}
    while queue:
        head = queue.pop(0)
        if not isinstance(head, Fork):
            heads.append(head)
        elif id(head) not in seen:
            seen.add(id(head))
            queue[:0] = head.heads
            detached += head.detached
    return heads, detached


def first_nodes(flow: BaseNode) -> list[BaseNode]:
    """The first nodes of `flow`: none, one, or the heads of a fan-out."""
    start = getattr(flow, "start_node", None)
    nodes = branches(start)[0] if isinstance(start, Fork) else [start]
    return [n for n in nodes if isinstance(n, BaseNode) and n is not END]


def members(flow: BaseNode) -> list[BaseNode]:
    """The nodes of `flow` itself, nested flows as one, in wiring order (breadth first from the start)."""
    start = getattr(flow, "start_node", None)
    queue: list[BaseNode] = first_nodes(flow)
    if isinstance(start, Fork):
        queue += [n for n in branches(start)[1] if n is not END]
    seen: dict[int, BaseNode] = {id(n): n for n in queue}
    queue = list(seen.values())
    for node in queue:  # grows while it is walked
        for _, _, target, _ in arrows(node):
            if target is not END and isinstance(target, BaseNode) and id(target) not in seen:
                seen[id(target)] = target
                queue.append(target)
    return queue


def base_name(node: BaseNode) -> str:
    """The name of a node before numbering: its given name, else its class name."""
    given = getattr(node, "name", None)
    return given if isinstance(given, str) and given else type(node).__name__


def base_id(node: BaseNode) -> str:
    """The id of a node before numbering: its Mermaid id, else its name with blanks and punctuation replaced by ``_``."""
    given = node.__dict__.get("_pfx_id")
    return given if given else re.sub(r"[^\w.-]", "_", base_name(node)) or "node"


def ids_of(flow: BaseNode) -> dict[BaseNode, str]:
    """The id of each node of `flow` itself: unique there, in wiring order. ``END`` is never an id: it is the reserved target."""
    ids: dict[BaseNode, str] = {}
    taken: set[str] = {"END"}
    numbers: dict[str, int] = {}
    nodes = members(flow)
    for node in sorted(nodes, key=lambda n: "_pfx_id" not in n.__dict__):  # ids that were written win over made ones
        wanted = name = base_id(node)
        while name in taken:
            numbers[wanted] = numbers.get(wanted, 1) + 1
            name = f"{wanted}_{numbers[wanted]}"
        taken.add(name)
        ids[node] = name
    return {node: ids[node] for node in nodes}


def label_of(node: BaseNode) -> str:
    """The label of `node` in pictures: its Mermaid label, else its name."""
    label = getattr(node, "_pfx_label", None)
    return label if isinstance(label, str) else base_name(node)


def action_text(action: object) -> str:
    """An action as the views write it; a `StrEnum` or ``(str, Enum)`` member is its value."""
    return str.__str__(action) if isinstance(action, str) else str(action)


def nodes_by_path(flow: BaseNode, group: str = "", inside: tuple[object, ...] = ()) -> dict[str, BaseNode]:
    """Every node of `flow` and of the flows nested in it, by graph path."""
    found: dict[str, BaseNode] = {}
    inside = inside or (flow,)
    for node, short in ids_of(flow).items():
        path = f"{group}/{short}" if group else short
        found[path] = node
        if first_nodes(node) and not any(node is outer for outer in inside):
            found.update(nodes_by_path(node, path, (*inside, node)))
    return found
