"""What Tab offers on the objects that users hold: what they should type, and nothing of the inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import pocketflex_nb.agents
from pocketflex_nb.agents import (
    Agent,
    DynamicSupervisor,
    PartitionSupervisor,
    Registry,
    Scope,
    Supervisor,
    TaskSupervisor,
    child,
    handles,
    spawn,
    stream,
    trace,
)
from tests.agents.fakes import HERE

REF = (
    "address call call_sync cast exit id is_alive is_zombie monitor name os_pid pid reason replace_state resume send send_after slot state "
    "stats status stop stop_sync suspend trace upgrade within"
)
CHILDREN = "children count delete_child restart_child start_child terminate_child zombies"
SUPERVISOR = "children count events exit is_alive monitor name reason ref start start_sync stop stop_sync tree zombies"

OFFERED = {
    "an agent": "code_change forget_state handle_call handle_cast handle_continue handle_info init isolation persist pop redact ref reload "
                "start start_link start_monitor start_sync strict strict_cast terminate transient trap_exit",
    "a ref": f"{REF} pop",
    "a ref with another timeout": "call call_sync",
    "a caller": "message ref reply",
    "a monitor": "cancel is_down ref wait",
    "a delayed message": "cancel is_over",
    "a position in the tree": "id is_under parent path root",
    "a supervisor": f"{SUPERVISOR} delete_child restart_child start_child terminate_child",
    "a supervisor's ref": f"{REF} {CHILDREN}",
    "a dynamic supervisor": f"{SUPERVISOR} start_child terminate_child",
    "a partition supervisor": f"{SUPERVISOR} resize route",
    "a task supervisor": f"{SUPERVISOR} spawn stream",
    "a child's facts": "error id is_stale ref restarts status type version",
    "a task": f"{REF} done ignore outcome poll result result_sync shutdown",
    "a stream": "aclose",
    "a registry": "count dispatch is_unique keys lock lookup publish register select unregister update_value values via whereis",
    "a name in a registry": "key registry",
    "a trace": "dropped events show stop to_mermaid",
    "a cell's agents": "cell_id members",
}


class Stack(Agent):
    """Keeps whoever calls it."""

    @handles.call
    async def pop(self) -> int:
        return 1

    async def handle_call(self, message: Any, caller: Any) -> Any:
        self.caller = caller


@asynccontextmanager
async def _held() -> AsyncIterator[dict[str, Any]]:
    """The objects that users hold, by what they are."""
    async with (
        Supervisor([child(Stack, id="a")], **HERE) as sup,
        DynamicSupervisor(**HERE) as dynamic,
        TaskSupervisor(**HERE) as tasks,
        PartitionSupervisor(Stack, partitions=1, **HERE) as partitions,
    ):
        ref = sup["a"]
        await ref.call("keep me")
        task, registry = spawn(len, "four"), Registry()
        later = ref.send_after("late", 60)
        yield {
            "an agent": Stack(), "a ref": ref, "a ref with another timeout": ref.within(1.0), "a caller": ref.state()["caller"],
            "a monitor": ref.monitor(), "a delayed message": later, "a position in the tree": ref.slot, "a supervisor": sup,
            "a supervisor's ref": sup.ref, "a dynamic supervisor": dynamic, "a partition supervisor": partitions,
            "a task supervisor": tasks,
            "a child's facts": sup.children()[0], "a task": task, "a stream": stream(len, []), "a registry": registry,
            "a name in a registry": registry.via("x"), "a trace": trace(sup), "a cell's agents": Scope("cell-1"),
        }
        await task
        later.cancel()


@pytest.mark.parametrize("what", OFFERED)
async def test_tab_offers_what_users_type_and_no_more(what: str) -> None:
    async with _held() as held:
        thing = held[what]

        offered = {name for name in {*dir(thing), *dir(type(thing))} if not name.startswith("_")}  # IPython asks the class, too

    assert offered == set(OFFERED[what].split())


def test_tab_on_the_room_offers_the_exported_names_only() -> None:
    offered = [name for name in dir(pocketflex_nb.agents) if not name.startswith("_")]

    assert offered == sorted(pocketflex_nb.agents.__all__)
