"""Actions that are not a single name: a list starts a fork that is not drawn; any other type is an error.

`post` may return ``["a", "b"]``, or pairs with params of their own, ``[("read", {"page": 1}), ("read", {"page": 2})]``. The fork is
made for this one visit and joined as a drawn one is. Under `run` a value that is not an action is treated as in PocketFlow: looked up,
not found, and reported by a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.errors import UnknownAction, nearest
from pocketflex_nb.core.flow.declared_actions import listed_actions, pair_of
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.flow.node_ids import action_text, branches
from pocketflex_nb.core.flow.nodes import END, BaseNode, Fork
from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.engine.records.frame import Frame, Several

__all__ = ["is_chosen_by_flow", "spread"]


def is_chosen_by_flow(flow: Flow) -> bool:
    """Whether `flow` overrides how the next node is found."""
    return type(flow).get_next_node is not Flow.get_next_node or "get_next_node" in flow.__dict__


def spread(frame: Frame, node: BaseNode, action: object) -> Any:
    """The meaning of a visit's `action`, neither None nor a plain str: itself, or `Several`.

    Parameters
    ----------
    node : BaseNode
        The visit's copy.

    Raises
    ------
    TypeError
        It is no action.
    UnknownAction
        The list names one that no arrow has.
    """
    if isinstance(action, str):
        return action
    known = node.successors
    if not known:
        return _ended(frame, action)
    chosen, strict = is_chosen_by_flow(frame.flow), frame.lifecycle.launched or frame.flow._pfx_strict
    if isinstance(action, (list, tuple)):
        pair = pair_of(action) if isinstance(action, tuple) else None
        entries = action if pair is None or pair[1] is None else [action]
        if _is_meant(entries, known, isinstance(action, list), strict and not chosen):
            return _several(frame, node, entries, chosen)
    if not chosen and strict:
        raise TypeError(_odd(frame, action))
    if not chosen and action:
        _look_up(frame, action)
    return action


def _is_meant(entries: Any, known: Mapping[str, object], is_list: bool, strict: bool) -> bool:
    """Whether a list or tuple is a list of actions. One without any action is treated as in PocketFlow: no arrow has that name."""
    if is_list and (strict or not entries):
        return True
    named = [pair is not None and (pair[0] or "default") in known for pair in map(pair_of, entries)]
    return any(named) if is_list else bool(named) and all(named)


def _ended(frame: Frame, action: object) -> object:
    """The action of a node without arrows: the flow ends there; a list is left to the outer flow that has its arrows."""
    if isinstance(action, (list, tuple)) and _is_passed_on(frame, action):
        return Several({}, None, action)
    if action and not is_chosen_by_flow(frame.flow):  # else its own `get_next_node` is asked first
        if action.__class__.__hash__ is None and frame.lifecycle.launched:
            raise TypeError(_odd(frame, action))
        _look_up(frame, action)
    return action


def _is_passed_on(frame: Frame, entries: Any) -> bool:
    """Whether the nearest outer flow with arrows has one that the list names."""
    walk: Frame | None = frame
    while walk is not None:
        arrows = walk.outer.successors if walk.outer is not None and walk.branch is None else None
        if arrows:
            pairs = [entries] if pair_of(entries) is not None else entries
            return any(pair is not None and (pair[0] or "default") in arrows for pair in map(pair_of, pairs))
        walk = walk.parent
    return False


def _look_up(frame: Frame, action: object) -> None:
    """Raise PocketFlow's error for an action that is not hashable, with a note of where it happened and its mend."""
    try:
        hash(action)
    except TypeError as exc:
        exc.add_note(_odd(frame, action))
        raise


def _several(frame: Frame, node: Any, entries: Any, chosen: bool) -> Several:
    heads: list[Any] = []
    detached: list[Any] = []
    each: list[Mapping[str, Any] | None] = []
    counts: Counter[str] = Counter()
    for index, entry in enumerate(entries):
        pair = pair_of(entry)
        if pair is None:
            raise TypeError(_odd_entry(frame, entry, index))
        action, params = pair
        target = frame.flow.get_next_node(node, action) if chosen else node.successors.get(action or "default")
        if target is None:
            raise UnknownAction(_unknown(frame, node, action, index), node=frame.node_id, action=action, known=list(node.successors))
        counts[action_text(action or "default")] += 1
        first, beside = branches(target) if isinstance(target, Fork) else ([target], [])
        heads += first
        detached += beside
        each += [params] * len(first)
    if not counts:
        return Several(counts, _behind_nothing(frame, node))
    join = None if any(head is END for head in heads) else _join(frame, node, heads, each)
    begun = [(head, own) for head, own in zip(heads, each, strict=True) if head is not END]
    if not begun and not detached:
        return Several(counts, END, action)
    fork = Fork([head for head, _ in begun], detached)
    fork._pfx_each, fork._pfx_join = [own for _, own in begun], join
    return Several(counts, fork, action)


