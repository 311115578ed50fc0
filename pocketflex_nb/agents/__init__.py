"""Agents with OTP's semantics in asyncio: mailboxes, supervisors, registries and tasks.

The rule of this room: it imports only what stands below it; cloudpickle stands in one file. It uses no screen and no disk.

An agent is private state behind a mailbox; it handles one message at a time, runs on the engine thread, and may crash. A supervisor
restarts it by rule. A caller gets an error at once when nobody will reply.

>>> from pocketflex_nb.agents import Agent, Supervisor, child, handles
>>> class Stack(Agent):
...     async def init(self, *items):
...         self.items = list(items)
...     @handles.call
...     async def pop(self):
...         return self.items.pop()
>>> sup = Supervisor([child(Stack, "a", "b", id="stack")]).start_sync()
>>> sup["stack"].call_sync("?")
Traceback (most recent call last):
pocketflex_nb.agents.protocol.errors.AgentDown: agent 'stack' ended before it replied (crash: Unhandled: Stack received the call '?' \
but has no handle_call: define it, or use @handles.call)
>>> sup.stop_sync()

Recipes
-------
A flow that answers messages, restarted when it fails: a `FlowAgent` under a supervisor.

>>> import asyncio
>>> from pocketflex_nb import Flow, Node, launch, node, stream
>>> from pocketflex_nb.agents import FlowAgent, Ok, call
>>> @node
... def answer(shared):
...     shared["reply"] = f"about {shared['message']}: {6 / len(shared['message'])}"
>>> async def desk():
...     async with Supervisor([child(FlowAgent, Flow(answer), name="writer")]):
...         return await call("writer", "tides")
>>> asyncio.run(desk())
'about tides: 1.2'

An orchestrator is a node that launches flows. Awaiting the group waits for **all**, and raises nothing: each run has its `status`,
its `store` or its `error`. Cancelling the orchestrator's run cancels every run that it launched.

>>> class All(Node):
...     async def exec(self, topics):
...         group = await launch([(Flow(answer), {"message": topic}) for topic in topics], show=False)
...         return {run.store["message"]: run.error or run.store["reply"] for run in group}
...     def prep(self, shared):
...         return shared["topics"]
...     def post(self, shared, topics, found):
...         shared["found"] = found
>>> Flow(All()).launch({"topics": ["sun", ""]}).wait(10).store["found"]
{'sun': 'about sun: 2.0', '': ZeroDivisionError('division by zero')}

The **first** that is done: ``async for`` gives the runs as they end, and `cancel` ends those that are left over.

>>> class First(All):
...     async def exec(self, topics):
...         group = launch([(Flow(answer), {"message": topic}) for topic in topics], show=False)
...         try:
...             async for run in group:
...                 if run.status == "done":
...                     return run.store["reply"]
...         finally:
...             group.cancel()
>>> Flow(First()).launch({"topics": ["", "wind"]}).wait(10).store["found"]
'about wind: 1.5'

The same without flows, over functions or agents: `stream` gives an `Ok` or an `Exit` for each, and leaving the loop ends the others.
Tasks that a node has spawned, and agents of a supervisor that it has opened by ``async with``, end with its run as well.

>>> class Race(All):
...     async def exec(self, names):
...         async with Supervisor([child(FlowAgent, Flow(answer), name=name) for name in names]):
...             async for outcome in stream(lambda name: call(name, "rain"), names, ordered=False):
...                 if isinstance(outcome, Ok):
...                     return outcome.value
>>> Flow(Race()).launch({"topics": ["ann", "bob"]}).wait(10).store["found"]
'about rain: 1.5'

The kinds of events are listed in :mod:`pocketflex_nb.agents.host.agent_log`.
"""

from __future__ import annotations

