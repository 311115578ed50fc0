"""Answers to lesson 04: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]

_LOOP = "  fetch --> cut\n  cut -->|long| cut\n"


def _diagram(name: str, *lines: str, loop: str = _LOOP) -> str:
    return f"%%pocketflex {name}\nflowchart LR\n{loop}" + "\n".join(f"  {line}" for line in lines)


def _stamped(*lines: str, loop: str = _LOOP) -> str:
    return _diagram("stamped", *lines, loop=loop)


def _billed(*lines: str) -> str:
    return _diagram("billed", *lines)


def _pigeon(*lines: str, name: str = "with_pigeon") -> str:
    return _diagram(name, "fetch --> wire --> note", *lines, loop="")


def _patient(*lines: str) -> str:
    return _pigeon(*lines, name="patient")


SOLUTIONS = {
    "04.1": _stamped("cut -->|fits| stamp --> send"),
    "04.2": _billed("cut -->|fits| send & file --> bill"),
    "04.3": _pigeon("wire -.-> pigeon --> note"),
    "04.4": _patient("wire -.-> pigeon --> note", "%% pf: wire.retries=3"),
}
WRONG = {
    "04.1": [
        (_stamped("cut -->|long| stamp", "cut -->|fits| stamp --> send", loop="  fetch --> cut\n"), "is cut once"),
        (_stamped("cut -->|fits| stamp"), "never sent"),
        (_stamped("cut -->|fits| send", loop="  fetch --> stamp --> cut\n  cut -->|long| cut\n"), "before a word was cut"),
        (_stamped("cut -->|long| stamp", "stamp --> cut", "cut -->|fits| send", loop="  fetch --> cut\n"), "the stamp stands in the loop"),
        (_stamped("cut -->|fits| stamp & send"), "set out together"),
        (_stamped("cut -->|fits| send --> stamp"), "one after the other|when it is gone"),
    ],
    "04.2": [
        (_billed("cut -->|fits| file --> send --> bill"), "one waits for the other"),
        (_billed("cut -->|fits| send & file"), "The way never came to bill"),
        (_billed("cut -->|fits| send & file & bill"), "sets out together with the others"),
        (_billed("cut -->|fits| send & file", "send --> bill"), "waits for send alone"),
        (_billed("cut -->|fits| send --> bill"), "The way never came to file"),
    ],
    "04.3": [
        (_pigeon("wire --> pigeon --> note"), "on fair days"),
        (_pigeon("wire -.-> note"), "nobody carries the telegram"),
        (_pigeon("wire -.-> pigeon"), "After the pigeon nothing comes"),
        (_pigeon("wire -->|failed| pigeon --> note"), "on fair days"),
    ],
    "04.4": [
        (_patient("%% pf: wire.retries=2", "wire -.-> pigeon --> note"), "counts all tries"),
        (_patient("wire -.-> pigeon --> note"), "tries once"),
        (_patient("%% pf: wire.retries=3"), "and then?"),
        (_patient("%% pf: wire.retries=3", "wire -.-> pigeon"), "After the pigeon nothing comes"),
        (_patient("%% pf: wire.retries=5", "wire -.-> pigeon --> note"), "tries 5 times"),
    ],
}
