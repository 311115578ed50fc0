"""Programs with servers, registries, tasks and streams."""

from __future__ import annotations

import asyncio
from typing import Any

from pocketflex_nb.agents import (
    IGNORE,
    NO_REPLY,
    Agent,
    AgentDown,
    AlreadyStarted,
    CallingSelf,
    CallTimeout,
    Continue,
    Down,
    Exit,
    Idle,
    Ok,
    Registered,
    Registry,
    StartError,
    Stop,
    Unregistered,
    call,
    current,
    link,
    poll_many,
    results,
    spawn,
    stream,
    unlink,
)
from pocketflex_nb.testing import Recorder, VirtualClock, settle
from tests.agents.otp.worlds import Boom, Inline, World, error_text, exit_text, folded, reason, reason_text

__all__ = ["run_gs", "run_reg", "run_stream", "run_task"]

_TO_ANOTHER = ("link", "unlink", "monitor", "demonitor", "exit", "send", "cast", "call", "callto", "callcatch")


class _Servers(World):
    def __init__(self, where: Any) -> None:
        super().__init__(where)
        self.servers: dict[int, Any] = {}

    def name_of(self, ref: Any) -> str:
        return next((f"g{i}" for i, one in self.servers.items() if one is ref), "R")


class _Server(Agent):
    async def init(self, world: _Servers, number: int, spec: dict[str, Any]) -> Any:
        self.world, self.number, self.spec, self.trap_exit = world, number, spec, spec["trap"]
        self.monitors: list[tuple[int, Any]] = []
        self.callers: list[Any] = []
        kind = spec["init"]
        if kind in ("ok", "cont"):
            world.servers[number] = self.ref
            world.refs.append(self.ref)
            if kind == "ok":
                return None
            self.ref.cast(["log", 77])
            return Continue(0)
        if kind == "ignore":
            return IGNORE
        if kind == "raise":
            raise Boom
        return Stop(reason(kind[5:]))

    def _log(self, text: str) -> None:
        self.world.log(f"g{self.number} {text}")

    async def handle_continue(self, value: Any) -> None:
        self._log(f"cont {value}")

    async def handle_info(self, message: Any) -> Any:
        if message == "timeout":
            self._log("timeout")
        elif isinstance(message, (Down, Exit)):
            kind = "DOWN" if isinstance(message, Down) else "EXIT"
            self._log(f"{kind} {self.world.name_of(message.ref)} {reason_text(message.reason)}")
        elif message[0] == "m":
            self._log(f"info {message[1]}")
        else:
            return Stop(message[1])
        return None

    async def terminate(self, why: Any) -> None:
        self._log(f"term {reason_text(why)}")
        if self.spec["term"] == "raise":
            raise Boom

    async def handle_cast(self, message: Any) -> Any:
        what, *args = message
        if what in _TO_ANOTHER:
            target = self.world.servers.get(args[0])
            if target is not None:
                await self._do_to(what, target, args)
            elif what != "demonitor":
                self._log("nobody")
            return None
        return self._do(what, args)

    async def _do_to(self, what: str, target: Any, args: list[Any]) -> None:
        if what == "link":
            link(target) if target.is_alive or self.trap_exit else self._log("link dead")
        elif what == "unlink":
            unlink(target)
        elif what == "monitor":
            self.monitors.insert(0, (args[0], target.monitor()))
        elif what == "demonitor":
            found = next((one for one in self.monitors if one[0] == args[0]), None)
            if found is not None:
                found[1].cancel()
                self.monitors.remove(found)
        elif what == "exit":
            self._log("self") if target is self.ref else target.exit(reason(args[1]))
        elif what == "send":
            target.send(("m", args[1]))
        elif what == "cast":
            target.cast(args[1])
        elif what == "call":
            self._log(f"call ok {await target.call(args[1], timeout=0.15)}")
        elif what == "callto":
            self._log(f"call ok {await target.call(['noreply'], timeout=args[1] / 1000)}")
        else:
            try:
                self._log(f"call ok {await target.call(args[1], timeout=0.15)}")
            except (AgentDown, CallTimeout, CallingSelf) as exc:
                self._log(f"call err {error_text(exc)}")

    def _do(self, what: str, args: list[Any]) -> Any:
        if what == "log":
            self._log(f"log {args[0]}")
        elif what == "stop":
            return Stop(reason(args[0]))
        elif what == "raise":
            raise Boom
        elif what == "badreturn":
            return "bad"
        elif what == "continue":
            return Continue(args[0])
        elif what == "trap":
            self.trap_exit = args[0]
        elif what == "release":
            for caller in self.callers:
                caller.reply(args[0])
            self.callers = []
        elif what == "info_stop":
            self.ref.send(("stop", reason(args[0])))
        elif what == "idle0":
            return Idle(0)
        elif what == "idle":
            return Idle(args[0] / 1000)
        elif what == "selfcast":
            for one in args[0]:
                self.ref.cast(one)
            return Continue(9)
        return None

    async def handle_call(self, message: Any, caller: Any) -> Any:
        what, *args = message
        if what == "reply":
            return args[0]
        if what == "noreply":
            self.callers.append(caller)
            return NO_REPLY
        if what == "stopreply":
            return Stop(reason(args[0]), reply=args[1])
        if what == "stopnoreply":
            return Stop(reason(args[0]))
        if what == "raise":
            raise Boom
        if what == "replycont":
            return Continue(args[1], reply=args[0])
        if what == "replythen":
            caller.reply(args[0])
            self._log(f"log {args[1][1]}")
            return NO_REPLY
        return await super().handle_call(message, caller)


