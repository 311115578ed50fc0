"""A supervisor under random crashes, stops and starts, held against a small model of the restart rules."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pocketflex_nb.agents import Agent, AlreadyPresent, AlreadyStarted, NotFound, Shutdown, StillRunning, Stop, Supervisor, child
from pocketflex_nb.testing import VirtualClock, settle

RESTARTS = ("permanent", "transient", "temporary")
MAX_RESTARTS, MAX_SECONDS = 2, 5.0


class Worker(Agent):
    """Ends as told; counts its own lives."""

    async def handle_cast(self, message: Any) -> Any:
        if isinstance(message, Stop):
            return message
        raise message


@dataclass
class ModelChild:
    id: str
    restart: str
    is_up: bool = True
    life: int = 0


@dataclass
class Model:
    """The rules, as plainly as they can be said. Every start succeeds here, so nothing is ever "restarting"."""

    strategy: str
    children: list[ModelChild] = field(default_factory=list)
    entries: list[float] = field(default_factory=list)
    lives: int = 0
    is_alive: bool = True

    def find(self, id: str) -> ModelChild | None:
        return next((c for c in self.children if c.id == id), None)

    def start(self, c: ModelChild) -> None:
        self.lives += 1
        c.is_up, c.life = True, self.lives

    def end(self, c: ModelChild, is_abnormal: bool, now: float) -> None:
        c.is_up = False
        again = c.restart == "permanent" or (c.restart == "transient" and is_abnormal)
        if not again:
            if c.restart == "temporary":
                self.children.remove(c)
            return
        self.entries = [*(t for t in self.entries if now - t <= MAX_SECONDS), now]
        if len(self.entries) > MAX_RESTARTS:
            self.is_alive = False
            return
        i = self.children.index(c)
        affected = {"one_for_one": [c], "rest_for_one": self.children[i:], "one_for_all": list(self.children)}[self.strategy]
        for other in affected:
            if other is not c and other.is_up:
                other.is_up = False
                if other.restart == "temporary":
                    self.children.remove(other)
        for other in affected:
            if other in self.children:
                self.start(other)


class Restarts(RuleBasedStateMachine):
    """Drives a supervisor and the model alike, and compares who lives, who is new, and in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock()
        self.named = 0
        self.refs: dict[str, Any] = {}
        self.lives: dict[str, int] = {}

    def do(self, coro: Any) -> Any:
        async def settled() -> Any:
            try:
                return await coro
            finally:
                await settle()

        return self.loop.run_until_complete(settled())

    @initialize(
        strategy=st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"]), kinds=st.lists(st.sampled_from(RESTARTS), max_size=4)
    )
    def begin(self, strategy: str, kinds: list[str]) -> None:
        self.model = Model(strategy)
        specs = [self.spec(kind) for kind in kinds]
        options = {"strategy": strategy, "max_restarts": MAX_RESTARTS, "max_seconds": MAX_SECONDS}
        self.sup = Supervisor(specs, clock=self.clock, engine="inline", **options)  # type: ignore[arg-type]  # plain options
        self.do(self.sup.start())

    def spec(self, kind: str) -> Any:
        self.named += 1
        c = ModelChild(f"c{self.named}", kind)
        self.model.children.append(c)
        self.model.start(c)
        return child(Worker, id=c.id, restart=kind)

    def pick(self, number: int) -> ModelChild | None:
        return self.model.children[number % len(self.model.children)] if self.model.children else None

    @precondition(lambda self: self.model.is_alive)
    @rule(number=st.integers(0, 9), how=st.sampled_from(["crash", "normal", "shutdown", "term", "kill"]))
    def a_child_ends(self, number: int, how: str) -> None:
        c = self.pick(number)
        if c is None or not c.is_up:
            return
        ref = self.sup[c.id]

        async def end() -> None:
            if how == "kill":
                ref.exit("kill")
            else:
                reasons = {"normal": Stop("normal"), "shutdown": Stop("shutdown"), "term": Stop(Shutdown("x"))}
                ref.cast(reasons.get(how, RuntimeError("on purpose")))

        self.do(end())
        self.model.end(c, how in ("crash", "kill"), self.clock.time())

    @precondition(lambda self: self.model.is_alive)
    @rule(kind=st.sampled_from(RESTARTS))
    def a_child_is_added(self, kind: str) -> None:
        if len(self.model.children) < 6:
            self.do(self.sup.start_child(self.spec(kind)))

    @precondition(lambda self: self.model.is_alive)
    @rule(number=st.integers(0, 9), verb=st.sampled_from(["terminate", "restart", "delete", "start again"]))
    def a_child_is_managed(self, number: int, verb: str) -> None:
        c = self.pick(number)
        if c is None:
            assert isinstance(self.outcome(self.sup.terminate_child("nobody")), NotFound)
        elif verb == "terminate":
            assert self.outcome(self.sup.terminate_child(c.id)) is None
            c.is_up = False
            if c.restart == "temporary":
                self.model.children.remove(c)
        elif verb == "restart":
            out = self.outcome(self.sup.restart_child(c.id))
            assert isinstance(out, StillRunning) == c.is_up
            if not c.is_up:
                self.model.start(c)
        elif verb == "delete":
            out = self.outcome(self.delete(c.id))
            assert isinstance(out, StillRunning) == c.is_up
            if not c.is_up:
                self.model.children.remove(c)
        else:
            out = self.outcome(self.sup.start_child(child(Worker, id=c.id)))
            assert isinstance(out, AlreadyStarted if c.is_up else AlreadyPresent)

    async def delete(self, id: str) -> None:
        self.sup.delete_child(id)

    def outcome(self, coro: Any) -> Any:
        try:
            return self.do(coro)
        except Exception as exc:
            return exc

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        async def advance() -> None:
            await self.clock.advance(seconds)

        self.do(advance())

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        assert self.sup.is_alive == self.model.is_alive
        if not self.model.is_alive:
            assert self.sup.reason == "shutdown"
            assert not self.sup.ref._incarnation.host.incarnations
            return
        told = [(info.id, info.status) for info in self.sup.children()]
        assert told == [(c.id, "running" if c.is_up else "stopped") for c in self.model.children]
        for info, c in zip(self.sup.children(), self.model.children, strict=True):
            if info.ref is not None and c.id in self.refs:
                assert (info.ref is self.refs[c.id]) == (c.life == self.lives[c.id]), f"{c.id} is new in one of the two only"
            if info.ref is not None:
                self.refs[c.id], self.lives[c.id] = info.ref, c.life

    def teardown(self) -> None:
        if hasattr(self, "sup") and self.sup.is_alive:
            self.do(self.sup.stop())
        left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        assert not left


TestRestartRules = Restarts.TestCase
TestRestartRules.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
