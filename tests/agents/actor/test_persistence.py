"""An agent's state outlives its crashes, its supervisor and its kernel; it is whole or it is the one before."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketflex_nb import Agent, FlowAgent, Supervisor, child, linear, node
from pocketflex_nb.agents import NO_REPLY, AgentDown, BadSpec, Continue, ReplyError, StartError, Stop, handles
from pocketflex_nb.core.errors import EncodingError, JournalError, StateHeld
from pocketflex_nb.journal import journal_file


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state.sqlite"
    for file in list(journal_file._open.values()):
        if file.path.parent == tmp_path:
            file.close()


class Counter(Agent):
    """Counts, and does what the tests ask for."""

    transient = {"client"}

    async def init(self, n: int = 0) -> None:
        self.n = n
        self.seen: list[Any] = []
        self.client = object()

    async def handle_call(self, message: Any, caller: Any) -> Any:
        if message == "crash half-way":
            self.n = -1
            raise ConnectionError
        if message == "refuse":
            self.n += 1
            raise ReplyError(ValueError("no"))
        if message == "stop":
            self.n += 1
            return Stop("normal", reply=self.n)
        if message == "continue":
            return Continue(5, reply="soon")
        if message == "odd":
            self.seen.append({"deep": object()})
            return None
        self.n += message
        self.seen.append(("call", message))
        return self.n

    async def handle_cast(self, message: Any) -> None:
        self.n += message

    async def handle_info(self, message: Any) -> None:
        self.seen.append(message)

    async def handle_continue(self, value: Any) -> None:
        self.n += value

    @handles.call(reentrant=True)
    async def late(self, by: int) -> int:
        await asyncio.sleep(0)
        self.n += by
        return self.n

    @handles.call
    def now(self) -> int:
        return self.n


def started(path: Path, **options: Any) -> Any:
    return Counter.start_sync(name="counter", persist=path, **options)


def test_it_goes_on_with_what_it_was_and_init_gives_the_rest(path: Path) -> None:
    ref = started(path)
    ref.call_sync(3)
    ref.cast(4)
    ref.send("hello")
    assert ref.call_sync("continue") == "soon"
    assert ref.call_sync(0) == 12
    before = {name: value for name, value in ref.state().items() if name != "client"}
    ref.stop_sync()

    again = started(path)
    after = dict(again.state())
    assert after.pop("client") is not None
    assert after == before
    again.stop_sync()


def test_each_handled_message_is_kept_before_its_reply(path: Path) -> None:
    def kept() -> Any:
        return journal_file.opened_file(path).read("SELECT body FROM agents")[0][0]

    ref = started(path)
    assert '"n":0' in kept()
    ref.call_sync(3)
    assert '"n":3' in kept()
    with pytest.raises(ValueError, match="no"):
        ref.call_sync("refuse")
    assert '"n":4' in kept()
    assert ref.call_sync("stop") == 5
    assert '"n":5' in kept()


def test_a_crash_half_way_leaves_the_state_before(path: Path) -> None:
    sup = Supervisor([child(Counter, id="counter", persist=path)], name="team").start_sync()
    counter = sup["counter"]
    counter.call_sync(3)
    with pytest.raises(AgentDown):
        counter.call_sync("crash half-way")
    assert asyncio.run(counter.call(1, wait=5.0)) == 4
    sup.stop_sync()


def test_a_reentrant_handler_is_kept_before_its_reply(path: Path) -> None:
    async def main() -> None:
        ref = await Counter.start(name="counter", persist=path)
        assert await asyncio.gather(ref.late(1), ref.late(2), ref.now()) is not None
        await ref.stop()
        again = await Counter.start(name="counter", persist=path)
        assert await again.now() == 3
        await again.stop()

    asyncio.run(main())


def test_what_an_order_changes_is_kept(path: Path) -> None:
    async def main() -> None:
        ref = await Counter.start(name="counter", persist=path)
        await ref.replace_state(lambda state: {**state, "n": 70})
        await ref.stop()
        again = await Counter.start(name="counter", persist=path)
        assert await again.now() == 70
        await again.stop()

    asyncio.run(main())


def test_what_cannot_be_kept_ends_the_agent_with_its_path_and_the_state_before_stays(path: Path) -> None:
    sup = Supervisor([child(Counter, id="counter", persist=path)], name="team").start_sync()
    counter = sup["counter"]
    counter.call_sync(3)
    with pytest.raises(AgentDown) as caught:
        counter.call_sync("odd")
    error = caught.value.__cause__
    assert isinstance(error, EncodingError)
    for part in ("self.seen[1].deep", "transient = {'seen'}"):
        assert part in str(error)
    assert asyncio.run(counter.call(1, wait=5.0)) == 4
    sup.stop_sync()


def test_a_secret_that_redact_hides_is_named_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Holds(Counter):
        async def init(self, n: int = 0) -> None:
            await super().init(n)
            self.api_key = "k"

        def redact(self, state: dict[str, Any]) -> dict[str, Any]:
            return {**state, "api_key": "***"}

    ref = Holds.start_sync(name="holds", persist=path)
    ref.call_sync(1)
    ref.call_sync(1)
    ref.stop_sync()
    told = [record.getMessage() for record in caplog.records if "redact() hides" in record.getMessage()]
    assert len(told) == 1
    assert "self.api_key" in told[0]
    assert "transient" in told[0]


def test_the_state_of_a_living_agent_is_refused_to_another(path: Path) -> None:
    ref = started(path)
    with pytest.raises(StartError) as caught:
        Supervisor([child(Counter, name=None, id="counter", persist=path)]).start_sync()
    assert "is held by an agent of this process" in str(caught.value)
    with pytest.raises(StateHeld, match="an agent of this process"):
        Agent.forget_state(path, "counter")
    ref.stop_sync()
    assert Agent.forget_state(path, "counter")
    assert not Agent.forget_state(path, "counter")
    clean = started(path)
    assert clean.call_sync(0) == 0
    clean.stop_sync()


@pytest.mark.parametrize("harm", ["crc", "later", "class"])
def test_a_state_that_cannot_be_used_is_told_and_not_touched(harm: str, path: Path) -> None:
    ref = started(path)
    ref.call_sync(3)
    ref.stop_sync()
    file = journal_file.opened_file(path)
    with file.transaction() as do:
        if harm == "crc":
            do("UPDATE agents SET body = replace(body, '3', '4')")
        elif harm == "later":
            do("UPDATE agents SET format = 99")
        else:
            body = '{"n":{"$":"dataclass","c":"gone:Gone","v":{}}}'
            from pocketflex_nb.journal.file_format import checksum

            do("UPDATE agents SET body = ?, crc = ?", (body, checksum("counter", 1, "Counter", body)))
    before = file.read("SELECT body, format FROM agents")

    with pytest.raises(StartError) as caught:
        started(path)
    error = caught.value.reason.error
    assert isinstance(error, JournalError)
    told = {"crc": "is damaged", "later": "update it", "class": "cannot be read here"}[harm]
    assert told in str(error)
    assert f"Agent.forget_state('{path}', 'counter')" in str(error)
    assert file.read("SELECT body, format FROM agents") == before
    assert Agent.forget_state(path, "counter")
    clean = started(path)
    assert clean.call_sync(1) == 1
    clean.stop_sync()


def test_a_flow_agent_keeps_its_store(path: Path) -> None:
    @node
    def count(shared: Any) -> None:
        shared["seen"] = shared.get("seen", 0) + 1
        shared["reply"] = shared["seen"]

    for expected in (1, 2, 3):
        ref = FlowAgent(linear(count)).start_sync(name="flow", persist=path)
        assert ref.call_sync("x") == expected
        ref.stop_sync()


def test_names_say_whose_state_it_is(path: Path) -> None:
    with pytest.raises(BadSpec, match="needs a name"):
        Counter.start_sync(persist=path)
    with pytest.raises(BadSpec, match="exclude each other"):
        Counter.start_sync(name="c", persist=path, isolation="process")
    with pytest.raises(BadSpec, match="path of a file"):
        Counter.start_sync(name="c", persist=True)
    with pytest.raises(BadSpec, match="a supervisor has no state"):
        child(Supervisor, [child(Counter)], persist=path)

    class Kept(Counter):
        persist = path

    inner = Supervisor([Kept(1)], name="inner")
    sup = Supervisor([child(Counter, id="a", persist=path), child(Counter, name="b", persist=path), inner], name="team").start_sync()
    unnamed = Supervisor([child(Counter, id="a", persist=path)]).start_sync()
    keys = [row[0] for row in journal_file.opened_file(path).read("SELECT key FROM agents ORDER BY key")]
    assert keys == ["a", "b", "team/a", "team/inner/Kept"]
    unnamed.stop_sync()
    sup.stop_sync()


def test_no_reply_is_given_later_and_a_large_state_is_a_file(path: Path) -> None:
    class Waits(Counter):
        transient = {"client", "waiting"}

        async def handle_call(self, message: Any, caller: Any) -> Any:
            self.waiting = caller
            return NO_REPLY

        async def handle_cast(self, message: Any) -> None:
            self.text = message * 3_000_000
            self.waiting.reply(len(self.text))

    async def main() -> None:
        ref = await Waits.start(name="waits", persist=path)
        asked = asyncio.ensure_future(ref.call("x"))
        await asyncio.sleep(0)
        ref.cast("y")
        assert await asked == 3_000_000
        await ref.stop()
        again = await Waits.start(name="waits", persist=path)
        assert len(again.state()["text"]) == 3_000_000
        await again.stop()

    asyncio.run(main())


TEAM = """
import os, signal, sys
from pocketflex_nb import Agent, Supervisor, child
class Worker(Agent):
    async def init(self, name):
        self.name, self.done = name, []
    async def handle_call(self, message, caller):
        if message == "read":
            return self.done
        self.done.append(message)
        print(f"{self.name} {message}", flush=True)
        if message == kill:
            self.done.append("never")
            os.kill(os.getpid(), signal.SIGKILL)
        return len(self.done)
