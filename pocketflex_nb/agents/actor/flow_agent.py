"""`FlowAgent`: a flow that runs once per message, with its store as the agent's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketflex_nb.agents.actor.agent import Agent
from pocketflex_nb.agents.messaging.envelopes import Caller
from pocketflex_nb.core.flow.flow import Flow
from pocketflex_nb.core.store.store import Store
from pocketflex_nb.engine.launch import launch

__all__ = ["FlowAgent"]


class FlowAgent(Agent):
    """An agent whose logic is a flow.

    Each message runs the flow once, on the engine, with the message in ``store["message"]``. Whatever else the nodes keep in the store is
    there for the next message. A call's reply is what the flow put in ``store["reply"]``, else its last action. A flow that fails crashes
    the agent, and a supervisor restarts it with a fresh store.

    Parameters
    ----------
    flow : Flow
        Its nodes may be plain or async.
    store : mapping or None
        What the state begins with, at every start; a mapping is copied, a `Store` is shared.

    Examples
    --------
    >>> from pocketflex_nb import Flow, node
    >>> @node
    ... def count(shared):
    ...     shared["seen"] = shared.get("seen", 0) + 1
    ...     shared["reply"] = f"{shared['message']} is number {shared['seen']}"
    >>> ref = FlowAgent(Flow(count)).start_sync()
    >>> ref.call_sync("one"), ref.call_sync("two")
    ('one is number 1', 'two is number 2')
    >>> ref.stop_sync()
    """

    async def init(self, flow: Flow, store: Mapping[Any, Any] | None = None) -> None:
        """Set the `flow`, and make the store from `store`."""
        if not isinstance(flow, Flow):
            raise TypeError(f"FlowAgent({flow!r}): give a Flow")
        self.flow = flow
        self.store = store if isinstance(store, Store) else Store(store or {})

    async def handle_call(self, message: object, caller: Caller) -> Any:
        """Run the flow on `message`; the `caller` gets ``store["reply"]``, else the last action."""
        return await self._run(message)

    async def handle_cast(self, message: object) -> None:
        """Run the flow on `message`."""
        await self._run(message)

    async def handle_info(self, message: object) -> None:
        """Run the flow on `message`."""
        await self._run(message)

    def redact(self, state: dict[str, Any]) -> dict[str, Any]:
        """The store, in place of the attributes that `state` holds."""
        return dict(self.store)

    def _pfx_kept_state(self) -> tuple[dict[str, Any], list[str]]:
        """The content of its store; one that is kept elsewhere holds its own."""
        if type(self.store) is not Store:
            return {}, []
        return {"store": {key: value for key, value in self.store.items() if key not in self.store._transient}}, []

    def _pfx_restore(self, state: dict[str, Any]) -> None:
        """Make the content of its store what `state` has."""
        kept = state.get("store")
        if kept is not None and type(self.store) is Store:
            for key in [key for key in self.store if key not in kept and key not in self.store._transient]:
                del self.store[key]
            self.store.update(kept)

    async def _run(self, message: object) -> Any:
        store = self.store
        store["message"] = message
        store.pop("reply", None)
        action = await launch(self.flow, store, name=self.ref.name, show=False)  # cancelled with us
        return store.get("reply", action)
