"""The kernel harness: that what the other tests of this folder stand on can be seen to work, and to fail."""

from __future__ import annotations

import sys

import pytest

from tests.kernel.kernels import Kernel


def test_a_cell_gives_its_outputs_in_order(kernel: Kernel) -> None:
    ran = kernel.run("import sys; print('one'); print('two', file=sys.stderr); sys.executable")

    assert ran.status == "ok"
    assert (ran.text, ran.errors) == ("one\n", "two\n")
    assert ran.bundles == [{"text/plain": repr(sys.executable)}]


def test_an_exception_is_an_error_reply_with_its_traceback(kernel: Kernel) -> None:
    ran = kernel.run("1 / 0")

    assert ran.status == "error"
    assert "ZeroDivisionError" in ran.errors


def test_a_running_cell_is_interrupted(kernel: Kernel) -> None:
    cell = kernel.start("import time\nprint('here', flush=True)\nwhile True: time.sleep(0.05)")
    kernel.wait_for_text(cell, "here")

    kernel.interrupt()

    assert "KeyboardInterrupt" in kernel.finish(cell).errors


def test_waiting_for_what_does_not_come_says_what_came(kernel: Kernel) -> None:
    cell = kernel.start("pass")

    with pytest.raises(TimeoutError, match="status"):
        kernel.wait_for_text(cell, "never", timeout=1)
