"""Redaction: masks values of keys that name a secret, and texts that look like a provider's key.

Masking errs on the side of hiding. It is applied to text that is about to be shown or saved, before anything is cut, never to the
user's own data. The names and formats are in :mod:`pocketflex_nb.views.secret_forms`; the syntax by which a text gives a name a value
is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from pocketflex_nb.views.secret_forms import FORMS, forms, hinted, is_secret_key, may_name

__all__ = [
    "MARGIN", "SECRET_MASK", "is_secret_key", "masked", "opens_secret", "redacted", "redacted_head", "redacted_pieces", "secret_spans",
]

SECRET_MASK = "••••••••"
#: characters that are looked at beyond those that will be shown, so that a secret is known before it is cut
MARGIN = 4_096

_TOKEN = re.compile(r"tokens?$|tokens?[_\-. ]|_tokens?", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?[\d_,.]+(?:[eE][-+]?\d+)?|None|True|False")
_CONSTANT = re.compile(r"(?:None|True|False|null|true|false)(?![\w.\-])")
_HEAD = re.compile(
    r"""(?:(?P<quote>\\*['"])(?P<quoted>[^'"\\\n]{1,120})(?P=quote)|(?<![\w.\-\\])(?P<dashes>-{0,2})(?P<name>[^\W\d][\w.\-]*+))"""
    r"""(?P<sign>[ \t]*+(?:=>|->|:=|==?|:(?!//)|,(?=[ \t\n]*\\*[bB]?['"]))[ \t]*+|[ \t]++(?=[^\s\-]))""",
)
_BARE = re.compile(r"""(?:[^\s,;&(){}\[\]'"]|[,;](?![\s'"({\[]|$|[\w.\-]{1,60}[ \t]?[=:]))++""")
_BLOCK = re.compile(r"[ \t]*(?:[|>][+\-]?\d?)?[ \t]*(?:\n|$)")
_KEY_OF = re.compile(r"(?:api|access|secret|private|encryption|signing|account|auth|client|master|license)[ ]$", re.IGNORECASE)
_HEADERS = re.compile(
    r"(?:proxy-)?authori[sz]ation|(?:set-)?cookie2?|x-[\w\-]*(?:token|key|auth|secret)[\w\-]*|passphrase|mnemonic", re.IGNORECASE,
)
_SIGNED = frozenset({"sig", "signature", "key", "x-amz-signature", "x-amz-credential", "code", "auth", "session", "pass"})
_URL = re.compile(
    r"""://(?P<who>[^\s/:@'"?#]*)(?::(?P<word>(?!\d{1,5}(?:[/?#]|(?![^\s/'"@])))(?:(?!://)[^\s'"<>]){0,4000}@"""
    r"""|(?!\d{1,5}(?![^\s/'"]))[^\s/'"<>]+(?=…|\Z))|@)""",
)
_COMMAND = re.compile(
    r"""(?:\b(?:curl|wget|https?)[ ][^\n|;]{0,300}?(?<=[ ])(?:-u|--user|--proxy-user)[= ]*['"]?[^\s:'"]*:(?P<curl>[^\s'"]+)"""
    r"""|\bsshpass[ ]+-p[ ]*(?P<ssh>[^\s]+)"""
    r"""|\bmysql(?:dump|admin)?\b[^\n|;]{0,200}?[ ]-p(?P<mysql>[^\s'"]+)"""
    r"""|\b(?:docker|podman|helm)[ ][^\n|;]{0,80}?\blogin\b[^\n|;]{0,120}?[ ]-p[ ]+(?P<docker>[^\s]+))""",
)
_TAG = re.compile(r"<(?:\w{1,20}:)?(?P<name>[\w.\-]{1,80})(?:[ \n][^<>]{0,300})?>(?P<value>[^<]{1,4000})</")
_FIELD = re.compile(
    r"""\bname=\\*(?P<q>['"]?)(?P<name>[\w.\-]{1,80})(?P=q)[^<>]{0,100}?\bvalue=(?P<value>'[^'<>]*'?|"[^"<>]*"?|[^\s<>'"]+)""",
)
_NETRC = re.compile(r"\blogin[ \t\n]+\S{1,100}[ \t\n]+password[ \t\n]+(?P<value>\S+)")
_BASIC = re.compile(r"""BasicAuth\([ ]?['"][^'"\n]{0,200}['"],[ ]?(?P<value>'[^'\n]*'?|"[^"\n]*"?)""")
_REVERSED = re.compile(
    r"""(?P<q>\\*['"])(?:value|val|content)(?P=q)[ ]*:[ ]*(?P<value>(?P=q)[^'"\\\n]{0,2000}(?P=q))[ ]*,[ ]*"""
    r"""(?P=q)(?:name|key|header|field)(?P=q)[ ]*:[ ]*(?P=q)(?P<name>[^'"\\\n]{1,120})(?P=q)""",
)
_SCHEME = re.compile(r"(?:bearer|basic|token|digest|api-?key|key|negotiate|aws4-hmac-sha256)", re.IGNORECASE)
_NAMED = re.compile(
    r"""(?P<q>\\*['"])(?:name|key|header|field)(?P=q)[ ]*:[ ]*(?P=q)(?P<name>[^'"\\\n]{1,120})(?P=q)[ ]*,[ ]*"""
    r"""(?P=q)(?:value|val|content)(?P=q)[ ]*:[ ]*""",
)
_ENDED = re.compile(r"-----END[ A-Z0-9]{0,40}PRIVATE KEY[ A-Z]{0,20}-----")
_OPENS = re.compile(r"""-----BEGIN|-----END|[:=][ \t]*(?:[|>][+\-]?\d?)?[ \t]*$|[({\[]\s*$|(?:=|:[ \t]*)['"]{3}|\\$""", re.MULTILINE)
_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, frozenset(")]}")
#: characters of the shortest text that has one of the kept forms
_SHORTEST = 11
#: characters of one quoted value
_QUOTED = 20_000


def masked(key: object, text: str) -> str:
    """`text`, the preview of the value under `key`, with secrets hidden.

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
        if is_secret_key(part) and not (_TOKEN.search(str(part)) and _NUMBER.fullmatch(text.strip())):
            return SECRET_MASK
    return redacted(text)


def redacted(text: str) -> str:
    """`text` with everything that looks like a secret masked, and the values of secret keys (``'api_key': '...'``).

    Examples
    --------
    >>> redacted("curl -H 'Authorization: Token abcdef' https://host/?page=2&sig=abcdef")
    "curl -H 'Authorization: ••••••••' https://host/?page=2&sig=••••••••"
    """
    spans = secret_spans(text)
    return _masked(text, spans) if spans else text


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], SECRET_MASK]
        at = end
    return "".join([*parts, text[at:]])


def redacted_head(text: str, limit: int) -> str:
    """At least `limit` characters of the beginning of `text`, if it has them, masked before it is cut.

    What is longer than `limit` may be cut by the caller; no secret is left there without its beginning.
    """
    return redacted(text if len(text) <= limit + MARGIN else text[: limit + MARGIN])


def redacted_pieces(pieces: Sequence[str], joints: Sequence[str] | None = None) -> list[str]:
    """Texts that follow one another, such as the pieces of a stream, masked as the whole would be.

    Parameters
    ----------
    pieces : sequence of str
        The texts in order.
    joints : sequence of str, optional
        What stands before each of them; default: nothing, as between tokens. Between lines it is a newline.

    Returns
    -------
    list of str
        As many texts. Of a secret that goes through several of them the first has the mask and the others nothing.

    Examples
    --------
    >>> redacted_pieces(["password=", "hunt", "er2 ok"])
    ['password=', '••••••••', ' ok']
    """
    starts, whole = [], ""
    for number, piece in enumerate(pieces):
        whole += joints[number] if joints else ""
        starts.append(len(whole))
        whole += piece
    spans = secret_spans(whole)
    if not spans:
        return list(pieces)
    told = []
    for start, piece in zip(starts, pieces, strict=True):
        end, at, parts = start + len(piece), start, []
        for first, last in spans:
            if last <= start or first >= end:
                continue
            parts.append(whole[at : max(first, at)])
            if first >= start:
                parts.append(SECRET_MASK)
            at = min(last, end)
        told.append("".join([*parts, whole[at:end]]))
    return told


@lru_cache(maxsize=4_096)
def opens_secret(text: str) -> bool:
    """Whether a secret may begin in `text` and continue in the next line or piece, or come from the one before."""
    return _OPENS.search(text) is not None


def secret_spans(text: str) -> list[tuple[int, int]]:
    """The secrets in `text`: (start, end), in order, without overlaps."""
    found = [*_shaped(text), *(_valued(text) if may_name(text) else ())]
    if "://" in text:
        found += _in_addresses(text)
    if "-u" in text or "-p" in text:
        found += (match.span(match.lastgroup or 0) for match in _COMMAND.finditer(text))
    if "-----END" in text:
        found += _ended(text)
    if "</" in text or "value=" in text:
        tagged = (match for pattern in (_TAG, _FIELD) for match in pattern.finditer(text))
        found += (match.span("value") for match in tagged if is_secret_key(match["name"]))
    if "val" in text or "content" in text:
        found += (match.span("value") for match in _REVERSED.finditer(text) if is_secret_key(match["name"]))
    if "BasicAuth" in text:
        found += (match.span("value") for match in _BASIC.finditer(text))
    if "login" in text:
        found += (match.span("value") for match in _NETRC.finditer(text))
    if len(found) < 2:
        return found
    found.sort()
    joined = [found[0]]
    for start, end in found[1:]:
        if start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _shaped(text: str) -> Iterator[tuple[int, int]]:
    if len(text) < _SHORTEST and forms() is FORMS:
        return
    for form in hinted(text):
        for match in form.pattern.finditer(text):
            if form.fits(match["s"] if form.pattern.groupindex else match.group()):
                yield match.span()


def _in_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Passwords in addresses, and the user of a web address, which is a token."""
    for match in _URL.finditer(text):
        if match["word"] is None:
            is_web = text[max(match.start() - 5, 0) : match.start()].lower().endswith(("http", "https"))
            if is_web and match["who"]:
                yield match.span("who")
        else:
            yield match.start("who"), match.end() - (1 if match["word"].endswith("@") else 0)


def _ended(text: str) -> Iterator[tuple[int, int]]:
    """A private key whose beginning was cut off."""
    match = _ENDED.search(text)
    if match is not None and "-----BEGIN" not in text[: match.start()]:
        yield 0, match.end()


def _valued(text: str) -> Iterator[tuple[int, int]]:
    """The values of secret names: pairs of all kinds, headers, query strings, options of commands, blocks of YAML."""
    at = 0
    while (match := _HEAD.search(text, at)) is not None:
        name, sign = match["quoted"] or match["name"], match["sign"].strip()
        at = match.end()
        if not sign and not match["dashes"]:
            at = match.end() - len(match["sign"]) if match["name"] else match.start() + len(match["quote"])
            continue
        if sign == "," and not _begins_pair(text, match):
            at = match.start() + len(match["quote"]) if match["quoted"] else match.end("name")
            continue
        if not _is_secret(text, match, name):
            if match["quoted"] and name.lower() in ("name", "key", "header", "field") and (named := _NAMED.match(text, match.start())):
                if is_secret_key(named["name"]):
                    end = _value_end(text, named.end())
                    yield named.end(), end
                    at = max(end, at)
            elif match["quoted"]:  # a whole text in quotes, which may say more inside
                at = match.start() + len(match["quote"])
            continue
        start, end = _value(text, match, name, sign)
        if end > start and not _is_harmless(name, text[start:end]):
            yield start, end
        at = max(end, at)


def _begins_pair(text: str, match: re.Match[str]) -> bool:
    """Whether a quoted name before a comma is the first of a pair, or an option in a list of a command's words."""
    if not match["quoted"]:
        return False
    before = text[max(match.start() - 2, 0) : match.start()].rstrip("bB \n\t")
    return before.endswith(("(", "[")) or match["quoted"].startswith("-")


def _is_secret(text: str, match: re.Match[str], name: str) -> bool:
    if is_secret_key(name):
        return True
    before = text[max(match.start() - 1, 0) : match.start()]
    if before in ("?", "&") and name.lower() in _SIGNED:
        return True
    return name.lower() in ("key", "keys", "phrase") and _KEY_OF.search(text[max(match.start() - 12, 0) : match.start()]) is not None


def _is_harmless(name: str, value: str) -> bool:
    """Whether a value reveals nothing: an empty one, a constant, a count of tokens."""
    bare = value.strip()
    return _CONSTANT.fullmatch(bare) is not None or bool(_TOKEN.search(name) and _NUMBER.fullmatch(bare))


def _value(text: str, match: re.Match[str], name: str, sign: str) -> tuple[int, int]:
    start = match.end()
    is_header = sign == ":" and _HEADERS.fullmatch(name) is not None
    if match["name"] and (is_header or ("cookie" in name.lower() and text[start : start + 1] not in "'\"([{")):
        end = _line_end(text, start, "'\"" if match.start() and text[match.start() - 1] in "'\"" else "")
        return start, end
    if sign in (":", "=") and (block := _BLOCK.match(text, start)) and block.end() > start:
        return _block(text, match.start(), block.end())
    if sign in (":", "=") and start == len(text):
        return start, start
    end = _value_end(text, start)
    if end < len(text) and text[end] == " " and _SCHEME.fullmatch(text[start:end]):
        end = _value_end(text, end + 1)
    if text[match.start() - 1 : match.start()] in ("?", "&") and (cut := text.find("&", start, end)) >= 0:
        end = cut
    elif text[end : end + 1] == "&" and text[match.start() - 1 : match.start()] not in ("?", "&"):
        end = max(end, _value_end(text, end + 1)) if not _HEAD.match(text, end + 1) else end
    if sign == ":" and match["name"] and _begins_line(text, match.start()) and text[start : start + 1] not in "'\"([{":
        rest = _line_end(text, start, "")
        if not any(ch in text[start:rest] for ch in ",;'\"(){}[]"):
            end = rest
    return start, end


def _begins_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t-")


def _line_end(text: str, start: int, stops: str) -> int:
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    if text[end - 1 : end] == "\r" and end > start:
        end -= 1
    places = [place for stop in stops if (place := text.find(stop, start, end)) >= 0]
    return min([end, *places])


def _block(text: str, name_at: int, start: int) -> tuple[int, int]:
    """The lines below a name that stand further in, as YAML has them, or are items of a list; none: nothing."""
    line = text.rfind("\n", 0, name_at) + 1
    deep = _depth(text[line:name_at])
    at = first = start
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        row = text[at:end]
        if row.strip() and _depth(row) <= deep and not row.lstrip().startswith("- "):
            break
        at = min(end + 1, len(text))
        if not row.strip() and end == len(text):
            break
    while at > first and text[at - 1] in "\n":
        at -= 1
    first += len(text[first:at]) - len(text[first:at].lstrip())
    return first, max(at, first)


def _depth(row: str) -> int:
    return len(row) - len(row.lstrip(" \t"))


def _value_end(text: str, start: int) -> int:
    """The end of the value that begins at `start`: quoted, in brackets, a call, or up to the next separator."""
    at, size = start, len(text)
    while at < size:
        opened = _quote(text, at)
        if opened and at == start + (text[start : start + 1] in "bBrRuUfF"):
            return _quoted_end(text, at, opened)
        if text[at] in _OPENING:
            at = _closed(text, at)
            continue
        match = _BARE.match(text, at)
        if match is None or match.end() == at:
            break
        at = match.end()
        if at == start + 1 and text[start] in "bBrRuUfF" and _quote(text, at):
            continue
    return at


def _quote(text: str, at: int) -> str:
    """The quote at `at`, with the backslashes before it; three of one kind count as one."""
    end = at
    while text[end : end + 1] == "\\":
        end += 1
    mark = text[end : end + 1]
    if mark not in ("'", '"') or not mark:
        return ""
    return mark * 3 if end == at and text.startswith(mark * 3, at) else text[at : end + 1]


def _quoted_end(text: str, at: int, quote: str) -> int:
    """The position after the quote that closes `quote`; without one, the end of the line, or of a text that was cut."""
    found = at + len(quote)
    slashes = len(quote) - 1 if len(quote) != 3 or quote[0] == "\\" else 0
    limit = min(at + _QUOTED, len(text))
    while (found := text.find(quote[-1] if len(quote) != 3 or slashes else quote, found, limit)) >= 0:
        before = found
        while text[before - 1] == "\\" and before > at + len(quote):
            before -= 1
        count = found - before
        if (slashes == 0 and count % 2 == 0) or (slashes and count <= slashes):
            return found + (3 if len(quote) == 3 and not slashes else 1)
        found += 1
    return _line_end(text, at + len(quote), "")


def _closed(text: str, at: int) -> int:
    """The position after the bracket that closes the one at `at`; brackets in quotes do not count; without one, the end."""
    awaited: list[str] = []
    size = len(text)
    while at < size:
        ch = text[at]
        if ch in _OPENING:
            awaited.append(_OPENING[ch])
        elif ch in _CLOSING:
            if awaited and ch == awaited[-1]:
                awaited.pop()
            if not awaited:
                return at + 1
        elif ch in "'\"":
            end = text.find(ch, at + 1, at + _QUOTED)
            while end > 0 and text[end - 1] == "\\":
                end = text.find(ch, end + 1, at + _QUOTED)
            at = end if end > 0 else at
        at += 1
    return size
