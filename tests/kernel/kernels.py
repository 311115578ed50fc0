"""A real kernel, and what a front end would see of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from jupyter_client.manager import KernelManager

__all__ = ["Kernel", "Ran"]


@dataclass
class Ran:
    """What came back for one cell: the reply, and every message that named the cell as its cause, in order."""

    reply: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``"ok"``, ``"error"`` or ``"aborted"``."""
        return str(self.reply["content"]["status"])

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """The contents of the cell's output messages, each with its type under ``output_type``."""
        shown = ("stream", "display_data", "execute_result", "error", "update_display_data")
        return [{"output_type": m["msg_type"], **m["content"]} for m in self.messages if m["msg_type"] in shown]

    @property
    def text(self) -> str:
        """What the cell wrote to stdout."""
        return self._stream("stdout")

    @property
    def errors(self) -> str:
        """What the cell wrote to stderr, and the traceback of its exception as shown."""
        shown = ["\n".join(output["traceback"]) for output in self.outputs if output["output_type"] == "error"]
        return self._stream("stderr") + "\n".join(shown)

    @property
    def bundles(self) -> list[dict[str, Any]]:
        """The mime bundles that the cell displayed, by mime type."""
        return [output["data"] for output in self.outputs if "data" in output]

    def _stream(self, name: str) -> str:
        return "".join(o["text"] for o in self.outputs if o["output_type"] == "stream" and o["name"] == name)


class Kernel:
    """An ipykernel of the running interpreter, spoken to as a front end would."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self._iopub: list[dict[str, Any]] = []

    def run(self, code: str, *, timeout: float = 30, cell_id: str | None = None) -> Ran:
        """Run a cell to its end; `timeout` in seconds."""
        return self.finish(self.start(code, cell_id=cell_id), timeout=timeout)

    def start(self, code: str, *, cell_id: str | None = None) -> str:
        """Send a cell, as the one of that id, the way JupyterLab tells it, and return its message id, without waiting."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = self.client.session.msg(
            "execute_request", {**content, "stop_on_error": True}, metadata={"cellId": cell_id} if cell_id else {}
        )
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(self, cell: str, *, timeout: float = 30) -> Ran:
        """Wait for the reply to a cell that was started, and for its last output."""
        deadline = time.monotonic() + timeout
        self.wait_for(cell, lambda m: m["msg_type"] == "status" and m["content"]["execution_state"] == "idle", timeout=timeout)
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.1, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == cell:
                return Ran(reply, self.seen(cell))

    def seen(self, cell: str) -> list[dict[str, Any]]:
        """The messages that have arrived and name `cell` as their cause."""
        return [message for message in self._iopub if message["parent_header"].get("msg_id") == cell]

    def wait_for(self, cell: str, is_it: Any, *, timeout: float = 30) -> dict[str, Any]:
        """The first message of `cell` for which ``is_it(message)`` holds; waits for it up to `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for message in self.seen(cell):
            if is_it(message):
                return message
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Empty:
                break
            self._iopub.append(message)
            if message["parent_header"].get("msg_id") == cell and is_it(message):
                return dict(message)
        raise TimeoutError(f"no such message within {timeout} s; seen: {[m['msg_type'] for m in self.seen(cell)]}")

    def wait_for_text(self, cell: str, text: str, *, timeout: float = 30) -> None:
        """Wait until `cell` has printed `text`."""
        self.wait_for(cell, lambda m: text in Ran(messages=self.seen(cell)).text, timeout=timeout)

    def send_comm(self, comm_id: str, data: dict[str, Any]) -> str:
        """Send a comm message, as a widget's page does; return its message id."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def interrupt(self) -> None:
        """Press the stop button."""
        self.manager.interrupt_kernel()

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