kernel, kill = int(sys.argv[2]), sys.argv[3]
team = Supervisor([child(Worker, name, id=name, persist=sys.argv[1]) for name in ("ada", "bob", "cy")], name="team").start_sync()
print(sorted((name, team[name].call_sync("read")) for name in ("ada", "bob", "cy")), flush=True)
for number in range(3):
    for name in ("ada", "bob", "cy"):
        team[name].call_sync(f"{kernel}.{number}")
"""


def test_a_team_goes_on_over_three_kernels_that_are_killed(path: Path) -> None:
    """Each kernel is killed in the midst of a message of the second worker: the message is not kept, every one before is."""
    program = path.with_name("team.py")
    program.write_text(TEAM)
    begun = []
    for kernel in range(3):
        made = subprocess.run(
            [sys.executable, str(program), str(path), str(kernel), f"{kernel}.1"], capture_output=True, text=True, timeout=60
        )
        assert made.returncode == -signal.SIGKILL, made.stderr
        begun.append(eval(made.stdout.splitlines()[0]))

    def of(kernels: int) -> list[Any]:
        ada = [f"{k}.{n}" for k in range(kernels) for n in (0,)]
        return [("ada", ada), ("bob", ada), ("cy", ada)]

    assert begun[0] == [("ada", []), ("bob", []), ("cy", [])]
    assert begun[1:] == [of(1), of(2)], "ada was killed inside its message, which is not kept"


def test_another_kernel_is_refused_with_who_holds_the_state(path: Path) -> None:
    program = path.with_name("holder.py")
    program.write_text(TEAM.replace('print(sorted((', 'print("up", flush=True); sys.stdin.read(); print(sorted(('))
    holder = subprocess.Popen(
        [sys.executable, str(program), str(path), "0", "none"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"

        class Worker(Agent):
            pass

        with pytest.raises(StartError) as caught:
            Worker.start_sync(name="team/ada", persist=path)
        told = str(caught.value.reason.error)
        assert isinstance(caught.value.reason.error, StateHeld)
        assert f"process {holder.pid}" in told
        assert "holder.py" in told
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        for stream in (holder.stdin, holder.stdout):
            if stream is not None:
                stream.close()