async def run_gs(program: dict[str, Any], where: Any) -> list[list[str]]:
    """Servers that call, link, watch and end each other."""
    world, prefix = _Servers(where), program["id"]
    monitors: list[Any] = []

    async def do(op: str, number: int, args: list[Any]) -> None:
        ref = world.servers.get(number)
        if ref is None:
            world.log("R nobody")
        elif op == "cast":
            ref.cast(args[0])
        elif op in ("call", "stop"):
            try:
                out = f" {await ref.call(args[0], timeout=0.2)}" if op == "call" else await ref.stop(reason(args[0]), 3.0) or ""
                world.log(f"R {op} ok{out}")
            except (AgentDown, CallTimeout) as exc:
                world.log(f"R {op} err {error_text(exc)}")
        elif op == "exit":
            ref.exit(reason(args[0]))
        elif op == "monitor":
            monitors.append(ref.monitor())
        elif op == "send":
            ref.send(("m", args[0]))
        elif op == "sleepms":
            await asyncio.sleep(args[0] / 1000)
        elif not ref.is_alive:
            world.log("R sys noproc")
        else:
            await getattr(ref, op)()

    async def body() -> None:
        for i, spec in enumerate(program["servers"]):
            try:
                ref = await _Server.start(world, i, spec, name=f"{prefix}-g{i}", **where.options)
                world.log(f"R start g{i} " + ("ok" if ref is not None else "ignored"))
            except StartError as exc:
                world.log(f"R start g{i} error {reason_text(exc.reason)}")
        await world.settle()
        for op, number, *args in program["ops"]:
            world.step()
            await do(op, number, args)
            await world.settle()
            for monitor in [one for one in monitors if one.is_down]:
                monitors.remove(monitor)
                down = await monitor
                world.log(f"R DOWN {world.name_of(down.ref)} {reason_text(down.reason)}")
        world.step()
        for i, ref in sorted(world.servers.items()):
            world.log(f"R alive g{i} {str(ref.is_alive).lower()}")
        for ref in world.servers.values():
            ref.exit("kill")
        await world.settle()

    with Recorder() as seen:
        await body()
    names = {f"{prefix}-g{i}": f"g{i}" for i in range(len(program["servers"]))}
    exits = [(e.ns, f"exit {names[e.address]} {_exit_of(e)}") for e in seen.events if e.kind == "exit" and e.address in names]
    return folded(line for _, line in sorted([*world.lines, *exits], key=lambda pair: pair[0]))


