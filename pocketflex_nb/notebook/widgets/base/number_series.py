"""The last points of a number that changes, for drawing as a curve."""

from __future__ import annotations

__all__ = ["POINTS", "NumberSeries"]


#: points of a curve; when there are more, every second one is dropped
POINTS = 240


class NumberSeries:
    """The numbers that a watched value was, from the first on: when there are many, every second one is dropped."""

    def __init__(self) -> None:
        self.points: list[float] = []
        self._every, self._count = 1, 0

    def add(self, value: object) -> None:
        """Keep `value` if it is a number."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return
        if self._count % self._every == 0:
            self.points.append(float(value))
        self._count += 1
        if len(self.points) > POINTS:
            self.points, self._every = self.points[::2], self._every * 2

    def drawn(self) -> list[float]:
        """Those that can be drawn."""
        return [p for p in self.points if p == p and abs(p) != float("inf")]