def _join(frame: Frame, node: object, heads: list[Any], each: list[Any]) -> Any:
    """Where the branches meet: behind every head that has params of its own, is named twice, or is the only one."""
    times = Counter(map(id, heads))
    walked = {id(head) for head, own in zip(heads, each, strict=True) if own is not None or times[id(head)] > 1 or len(times) == 1}
    distinct = list({id(head): head for head in heads}.values())
    _pass(frame, [head for head in distinct if id(head) in walked])
    return _met(frame, distinct, walked)


def _pass(frame: Frame, heads: list[BaseNode]) -> None:
    """Let the branches around `frame` that would meet at one of `heads`, which is about to be walked for one of them, meet behind it."""
    for head in heads:
        walk: Frame | None = frame
        while walk is not None and walk.stops is not None and head in walk.stops:
            behind = _met(frame, [head], {id(head)})
            walk.stops.discard(head)
            if behind is not None:
                walk.stops.add(behind)
            if (meeting := walk.meeting) is not None and meeting.node is head:
                meeting.move(behind)
            walk = walk.parent


def _met(frame: Frame, heads: list[BaseNode], walked: set[int]) -> Any:
    """`join_behind`, cached by the run, since loops need it repeatedly."""
    run = frame.lifecycle
    if run.joins is None:
        run.joins = {}
    forking = frame.node
    assert forking is not None  # it is in flight
    key = (forking, tuple(heads), frozenset(walked))
    if key not in run.joins:
        from pocketflex_nb.core.flow.joins import join_behind

        run.joins[key] = join_behind(heads, [head for head in heads if id(head) in walked], forking)
    return run.joins[key]


def _behind_nothing(frame: Frame, node: BaseNode) -> Any:
    """The next node after an empty list: where the branches would have met, else the default arrow's target, else none.

    The branches are those that the annotation of `post` declares in a list, or else all arrows but those to the end.
    """
    arrows = node.successors
    declared = [action or "default" for action in listed_actions(node)]
    targets = [t for action, t in arrows.items() if isinstance(t, BaseNode) and t is not END and (not declared or action in declared)]
    heads = [head for target in targets for head in (branches(target)[0] if isinstance(target, Fork) else [target])]
    heads = list({id(head): head for head in heads if head is not END}.values())
    if not heads:
        return None
    if len(heads) == 1:
        _pass(frame, heads)
    join = _met(frame, heads, {id(heads[0])} if len(heads) == 1 else set())
    if join is None and len(arrows) > 1 and "default" not in declared:
        return arrows.get("default")
    return join


def _odd(frame: Frame, value: object) -> str:
    mend = "write results to the store and return None" if isinstance(value, (dict, set, bool)) else "return str(...), or None"
    if isinstance(value, (list, tuple)):
        mend = "a list names arrows of this node, or pairs (arrow, params)"
    if isinstance(value, BaseNode):
        mend = "draw an arrow to that node and return the arrow's name"
    return (
        f"node {frame.node_id!r} of run {frame.lifecycle.name!r} returned {value_text(value, 60)} of type {type(value).__name__}, "
        f"which is no action: an action is a str, None, or a list of them; {mend}"
    )


def _odd_entry(frame: Frame, entry: object, index: int) -> str:
    return (
        f"node {frame.node_id!r} of run {frame.lifecycle.name!r} returned a list of actions whose entry {index} is {value_text(entry, 60)} "
        f"of type {type(entry).__name__}: each is an action (a str, or None for the default), or a pair (action, params) with params a dict"
    )


def _unknown(frame: Frame, node: BaseNode, action: object, index: int) -> str:
    known = list(node.successors)
    return (
        f"node {frame.node_id!r} of run {frame.lifecycle.name!r} returned a list of actions whose entry {index} is {action!r}, and no "
        f"arrow has that name{nearest(str(action), known)}"
    )