def _exit_of(event: Any) -> str:
    found, error = exit_text(event), event["error"] or ""
    if found != "crash":
        return found
    for name, text in (("NotRunning", "noproc"), ("CallTimeout", "timeout"), ("CallingSelf", "via:calling_self")):
        if error.startswith(name):
            return text
    if not error.startswith("AgentDown"):
        return found
    why = error.split("ended before it replied (", 1)[1].removesuffix(")")
    return "via:" + ("crash" if why.startswith("crash") else "shutdown_x" if why == "shutdown: 'x'" else why)


# registries ---------------------------------------------------------------------------------------------------------------
class _Owner(Agent):
    async def init(self, name: str) -> None:
        self.name = name

    async def handle_call(self, message: Any, caller: Any) -> Any:
        return self.name if message == "who" else message()

    async def handle_cast(self, message: Any) -> None:
        raise Boom


class _Listener(Agent):
    async def init(self, world: World, name_of: Any) -> None:
        self.world, self.name_of = world, name_of

    async def handle_call(self, message: Any, caller: Any) -> str:
        return "ok"

    async def handle_info(self, message: Any) -> None:
        if isinstance(message, Registered):
            value = message.value if message.value is not None else ""
            self.world.log(f"L reg {_key(message.key)} {self.name_of(message.ref)} {value}")
        elif isinstance(message, Unregistered):
            self.world.log(f"L unreg {_key(message.key)} {self.name_of(message.ref)}")


def _key(key: Any) -> str:
    return f'"{key}"' if isinstance(key, str) else repr(key)


class _Registered:
    def __init__(self, program: dict[str, Any], where: Any) -> None:
        self.program, self.where, self.world = program, where, World(where)
        self.owners: dict[int, Any] = {}
        self.whose: dict[int, str] = {}
        self.listener: Any = None

    def name_of(self, ref: Any) -> str:
        return self.whose.get(ref.pid, "R")

    async def run(self) -> None:
        program = self.program
        if program["listener"]:
            self.listener = await _Listener.start(self.world, self.name_of, **self.where.options)
        self.registry = Registry(program["kind"], listeners=[self.listener] if self.listener is not None else [])
        for i in range(program["n"]):
            await self._start(i)
        for what, *args in program["ops"]:
            self.world.step()
            self.world.log(await getattr(self, f"_{what}")(*args))
            if self.listener is not None:
                await self.listener.call("sync")
            await settle()
        for ref in [*self.owners.values(), self.listener]:
            if ref is not None:
                ref.exit("kill")
        for ref in list(self.made):
            ref.exit("kill")
        await settle()

    made: tuple[Any, ...] = ()

    async def _start(self, i: int) -> None:
        self.owners[i] = await _Owner.start(f"o{i}", **self.where.options)
        self.whose[self.owners[i].pid] = f"o{i}"

    async def _register(self, i: int, key: Any, value: Any) -> str:
        def register() -> str:
            try:
                self.registry.register(key, value)
            except AlreadyStarted as exc:
                return "taken " + self.name_of(exc.ref)
            return "ok"

        return await self.owners[i].call(register) if self.owners[i].is_alive else "no_target"

    async def _unregister(self, i: int, key: Any) -> str:
        ref = self.owners[i]
        if not ref.is_alive:
            return "no_target"
        if not any(type(known) is type(key) and known == key for known in self.registry.keys(ref)):
            return "nothing"
        await ref.call(lambda: self.registry.unregister(key))
        return "ok"

    async def _update(self, i: int, key: Any) -> str:
        def update() -> str:
            try:
                out = self.registry.update_value(key, lambda value: value + 100)
            except TypeError:
                return "raise"
            return "not_owner" if out is None else f"{out[0]},{out[1]}"

        if not self.owners[i].is_alive:
            return "no_target"
        try:
            return await self.owners[i].call(update)
        except AgentDown:
            return "raise"

    def _told(self, entries: list[tuple[Any, Any]]) -> str:
        return ",".join(sorted(f"{self.name_of(ref)}={'' if value is None else value}" for ref, value in entries))

    async def _lookup(self, key: Any) -> str:
        return self._told(self.registry.lookup(key))

    async def _keys(self, i: int) -> str:
        return ",".join(sorted(_key(key) for key in self.registry.keys(self.owners[i])))

    async def _values(self, key: Any, i: int) -> str:
        return ",".join(str(value) for value in sorted(self.registry.values(key, self.owners[i])))

    async def _dispatch(self, key: Any) -> str:
        got: list[str] = []
        self.registry.dispatch(key, lambda entries: got.append(self._told(entries)))
        return got[0] if got else "not called"

    async def _count(self) -> str:
        return str(self.registry.count())

    async def _die(self, i: int, how: str) -> str:
        ref = self.owners[i]
        if not ref.is_alive:
            return "no_target"
        monitor = ref.monitor()
        if how == "normal":
            await ref.stop()
        elif how == "kill":
            ref.exit("kill")
        else:
            ref.cast("raise")
        return reason_text((await monitor).reason)

    async def _restart(self, i: int) -> str:
        if self.owners[i].is_alive:
            return "alive"
        await self._start(i)
        return "ok"

    async def _start_via(self, key: Any) -> str:
        try:
            ref = await _Owner.start("v" + _key(key), name=self.registry.via(key), **self.where.options)
        except TypeError:
            return "raise"
        except AlreadyStarted as exc:
            return "already_started " + self.name_of(exc.ref)
        self.whose[ref.pid] = "v" + _key(key)
        self.made = (*self.made, ref)
        return "ok"

    async def _call_via(self, key: Any) -> str:
        try:
            return str(await call(self.registry.via(key), "who"))
        except TypeError:
            return "raise"
        except AgentDown as exc:
            return "exit " + error_text(exc)

    async def _whereis(self, key: Any) -> str:
        if not self.registry.is_unique:
            return "skip"
        ref = self.registry.whereis(key)
        return "none" if ref is None else self.name_of(ref)


