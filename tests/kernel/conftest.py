"""A real kernel: `kernel` is shared by a file's tests, `fresh_kernel` is a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.kernels import Kernel


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    started = Kernel()
    yield started
    started.close()


@pytest.fixture
def fresh_kernel() -> Iterator[Kernel]:
    started = Kernel()
    yield started
    started.close()