from pocketflex_nb.agents.actor.agent import Agent, handles
from pocketflex_nb.agents.actor.cell_scope import Scope, living, start_scope, stop_scope
from pocketflex_nb.agents.actor.exit_self import exit
from pocketflex_nb.agents.actor.flow_agent import FlowAgent
from pocketflex_nb.agents.host.clock import Clock
from pocketflex_nb.agents.host.trace import Trace, trace
from pocketflex_nb.agents.messaging.addressing import call, call_sync, cast, send_after, whereis
from pocketflex_nb.agents.messaging.agent_ref import AgentRef
from pocketflex_nb.agents.messaging.delayed_sends import Sending
from pocketflex_nb.agents.messaging.envelopes import Caller
from pocketflex_nb.agents.messaging.links import link, unlink
from pocketflex_nb.agents.messaging.monitors import Monitor
from pocketflex_nb.agents.messaging.name_table import names
from pocketflex_nb.agents.messaging.registry import Registry, Via
from pocketflex_nb.agents.protocol.directives import IGNORE, NO_REPLY, Continue, Idle, Ok, Stop
from pocketflex_nb.agents.protocol.errors import (
    AgentDown,
    AgentError,
    AlreadyPresent,
    AlreadyStarted,
    BadReturn,
    BadSpec,
    CallingSelf,
    CallTimeout,
    MaxChildren,
    NameTaken,
    NotFound,
    NotOwner,
    NotPortable,
    NotRunning,
    ReplyError,
    Restarting,
    StartError,
    StillRunning,
    SupervisorExit,
    Unhandled,
)
from pocketflex_nb.agents.protocol.exit_reasons import Crash, Shutdown
from pocketflex_nb.agents.protocol.info_messages import Down, Exit, Registered, TaskDone, Unregistered
from pocketflex_nb.agents.supervision.child_info import ChildInfo, Counts
from pocketflex_nb.agents.supervision.child_spec import ChildSpec, child
from pocketflex_nb.agents.supervision.dynamic_supervisor import DynamicSupervisor
from pocketflex_nb.agents.supervision.partition_supervisor import PartitionSupervisor, partition_of
from pocketflex_nb.agents.supervision.supervisor import Supervisor
from pocketflex_nb.agents.supervision.supervisor_ref import SupervisorRef
from pocketflex_nb.agents.tasks.gather import poll_many, results
from pocketflex_nb.agents.tasks.outcome_stream import Stream, stream
from pocketflex_nb.agents.tasks.spawn import spawn
from pocketflex_nb.agents.tasks.task_incarnation import offload
from pocketflex_nb.agents.tasks.task_ref import TaskRef
from pocketflex_nb.agents.tasks.task_supervisor import TaskSupervisor
from pocketflex_nb.engine.records.frame import current

__all__ = [
    "IGNORE",
    "NO_REPLY",
    "Agent",
    "AgentDown",
    "AgentError",
    "AgentRef",
    "AlreadyPresent",
    "AlreadyStarted",
    "BadReturn",
    "BadSpec",
    "CallTimeout",
    "Caller",
    "CallingSelf",
    "ChildInfo",
    "ChildSpec",
    "Clock",
    "Continue",
    "Counts",
    "Crash",
    "Down",
    "DynamicSupervisor",
    "Exit",
    "FlowAgent",
    "Idle",
    "MaxChildren",
    "Monitor",
    "NameTaken",
    "NotFound",
    "NotOwner",
    "NotPortable",
    "NotRunning",
    "Ok",
    "PartitionSupervisor",
    "Registered",
    "Registry",
    "ReplyError",
    "Restarting",
    "Scope",
    "Sending",
    "Shutdown",
    "StartError",
    "StillRunning",
    "Stop",
    "Stream",
    "Supervisor",
    "SupervisorExit",
    "SupervisorRef",
    "TaskDone",
    "TaskRef",
    "TaskSupervisor",
    "Trace",
    "Unhandled",
    "Unregistered",
    "Via",
    "call",
    "call_sync",
    "cast",
    "child",
    "current",
    "exit",
    "handles",
    "link",
    "living",
    "names",
    "offload",
    "partition_of",
    "poll_many",
    "results",
    "send_after",
    "spawn",
    "start_scope",
    "stop_scope",
    "stream",
    "trace",
    "unlink",
    "whereis",
]


def __dir__() -> list[str]:
    """Offer by Tab what users type, and none of the modules."""
    return sorted(__all__)