async def run_reg(program: dict[str, Any], where: Any) -> list[list[str]]:
    """A registry and its owners."""
    registered = _Registered(program, where)
    await registered.run()
    return folded(line for _, line in registered.world.lines)


# tasks and streams: everything happens in their owner, at times of a virtual clock ----------------------------------------------
class _Doer(Agent):
    async def init(self, trap: bool) -> None:
        self.trap_exit = trap

    async def handle_cast(self, message: Any) -> Any:
        return await message()

    async def handle_info(self, message: Any) -> None:
        """Nothing."""


def _outcome(found: Any) -> str:
    return "nil" if found is None else f"ok {found.value}" if isinstance(found, Ok) else f"exit {reason_text(found.reason)}"


async def _owned(world: World, trap: bool, clock: VirtualClock, work: Any, tick: float) -> str:
    owner = await _Doer.start(trap, clock=clock, engine="inline")
    down = owner.monitor()
    owner.cast(work)
    for _ in range(400):
        await settle()
        if down.is_down:
            break
        await clock.run(tick)
    why = reason_text((await down).reason) if down.is_down else "HANG"
    owner.exit("kill")
    await settle()
    return "owner " + why


_SIGNALS = {"killself": "kill", "shutdown": "shutdown", "err": "err"}


class _Tasks:
    def __init__(self, program: dict[str, Any]) -> None:
        self.program, self.world, self.clock = program, World(Inline()), VirtualClock()
        self.tasks: list[Any] = []
        self.used: set[int] = set()

    def _left(self, until: float) -> float:
        return max(0.0, until - self.clock.time())

    def _spawn(self, spec: dict[str, Any]) -> None:
        seconds, how = spec["do"]

        async def work() -> Any:
            if how in ("ok", "raise"):
                await self.clock.sleep(seconds)
                if how == "raise":
                    raise Boom
                return seconds
            await self.clock.sleep(1e9)
            return None

        ref = spawn(work, link=spec["link"])
        self.tasks.append(ref)
        if how in _SIGNALS:
            self.clock.call_later(seconds, ref.exit, _SIGNALS[how])

    async def work(self) -> Any:
        for spec in self.program["tasks"]:
            self._spawn(spec)
        for what, *args in self.program["ops"]:
            if what in ("await_many", "yield_many"):
                await self._many(what, [i for i in args[0] if i not in self.used], args)
            elif what != "sleep" and args[0] in self.used:
                self.world.log("used")
            else:
                await self._one(what, args)
        self.world.log("done")
        return Stop("normal")

    async def _one(self, what: str, args: list[Any]) -> None:
        if what == "sleep":
            await self.clock.sleep(self._left(args[0]))
            self.world.log("slept")
            return
        ref = self.tasks[args[0]]
        if what == "await":
            out = str(await ref.result(timeout=self._left(args[1])))
        elif what == "yield":
            out = _outcome(await ref.poll(self._left(args[1])))
        elif what == "shutdown":
            out = _outcome(await ref.shutdown("kill" if args[1] == "kill" else 5000.0))
        else:
            out = _outcome(ref.ignore())
        self.world.log(f"{what} {out}")
        if (what, out) != ("yield", "nil"):
            self.used.add(args[0])

    async def _many(self, what: str, which: list[int], args: list[Any]) -> None:
        refs = [self.tasks[i] for i in which]
        if what == "await_many":
            self.world.log(f"await_many {await results(refs, timeout=self._left(args[1]))}")
            self.used |= set(which)
            return
        found = [_outcome(one) for _, one in await poll_many(refs, timeout=self._left(args[1]), on_timeout=args[3])]
        self.world.log("yield_many " + ";".join(found))
        self.used |= {i for i, out in zip(which, found, strict=True) if out != "nil" or args[3] != "nothing"}


