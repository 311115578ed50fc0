"""The state of an agent in a file: held while it lives, read when it starts, written after each message that it has handled.

The message loop of such an agent is one of its own, so that the others' is not slowed by the question.
"""

from __future__ import annotations

import asyncio
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from pocketflex_nb.agents.actor.message_loop import DIRECTIVES, MessageLoop
from pocketflex_nb.agents.actor.reentrant_handlers import absorb_cancel
from pocketflex_nb.agents.host.agent_log import warn
from pocketflex_nb.agents.messaging.envelopes import INFO, Caller, MethodCall, OneWayMessage
from pocketflex_nb.agents.protocol.directives import NO_REPLY
from pocketflex_nb.agents.protocol.errors import ReplyError
from pocketflex_nb.core import ports
from pocketflex_nb.core.errors import DecodingError, EncodingError, JournalError

if TYPE_CHECKING:
    from pocketflex_nb.core.port_types import KeptAgent

__all__ = ["Persistence", "PersistentLoop"]


class Persistence:
    """The kept state of one incarnation.

    Parameters
    ----------
    path : object
        The file.
    key : str
        Whose state it is.
    """

    def __init__(self, path: object, key: str) -> None:
        self.path, self.key = path, key
        self._kept: KeptAgent | None = None
        self._said = False

    async def take(self) -> None:
        """Hold the state.

        Raises
        ------
        JournalError
            The file cannot be used, or a living agent holds the state.
        """
        assert ports.journal is not None  # the package root fills it
        self._kept = ports.journal.agent_state(self.path, self.key, False)  # a restart has it at once
        if self._kept is None:
            self._kept = await asyncio.to_thread(ports.journal.agent_state, self.path, self.key)

    async def restore(self, agent: Any) -> None:
        """Give the agent, whose `init` is done, the state that was kept last; keep the present one if there is none.

        Raises
        ------
        JournalError
            The state is damaged, or cannot be read here.
        """
        from pocketflex_nb.core.codec.decoder import decode

        assert self._kept is not None
        text = self._text_kept(self._kept)
        if text is None:
            await self.save(agent)
            return
        try:
            state = decode(text)
        except DecodingError as exc:
            raise self._unusable(f"the state of agent {self.key!r} in {self._kept.path} cannot be read here: {exc}") from exc
        agent._pfx_restore(state)

    def _text_kept(self, kept: KeptAgent) -> str | None:
        try:
            return kept.read()
        except JournalError as exc:
            raise self._unusable(str(exc)) from exc

    def _unusable(self, told: str) -> JournalError:
        mend = f"Agent.forget_state({str(self.path)!r}, {self.key!r})"
        return JournalError(f"{told}; nothing was changed: put the file back, or have the agent start clean by {mend}")

    async def save(self, agent: Any) -> None:
        """Keep the state as it is now.

        Raises
        ------
        EncodingError
            With the path of what cannot be kept, and the mend.
        JournalError
            It could not be written, or is held by another process meanwhile.
        """
        from pocketflex_nb.core.codec.encoder import encode  # few agents have a file

        if self._kept is None:
            return
        state, hidden = agent._pfx_kept_state()
        if hidden and not self._said:
            self._said = True
            named = ", ".join(f"self.{name}" for name in hidden)
            warn(f"agent {self.key!r}: {named}, which redact() hides, is written to {self.path} as it is; "
                 f"keep it out of the file: transient = {set(hidden)!r}")
        try:
            text = encode(state, at=("self",))
        except EncodingError as exc:
            name = exc.path[1] if len(exc.path) > 1 else "..."
            told = f"{exc}; or keep it out of the file: transient = {{{name!r}}} in the class, and set it in init"
            raise EncodingError(told, path=exc.path) from exc.__cause__
        await self._kept.save(text, type(agent).__qualname__)

    def release(self) -> None:
        """Let the state go: the incarnation has ended."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.release()


class PersistentLoop(MessageLoop):
    """The message loop of an agent whose state is kept: after each message, before its reply."""

    __slots__ = ()

    async def drain(self) -> None:
        """Handle the messages of the mailbox."""
        incarnation: Any = self.incarnation
        while self.queue:
            if self.is_blocked:
                if incarnation.pending_exit is not None or (self.is_suspended and not await self.run_next_system_message()):
                    return
                continue
            item: Any = self.queue.popleft()
            if item.__class__ is tuple:
                await self._one_way(item)
            elif isinstance(item, Caller):
                await self._call(item)
            else:
                await self.run_system_message(item)
            await self._save()  # what a `handle_continue` or an order has changed; a state that is as it was is not written
            self.handled += 1
            await asyncio.sleep(0)

    async def _save(self) -> None:
        incarnation: Any = self.incarnation
        if incarnation.pending_exit is None and incarnation.agent is not None:
            await incarnation.persistence.save(incarnation.agent)

    async def _one_way(self, item: Any) -> None:
        incarnation: Any = self.incarnation
        incarnation.cause, _, verb, _, message, _, _ = item
        agent = incarnation.agent
        if verb is INFO:
            out = agent.handle_info(message)
        elif message.__class__ is MethodCall:
            out = self.start_method(item, message)
        else:
            out = agent.handle_cast(message)
        if out.__class__ is CoroutineType:
            out = await out
        await self._save()
        if out is not None:
            await self.follow_directive(out)

    async def _call(self, item: Caller) -> None:
        incarnation: Any = self.incarnation
        incarnation.current_call, incarnation.cause, message = item, item._seq, item.message
        try:
            is_method, agent = message.__class__ is MethodCall, incarnation.agent
            out: Any = self.start_method(item, message) if is_method else agent.handle_call(message, item)
            if out.__class__ is CoroutineType:
                out = await out
        except ReplyError as exc:
            await self._save()
            item._fail(exc.exc)
        except asyncio.CancelledError:
            if not absorb_cancel(incarnation, item):
                raise
        else:
            await self._save()
            if out is NO_REPLY or out.__class__ in DIRECTIVES:
                await self._without_reply(item, out)
            elif incarnation.pending_exit is None:
                item._answer(out)

    def start_method(self, item: Caller | OneWayMessage, message: MethodCall) -> object:
        """Start a method that a message names; what a reentrant one has changed is kept before its reply."""
        return super().start_method(item, _KeptCall(message, self) if message.is_reentrant else message)


class _KeptCall(MethodCall):
    """A call of a reentrant method, after which the state is kept."""

    __slots__ = ("_loop",)

    def __init__(self, message: MethodCall, loop: PersistentLoop) -> None:
        super().__init__(message.label, message.args, message.kwargs, message.is_reentrant)
        self._loop = loop

    async def on(self, agent: object) -> Any:
        """Call the method of `agent`."""
        out = super().on(agent)
        if out.__class__ is CoroutineType:
            out = await out
        await self._loop._save()
        return out
