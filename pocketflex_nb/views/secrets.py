"""What must not be shown: values of keys that name a secret, and texts that look like a provider's key.

A mask errs on the side of hiding. It is applied to texts that are about to be shown or saved, never to the user's own data.
"""

from __future__ import annotations

import re

__all__ = ["MASK", "is_secret_key", "masked", "redacted"]

MASK = "••••••••"

_KEY = re.compile(
    r"[_\-. ]keys?$|private[_\-. ]?key|api[_\-. ]?key|token(?!i[sz])|secret|passw(?:or)?d|passphrase|(?:^|_)pwd$|authori[sz]ation"
    r"|credential|bearer|cookie",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"tokens?$|tokens?[_\-. ]|_tokens?", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?[\d_,.]+(?:[eE][-+]?\d+)?|None|True|False")
_VALUE = re.compile(
    r"""
    \b(?:sk|pk|rk)[-_](?:[A-Za-z]+[-_])*[A-Za-z0-9_\-]{8,}    # OpenAI, Anthropic, Stripe
  | \b(?:gh[pousr]|github_pat|glpat|gsk|hf|r8|npm|pypi|dop_v1|shpat|xai|pplx|tgp|fw|csk|nvapi|lsv2|ls__)[_\-][A-Za-z0-9_\-]{8,}
  | \bxox[abeoprs]-[A-Za-z0-9\-]{8,}                          # Slack
  | \b(?:AKIA|ASIA|AGPA|AIDA)[0-9A-Z]{12,}                    # AWS
  | \bAIza[0-9A-Za-z_\-]{16,}                                 # Google
  | \bya29\.[0-9A-Za-z_\-]{16,}
  | \bSG\.[\w\-]{8,}\.[\w\-]{8,}                              # SendGrid
  | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?   # JSON web token
  | (?<=://)[^\s/:@'"]*:[^\s/@'"]+(?=@)                       # a password in an address
  | -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ A-Z]*-----|$)
  | \b(?:Bearer|Basic)\s+[A-Za-z0-9+/_\-.=]{8,}
    """,
    re.VERBOSE,
)
_PAIR = re.compile(
    r"""(?P<key>(?P<quote>['"])[^'"\n]{0,80}?(?P=quote)|[A-Za-z_][\w\-]{0,80})(?P<sign>\s{0,3}[:=]\s{0,3})"""
    r"""(?P<value>b?'(?:[^'\\\n]|\\.)*(?:'|$)|b?"(?:[^"\\\n]|\\.)*(?:"|$)|[^\s,;}\])'"]+)"""
)


def is_secret_key(key: object) -> bool:
    """Whether a key of this name holds a secret: ``*_key``, ``*token*``, ``*secret*``, ``password``, ``authorization`` ..."""
    return isinstance(key, str) and len(key) < 200 and _KEY.search(key) is not None


def masked(key: object, text: str) -> str:
    """`text`, the preview of what stands under `key`, with secrets hidden.

    Parameters
    ----------
    key : object
        The key, or a path (tuple) of keys: below a secret key everything is hidden.
    text : str
        What would be shown.

    Returns
    -------
    str
        The mask, or `text` with what looks like a key in it masked. A count, such as ``tokens: 8100``, is no secret.
    """
    for part in key if isinstance(key, tuple) else (key,):
        if is_secret_key(part) and not (_COUNTS.search(str(part)) and _NUMBER.fullmatch(text.strip())):
            return MASK
    return redacted(text)


def redacted(text: str) -> str:
    """`text` with everything masked in it that looks like a secret, and the values of secret keys (``'api_key': '...'``)."""
    text = _VALUE.sub(MASK, text)
    if ":" not in text and "=" not in text:
        return text
    return _PAIR.sub(_pair, text)


def _pair(found: re.Match[str]) -> str:
    key = found["key"].strip("'\"")
    if not is_secret_key(key) or masked(key, found["value"].strip("'\"")) != MASK:
        return found[0]
    return f"{found['key']}{found['sign']}{MASK}"
