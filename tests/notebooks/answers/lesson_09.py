"""Answers to lesson 09: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

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
         "whole stream was read"),
        ('def pieces(lines):\n    for line in lines:\n        if line.startswith("data: {"):\n'
         '            text = json.loads(line[6:])["choices"][0]["delta"].get("content")\n            if text: yield text',
         "reads on"),
        (_pieces(skip=""), "is not JSON"),
        (_pieces(stop=""), "is not JSON"),
        (_pieces(give='yield delta["content"]'), "has a role"),
        (_pieces(give='yield delta.get("content")'), "a None among"),
        (_pieces(give="delta"), "No text came out"),
        (_pieces(give='yield delta'), "has to be|should be|The pieces were"),
        (_pieces(give='yield from delta.get("content") or ""'), "not in its pieces"),
        (_pieces(give='yield (delta.get("content") or "").strip()'), "The pieces were"),
    ],
    "09.2": [
        ("purse = 60", "without its unit"),
        ('purse = {"token": 60}', "no kind token"),
        ('purse = {"seconds": 60}', "count tokens"),
        ('purse = {"tokens": "60"}', "quotation marks"),
        ('purse = {"tokens": 6000}', "should be 60"),
        ('purse = {"tokens": 59}', "should be 60"),
        ('purse = {"tokens": 60, "steps": 10}', "count tokens"),
        ('purse = {"max_tokens": 60}', "and not tokens"),
        ('purse = "60 tokens"', "not a dict"),
        ('purse = ("tokens", 60)', "not a dict"),
        ("purse = {}", "It counts nothing"),
    ],
    "09.3": [
        ("patient = 4", "number of attempts"),
        ("patient = Retry(4, wait=0.1, backoff=2)", "retries every error"),
        ("patient = Retry(4, wait=0.1, on=Busy)", "backoff"),
        ("patient = Retry(4, on=Busy)", "does not wait"),
        ("patient = Retry(3, wait=0.1, backoff=2, on=Busy)", "should be 4"),
        ("patient = Retry(4, wait=0.1, backoff=2, on=Exception)", "retries every error"),
        ("patient = Retry(4, wait=0.1, backoff=2, on=(Busy, OSError))", "It retries OSError, too"),
        ("patient = Retry(4, wait=0.1, backoff=2, on=OSError)", "Busy is not retried"),
        ("patient = Retry(4, wait=0.1, backoff=0.5, on=Busy)", "shorter"),
        ("patient = Retry(5, wait=0.1, backoff=2, on=Busy)", "should be 4"),
    ],
}
RIGHT = {
    "09.1": [_pieces(stop='if line == "data: [DONE]":\n            break'), _pieces(give='if text := delta.get("content"):\n            '
     'yield text')],
    "09.2": ["purse = dict(tokens=60)"],
    "09.3": ["patient = Retry(4, 0.1, 2, on=(Busy,))", "patient = Retry(4, wait=1, backoff=1.5, on=Busy)"],
}
