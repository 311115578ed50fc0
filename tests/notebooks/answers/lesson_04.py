"""Answers to lesson 04: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

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
        (_stamped("cut -->|long| stamp", "stamp --> cut", "cut -->|fits| send", loop="  fetch --> cut\n"), "is in the loop"),
        (_stamped("cut -->|fits| stamp & send"), "run in parallel"),
        (_stamped("cut -->|fits| send --> stamp"), "after it was sent|run in parallel"),
        (_stamped("cut -->|fits| send"), "Nothing is stamped yet"),
        (_stamped("cut -->|fits| send", "cut -->|stamped| stamp"), "Nothing is stamped yet"),
        (_stamped("cut -->|fits| stamp -->|stamped| send"), "never sent"),
        (_stamped("cut -->|fits| send", loop="  fetch --> cut & stamp\n  cut -->|long| cut\n"), "before a word was cut|send has to come "
         "right after|after it was sent"),
        (_stamped("cut -->|fits| stamp --> send --> stamp"), "does not end"),
    ],
    "04.2": [
        (_billed("cut -->|fits| file --> send --> bill"), "One waits for the other"),
        (_billed("cut -->|fits| send & file"), "The run never came to bill"),
        (_billed("cut -->|fits| send & file & bill"), "runs in parallel with the others"),
        (_billed("cut -->|fits| send & file", "send --> bill"), "waits for send only"),
        (_billed("cut -->|fits| send --> bill"), "The run never came to file"),
        (_billed("cut -->|fits| send --> file --> bill"), "One waits for the other"),
        (_billed("cut --> send & file --> bill"), "no arrow has that name"),
        (_billed("cut -->|fits| send & file -->|done| bill"), "never came to bill"),
        (_billed("cut -->|fits| send & file", "file --> bill"), "waits for file only"),
        (_billed("cut -->|fits| bill --> send & file"), "in parallel with the others|come directly after|comes|has to come"),
    ],
    "04.3": [
        (_pigeon("wire --> pigeon --> note"), "when the node succeeds"),
        (_pigeon("wire -.-> note"), "note comes at once"),
        (_pigeon("wire -.-> pigeon"), "Nothing comes after pigeon"),
        (_pigeon("wire -->|failed| pigeon --> note"), "when the node succeeds"),
        (_pigeon(), "the run with it"),
        (_pigeon("fetch -.-> pigeon --> note"), "the run with it"),
        (_pigeon("wire ==> pigeon --> note"), "the run with it|when the node succeeds"),
        (_pigeon("note -.-> pigeon"), "the run with it"),
        (_pigeon("wire -.-> pigeon -.-> note"), "Nothing comes after pigeon"),
        (_pigeon("wire -->|error| pigeon --> note"), "when the node succeeds"),
    ],
    "04.4": [
        (_patient("%% pf: wire.retries=2", "wire -.-> pigeon --> note"), "counts all attempts"),
        (_patient("wire -.-> pigeon --> note"), "makes one attempt"),
        (_patient("%% pf: wire.retries=3"), "as in exercise 4.3"),
        (_patient("%% pf: wire.retries=3", "wire -.-> pigeon"), "Nothing comes after pigeon"),
        (_patient("%% pf: wire.retries=5", "wire -.-> pigeon --> note"), "makes 5 attempts"),
        (_patient("%% pf: wire.retries=1", "wire -.-> pigeon --> note"), "makes one attempt"),
        (_patient("%% pf: fetch.retries=3", "wire -.-> pigeon --> note"), "makes one attempt"),
        (_patient("%% pf: pigeon.retries=3", "wire -.-> pigeon --> note"), "makes one attempt"),
        (_patient("%% pf: wire.retries=4", "wire -.-> pigeon --> note"), "makes 4 attempts"),
        (_patient("%% pf: wire.retries=3", "wire -.-> note"), "as in exercise 4.3|sent by"),
    ],
}
RIGHT = {
    "04.1": [_stamped("cut -->|fits| stamp", "stamp --> send")],
    "04.2": [_billed("cut -->|fits| file & send --> bill"), _billed("cut -->|fits| send & file", "send --> bill", "file --> bill")],
    "04.3": [_pigeon("pigeon --> note", "wire -.-> pigeon")],
    "04.4": [_patient("%% pf: wire.retries=3", "pigeon --> note", "wire -.-> pigeon")],
}
