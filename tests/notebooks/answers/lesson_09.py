"""Answers to lesson 09: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]

_PIECES = '''
def pieces(lines):
    for line in lines:
        {skip}
        {stop}
        delta = json.loads(line[6:])["choices"][0]["delta"]
        {give}
'''
_PARTS = {
    "skip": 'if not line.startswith("data: "):\n            continue',
    "stop": 'if line == "data: [DONE]":\n            return',
    "give": 'if delta.get("content"):\n            yield delta["content"]',
}


def _pieces(**changed: str) -> str:
    return _PIECES.format(**{**_PARTS, **changed})


SOLUTIONS = {
    "09.1": _pieces(),
    "09.2": 'purse = {"tokens": 60}',
    "09.3": "patient = Retry(4, wait=0.1, backoff=2, on=Busy)",
}
WRONG = {
    "09.1": [
        ('def pieces(lines):\n    for line in list(lines):\n        if line.startswith("data: {"):\n'
         '            text = json.loads(line[6:])["choices"][0]["delta"].get("content")\n            if text: yield text',
         "whole stream was there"),
        ('def pieces(lines):\n    for line in lines:\n        if line.startswith("data: {"):\n'
         '            text = json.loads(line[6:])["choices"][0]["delta"].get("content")\n            if text: yield text',
         "reads on"),
        (_pieces(skip=""), "was not JSON"),
        (_pieces(stop=""), "was not JSON"),
        (_pieces(give='yield delta["content"]'), "has a role"),
        (_pieces(give='yield delta.get("content")'), "a None among"),
        (_pieces(give="delta"), "No text came out"),
    ],
    "09.2": [
        ("purse = 60", "A number of what"),
        ('purse = {"token": 60}', "nothing called token"),
        ('purse = {"seconds": 60}', "count tokens"),
        ('purse = {"tokens": "60"}', "quotation marks"),
        ('purse = {"tokens": 6000}', "should be 60"),
    ],
    "09.3": [
        ("patient = 4", "number of tries"),
        ("patient = Retry(4, wait=0.1, backoff=2)", "whatever happened"),
        ("patient = Retry(4, wait=0.1, on=Busy)", "backoff"),
        ("patient = Retry(4, on=Busy)", "does not wait"),
        ("patient = Retry(3, wait=0.1, backoff=2, on=Busy)", "should be 4"),
    ],
}
