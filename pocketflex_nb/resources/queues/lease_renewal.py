"""Lease renewal: a thread that renews the leases of unacknowledged messages, however busy the consumer's loop is."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref

from pocketflex_nb.concurrency.loop_thread import io_thread
from pocketflex_nb.concurrency.process_id import pid
from pocketflex_nb.resources.queues.backends.backend import QueueBackend
from pocketflex_nb.resources.queues.message import Message

__all__ = ["LeaseRenewer"]

_log = logging.getLogger("pocketflex_nb")


class LeaseRenewer:
    """Renews the leases of held messages, three times per lease. Costs one insertion in a set per message.

    Notes
    -----
    Messages are held weakly: what nobody holds any more is not renewed, and comes again when its lease has ended.
    """

    def __init__(self, backend: QueueBackend, lease: float) -> None:
        self._backend, self._pause = backend, lease / 3
        self._lock = threading.Lock()
        self._held: dict[int, weakref.ref[Message]] = {}
        self._runs_in = 0  # the process that renews: a forked child begins anew
        self._closed = False

    def hold(self, message: Message) -> None:
        """Renew this message from now on."""
        self._held[id(message)] = weakref.ref(message)
        here = pid()
        if self._runs_in != here:
            with self._lock:
                begins, self._runs_in = self._runs_in != here, here
            if begins:
                io_thread.submit(_renew(weakref.ref(self), self._pause))

    def release(self, message: Message) -> None:
        """Stop renewing this message."""
        self._held.pop(id(message), None)

    def close(self) -> None:
        """Stop renewing all."""
        self._closed = True
        self._held.clear()

    async def _round(self, rounds: int) -> bool:
        """Renew once; False when nothing has been held for some time."""
        messages = {id(m._stored): m for r in list(self._held.values()) if (m := r()) is not None}
        for gone in [number for number, ref in list(self._held.items()) if ref() is None]:
            self._held.pop(gone, None)
        if self._closed:
            return False
        if messages:
            await self._try([message for message in messages.values() if not message.is_settled])
            return True
        with self._lock:
            goes_on = bool(self._held) or rounds < 3
            self._runs_in = pid() if goes_on else 0
            return goes_on

    async def _try(self, messages: list[Message]) -> None:
        by_id = {id(message._stored): message for message in messages}
        try:
            lost = await self._backend.renew([message._stored for message in messages])
        except Exception as exc:  # the place is away: the lease ends there, or a later round is in time
            _log.warning("the leases of %d messages of %s were not renewed: %s", len(messages), self._backend.address, exc)
            return
        for stored in lost:
            message = by_id[id(stored)]
            if not message.is_settled:
                message.is_lost = True
                self.release(message)
                _log.warning("the lease of %r ended while it was held; it may be handled twice", message)


async def _renew(reference: weakref.ref[LeaseRenewer], pause: float) -> None:
    rounds = 0
    while True:
        await asyncio.sleep(pause)
        renewer = reference()
        if renewer is None:
            return
        rounds += 1
        if not await renewer._round(rounds):
            return
        if renewer._held:
            rounds = 0
        del renewer
