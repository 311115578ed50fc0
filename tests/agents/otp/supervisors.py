"""Programs with supervisors: nested, dynamic and of partitions."""

from __future__ import annotations

import asyncio
from typing import Any

from pocketflex_nb.agents import (
    AgentDown,
    DynamicSupervisor,
    PartitionSupervisor,
    StartError,
    Supervisor,
    child,
)
from pocketflex_nb.testing import Recorder
from tests.agents.otp.worlds import (
    World,
    asked,
    exit_text,
    folded,
    hit,
    path,
    reason,
    reason_text,
    worker_spec,
)

__all__ = ["run_dyn", "run_part", "run_sup"]

_STATUS = {"running": "up", "restarting": "restarting", "stopped": "undefined"}


def _exits(seen: Recorder, *, is_numbered: bool = False) -> list[tuple[int, str]]:
    found = []
    for event in seen.events:
        if event.kind == "exit" and event.address.startswith("root"):
            top, _, id = event.address.partition("/")
            place = f"{top}{'/' + id.rpartition('-')[0] if id else ''}" if is_numbered else event.address
            found.append((event.ns, f"exit {place} {exit_text(event)}"))
    return found


def _steps(world: World, exits: list[tuple[int, str]]) -> list[list[str]]:
    return folded(line for _, line in sorted([*world.lines, *exits], key=lambda pair: pair[0]))


async def _stopped(world: World, why: str) -> None:
    world.step()
    try:
        await world.root.stop(reason(why), 5.0)
        world.log("stopped ok")
    except AgentDown as exc:
        world.log("stopped " + reason_text(exc.reason))
    await world.settle()


async def _cleared(world: World) -> None:
    if world.root.is_alive:
        world.root.exit("kill")
        await asyncio.sleep(0.3)


# nested supervisors -------------------------------------------------------------------------------------------------------
def _spec(world: World, parts: list[str], spec: dict[str, Any]) -> Any:
    if spec["k"] == "w":
        return worker_spec(world, parts, spec)
    children = [_spec(world, [*parts, one["id"]], one) for one in spec["children"]]
    return child(
        Supervisor, children, id=spec["id"], restart=spec["restart"], significant=spec["significant"], shutdown=None,
        strategy=spec["strategy"], max_restarts=spec["max_r"], max_seconds=3600, auto_shutdown=spec["auto"],
    )


class _Nested:
    def __init__(self, program: dict[str, Any], where: Any) -> None:
        self.program, self.world = program, World(where)

    def _supervisor(self, parts: list[str]) -> Any:
        ref = self.world.root.ref if self.world.root._life is not None else None
        for id in parts:
            if ref is None or not ref.is_alive:
                return None
            ref = next((info.ref for info in ref.children() if info.id == id), None)
        return ref if ref is not None and ref.is_alive else None

    def _worker(self, parts: list[str]) -> Any:
        ref = self.world.current.get(path(parts))
        return ref if ref is not None and ref.is_alive else None

    async def run(self) -> None:
        world, top = self.world, self.program["root"]
        world.root = Supervisor(
            [_spec(world, [one["id"]], one) for one in top["children"]], strategy=top["strategy"], max_restarts=top["max_r"],
            max_seconds=3600, auto_shutdown=top["auto"], name="root", **world.where.options,
        )
        try:
            await world.root.start()
            world.log("root ok")
        except StartError as exc:
            world.log(f"root failed({exc.id},{reason_text(exc.reason)})")
        await world.settle()
        for op in self.program["ops"]:
            world.step()
            await getattr(self, f"_{op[0]}", self._request)(op)
            await world.settle()
        world.step()
        ref = self._supervisor([])
        if ref is None:
            world.log("root dead")
            return
        self._tree(ref, [])
        await _stopped(world, self.program["end"])

    def _tree(self, ref: Any, parts: list[str]) -> None:
        infos, count = ref.children(), ref.count()
        told = ",".join(f"{info.id}:{_STATUS[info.status]}" for info in infos)
        self.world.log(f"tree {path(parts)} {count.specs} {count.active} {count.supervisors} {count.workers} {told}")
        for info in infos:
            if info.type == "supervisor" and info.ref is not None:
                self._tree(info.ref, [*parts, info.id])

    def _asking(self, ref: Any, op: list[Any]) -> Any:
        what, parts, which = op
        if what == "start":
            return asked(ref.start_child(worker_spec(self.world, [*parts, which["id"]], which)), is_start=True)
        if what == "term":
            return asked(ref.terminate_child(which))
        if what == "restart":
            return asked(ref.restart_child(which), is_start=True)

        async def delete() -> None:
            ref.delete_child(which)

        return asked(delete())

    async def _request(self, op: list[Any]) -> None:
        ref = self._supervisor(op[1])
        self.world.log("no_target" if ref is None else "res " + await self._asking(ref, op))

    async def _hit(self, op: list[Any]) -> None:
        ref = self._worker(op[1])
        self.world.log("no_target") if ref is None else hit(ref, op[2])

    async def _hit2(self, op: list[Any]) -> None:
        ref, one, two = self._supervisor(op[1]), self._worker([*op[1], op[2]]), self._worker([*op[1], op[3]])
        if ref is None or one is None or two is None:
            self.world.log("no_target")
            return
        await asyncio.sleep(0.03)  # one that has just worked dies a turn later than an idle one
        self.world.where.now(lambda: (one.exit("kill"), two.exit("kill")))

    async def _gate(self, op: list[Any]) -> None:
        parts, how, queue = op[1:]
        ref, above = self._worker(parts), self._supervisor(parts[:-1])
        if ref is None or above is None:
            self.world.log("no_target")
            return
        gate = await self.world.gated(path(parts), lambda: hit(ref, how))
        await self.world.behind(gate, [self._asking(above, one) for one in queue])

    async def _gatekill(self, op: list[Any]) -> None:
        parts, how, whom = op[1:]
        ref, above, world = self._worker(parts), self._supervisor(parts[:-1]), self.world
        if ref is None or above is None:
            world.log("no_target")
            return
        if whom == "sup":
            world.log("UNORDERED")
        gate = await world.gated(path(parts), lambda: hit(ref, how))
        if gate.reached.is_set():
            victim = gate.ref if whom == "self" else above if whom == "sup" else self._worker([*parts[:-1], whom])
            world.log(f"victim {str(victim is not None).lower()}")
            if victim is not None:
                victim.exit("kill")
                await world.where.run(_until_dead(victim))
            world.where.now(gate.opened.set)

    async def _supkill(self, op: list[Any]) -> None:
        ref = self._supervisor(op[1])
        if ref is None:
            self.world.log("no_target")
            return
        self.world.log("UNORDERED")
        ref.exit("kill")

    async def _supexit(self, op: list[Any]) -> None:
        ref = self._supervisor(op[1])
        if ref is None:
            self.world.log("no_target")
        elif op[1]:
            ref.exit(reason(op[2]))


