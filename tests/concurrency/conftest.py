"""What the tests of threads and loops share with those of the engine, which is their first user."""

from __future__ import annotations

from tests.engine.conftest import _no_task_is_left_on_the_engine, eventually

__all__ = ["_no_task_is_left_on_the_engine", "eventually"]