async def run_task(program: dict[str, Any], where: Any) -> list[list[str]]:
    """Tasks and who waits for them."""
    tasks = _Tasks(program)

    async def run() -> None:
        tasks.world.log(await _owned(tasks.world, program["trap"], tasks.clock, tasks.work, 0.5))
        for ref in tasks.tasks:
            ref.exit("kill")
        await settle()

    await where.run(run())
    return folded(line for _, line in tasks.world.lines)


async def run_stream(program: dict[str, Any], where: Any) -> list[list[str]]:
    """A stream and who reads it."""
    clock, world = VirtualClock(), World(Inline())
    last: list[str] = []

    def log(text: str) -> None:
        world.log(f"t{round(clock.time())} {text}")

    async def item_work(item: list[Any]) -> Any:
        number, seconds, how = item
        log(f"start {number}")
        await clock.sleep(seconds)
        if how == "ok":
            return number
        if how == "raise":
            raise Boom
        current().ref.exit({"killself": "kill"}.get(how, how))
        await clock.sleep(1e9)
        return None

    async def work() -> Any:
        items = [[i, seconds, how] for i, (seconds, how) in enumerate(program["items"])]
        outcomes = stream(
            item_work, items, max_concurrency=program["max"], ordered=program["ordered"], zip_input=program["zip"],
            timeout=float(program["timeout"]) if program["timeout"] else None, on_timeout=program["on_timeout"],
        )
        take, n = program["take"] if program["ordered"] else None, 0
        while n != take:
            try:
                one = await anext(outcomes)
            except StopAsyncIteration:
                break
            n += 1
            if isinstance(one, Ok):
                log(f"ok {one.value}")
            elif program["zip"]:
                log(f"exit {one.reason[0][0]}:{reason_text(one.reason[1])}")
            else:
                log(f"exit {reason_text(one.reason)}")
        await outcomes.aclose()
        log("done")
        return Stop("normal")

    async def run() -> None:
        last.append(await _owned(world, program["trap"], clock, work, 1))

    await where.run(run())
    return [[line for _, line in world.lines], last]
