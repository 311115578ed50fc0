"""Real Redis and RabbitMQ servers for the tests: on loopback, with ports, folders and names of their own, ended by process id."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Broker", "CarefulRedis", "Rabbit", "Redis", "quiet_port"]

#: seconds that a server may take to begin; RabbitMQ takes ten on an idle machine
BEGIN = 120.0


def wait_for(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something outside of Python that tells nobody."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


def quiet_port() -> int:
    """A port on which nothing listens, and which the system gives to no client: while a server restarts its port must stay free.

    A client that tries again and again to reach a port of the range of clients is at last connected with itself, and has the port.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


class Broker:
    """A server that can be killed and started again with what it kept."""

    program: ClassVar[str] = ""
    package: ClassVar[str] = ""
    #: the setting on which it rests that nothing acknowledged is lost when the server is killed
    keeping: ClassVar[str] = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pfx-broker-"))
        self.port = quiet_port()
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def is_here(cls) -> bool:
        return shutil.which(cls.program) is not None

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> Broker:
        command, env = self.command()
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd=self.folder, start_new_session=True)
        try:
            wait_for(self._is_up, BEGIN, f"the start of {self.program}")
        except BaseException:
            print((self.folder / "output").read_text(errors="replace")[-2000:])
            self.stop()
            raise
        return self

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.program} ended with {self.process.returncode}: "
                               f"{(self.folder / 'output').read_text(errors='replace')[-2000:]}")
        return self.is_ready()

    def kill(self) -> None:
        """End it without warning, with all that it started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            wait_for(lambda: not answers(self.port), 10, f"the end of {self.program}")

    def keeps(self, name: str) -> None:
        """Wait until a new queue survives a kill."""

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Any:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


class Redis(Broker):
    """Redis with a password and an append-only file, which it may write up to two seconds after it has answered."""

    program, package = "redis-server", "redis-server"
    keeping, appendfsync = "appendonly yes, appendfsync everysec", "everysec"

    def __init__(self) -> None:
        super().__init__()
        self.password = uuid.uuid4().hex

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def command(self) -> tuple[list[str], dict[str, str]]:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "save": "", "appendonly": "yes", "daemonize": "no",
                   "appendfsync": self.appendfsync, "requirepass": self.password}
        return ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", str(value)))], {}

    def is_ready(self) -> bool:
        import redis

        with redis.Redis(port=self.port, password=self.password, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class CarefulRedis(Redis):
    """One that writes and syncs before it answers: what it has acknowledged is there after a kill, and after a power cut."""

    keeping, appendfsync = "appendonly yes, appendfsync always", "always"


class Rabbit(Broker):
    """RabbitMQ as a node of its own, with an epmd of its own; as whoever runs the tests, not the system's user."""

    program, package = "rabbitmq-server", "rabbitmq-server"
    keeping = "quorum queues, persistent messages, publisher confirms: its default"

    def __init__(self) -> None:
        super().__init__()
        self.dist, self.epmd = quiet_port(), quiet_port()
        self.node = f"pfx{uuid.uuid4().hex[:8]}@localhost"

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @staticmethod
    def _script() -> str:
        """The server's own script: the one on PATH changes to the system's user, who may not write here."""
        own = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        return str(own) if own.exists() else "rabbitmq-server"

    def command(self) -> tuple[list[str], dict[str, str]]:
        config = self.folder / "rabbitmq.conf"
        config.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.console.level = warning\nlog.file = false\n"
            "disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.relative = 0.8\n"
        )
        (self.folder / "enabled_plugins").write_text("[].\n")
        env = {
            "HOME": str(self.folder), "RABBITMQ_NODENAME": self.node, "RABBITMQ_BASE": str(self.folder),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"), "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(config), "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_DIST_PORT": str(self.dist),
            "ERL_EPMD_PORT": str(self.epmd), "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1",
        }
        return [self._script()], env

    def is_ready(self) -> bool:
        """Whether it shakes hands: the port is open some time before."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.settimeout(2)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def keeps(self, name: str) -> None:
        """RabbitMQ 3.10 writes the directory of its quorum queues a moment after it has said that there is a new one."""
        files = self.folder / "mnesia"
        wait_for(lambda: any(name.encode() in file.read_bytes() for file in files.glob("*/quorum/*/names.dets")), 20, "a kept queue")

    def kill(self) -> None:
        super().kill()
        self._end_epmd()

    def _end_epmd(self) -> None:
        """epmd makes itself a daemon in a session of its own; it is known by its port."""
        import psutil

        for process in psutil.process_iter(["name"]):
            try:
                if process.info["name"] == "epmd" and process.environ().get("ERL_EPMD_PORT") == str(self.epmd):
                    process.kill()
                    process.wait(5)
            except psutil.Error:
                continue