async def _until_dead(ref: Any) -> None:
    for _ in range(1000):
        if not ref.is_alive:
            return
        await asyncio.sleep(0)


async def run_sup(program: dict[str, Any], where: Any) -> list[list[str]]:
    """A tree of supervisors."""
    nested = _Nested(program, where)
    with Recorder() as seen:
        await nested.run()
    steps = _steps(nested.world, _exits(seen))
    await _cleared(nested.world)
    return steps


# dynamic supervisors ------------------------------------------------------------------------------------------------------
async def run_dyn(program: dict[str, Any], where: Any) -> list[list[str]]:
    """A dynamic supervisor."""
    world = World(where)
    ds = world.root = DynamicSupervisor(
        max_children=program["max_children"], extra_args=program["extra"], max_restarts=program["max_r"], max_seconds=3600,
        name="root", **where.options,
    )

    def asking(op: list[Any]) -> Any:
        if op[0] == "start":
            return asked(ds.start_child(worker_spec(world, [op[1]["id"]], op[1])), is_start=True)
        return asked(ds.terminate_child(world.current[path([op[1]])]))

    async def do(op: list[Any]) -> None:
        what, which = op[0], op[1]
        ref = world.current.get(path([which])) if isinstance(which, str) else None
        if what in ("hit", "gate") and (ref is None or not ref.is_alive):
            world.log("no_target")
        elif what == "hit":
            hit(ref, op[2])
        elif what == "gate":
            gate = await world.gated(path([which]), lambda: hit(ref, op[2]))
            await world.behind(gate, [asking(one) for one in op[3] if one[0] != "term" or path([one[1]]) in world.current])
        elif what == "term" and ref is None:
            world.log("no_target")
        else:
            world.log("res " + await asking(op))

    with Recorder() as seen:
        await ds.start()
        await world.settle()
        for op in program["ops"]:
            world.step()
            await do(op)
            await world.settle()
        world.step()
        if not ds.is_alive:
            world.log("root dead")
        else:
            count, told = ds.count(), ",".join(sorted(_STATUS[info.status] for info in ds.children()))
            world.log(f"tree {count.specs} {count.active} {count.supervisors} {count.workers} {told}")
            try:
                await ds.stop(reason(program["end"]), 5.0)
                world.log("stopped ok")
            except AgentDown as exc:
                world.log("stopped " + reason_text(exc.reason))
            await world.settle()
    steps = _steps(world, _exits(seen, is_numbered=True))
    await _cleared(world)
    return steps


# partitions ---------------------------------------------------------------------------------------------------------------
async def run_part(program: dict[str, Any], where: Any) -> list[list[str]]:
    """A supervisor of partitions."""
    world = World(where)
    ps = world.root = PartitionSupervisor(
        worker_spec(world, ["P"], program["w"]), partitions=program["n"], with_args=lambda args, i: (args[0], [str(i)], args[2]),
        strategy=program["strategy"], max_restarts=program["max_r"], max_seconds=3600, name="root", **where.options,
    )

    def do(op: list[Any]) -> None:
        if op[0] == "hit":
            ref = world.current.get(path([str(op[1])]))
            world.log("no_target") if ref is None or not ref.is_alive else hit(ref, op[2])
        elif not ps.is_alive:
            world.log("root dead")
        elif op[0] == "route":
            ref = ps.ref(op[1])
            found = next((place for place, one in world.current.items() if one is ref), "?") if ref is not None else "none"
            world.log(f"route {op[1]} {found}")
        elif op[0] == "which":
            world.log("which " + ",".join(sorted(f"{info.id}:{_STATUS[info.status]}" for info in ps.children())))
        else:
            count = ps.count()
            world.log(f"count {count.specs} {count.active} {count.supervisors} {count.workers}")

    with Recorder() as seen:
        await ps.start()
        await world.settle()
        for op in program["ops"]:
            world.step()
            do(op)
            await world.settle()
        world.step()
        if not ps.is_alive:
            world.log("root dead")
        else:
            try:
                await ps.stop(reason(program["end"]), 5.0)
                world.log("stopped ok")
            except AgentDown as exc:
                world.log("stopped " + reason_text(exc.reason))
            await world.settle()
    steps = _steps(world, _exits(seen))
    await _cleared(world)
    return steps
