"""The lists of names and key formats that mark secrets, with their exceptions; users may add to them.

A name is read word by word (``openaiApiKey`` is *openai api key*), so that ``secretary`` and ``tokenizer`` are no secrets. Where two
rules differ, the list of plain names goes first, then the words at a name's end that say it is about a secret and none itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

__all__ = [
    "FORMS", "PLAIN_NAMES", "SecretForm", "add_plain_names", "add_secret_form", "add_secret_names", "forget_additions", "forms",
    "hinted", "is_secret_key", "may_name",
]

#: names that are not secrets although they contain a word for one; in lower case, words joined by ``_``
PLAIN_NAMES = frozenset({
    "primary_key", "foreign_key", "sort_key", "partition_key", "cache_key", "group_key", "index_key", "join_key", "lookup_key",
    "public_key", "row_key", "routing_key", "hash_key", "range_key", "composite_key", "unique_key", "natural_key", "surrogate_key",
    "candidate_key", "idempotency_key", "object_key", "dict_key", "map_key", "store_key", "state_key", "input_key", "output_key",
    "order_key", "ordering_key", "dedup_key", "message_key", "item_key", "column_key", "field_key", "label_key", "first_key",
    "last_key", "next_key", "any_key", "hot_key", "shortcut_key", "arrow_key", "memory_key", "config_key", "parent_key", "child_key",
    "node_key", "thread_key", "translation_key", "answer_key", "primary_keys", "foreign_keys", "sort_keys", "dict_keys", "input_keys",
    "output_keys", "public_keys", "cache_keys", "partition_keys", "required_keys", "optional_keys", "missing_keys", "unknown_keys",
    "extra_keys", "allowed_keys", "num_keys", "n_keys", "max_keys", "object_keys", "map_keys", "group_keys", "index_keys",
    "join_keys", "unique_keys", "all_keys", "top_keys", "expected_keys", "skip_keys", "exclude_keys", "include_keys", "store_keys",
    "state_keys", "row_keys", "hash_keys", "eos_token", "bos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token",
    "special_token", "stop_token", "start_token", "first_token", "last_token", "next_token", "prev_token", "time_to_first_token",
    "cost_per_token", "price_per_token", "per_token", "continuation_token", "page_token", "next_page_token", "token_ids", "token_id",
    "by_token", "legend_key", "time_key", "date_key", "id_key", "name_key", "context_key", "prompt_key", "result_key", "metric_key",
    "feature_key", "target_key", "source_key", "issue_key", "project_key", "ticket_key", "document_key", "doc_key", "file_key",
    "page_key", "section_key", "topic_key", "question_key", "env_key", "json_key", "param_key", "option_key", "setting_key",
    "property_key", "attribute_key", "event_key", "job_key", "task_key", "step_key", "run_key", "edge_key", "lock_key", "queue_key",
    "meta_key", "value_key", "text_key", "first_pass", "second_pass", "third_pass", "last_pass", "next_pass", "forward_pass",
    "backward_pass", "low_pass", "high_pass", "band_pass", "one_pass", "two_pass", "single_pass", "multi_pass", "all_pass",
    "must_pass", "did_pass", "tests_pass", "test_pass", "checks_pass", "boarding_pass", "by_pass", "render_pass", "final_pass",
    "train_pass",
})
#: words at the end of a name that speak about a secret
_ABOUT = frozenset({
    "url", "uri", "endpoint", "required", "count", "counts", "usage", "limit", "limits", "budget", "name", "names", "type", "types",
    "length", "size", "sizes", "policy", "expiry", "expires", "expired", "ttl", "valid", "enabled", "disabled", "format", "min",
    "max", "strength", "method", "scheme", "scope", "scopes", "version", "status", "error", "errors", "rotation", "consent", "index",
    "indices", "position", "offset", "offsets", "probs", "logprobs", "budgets", "total", "cost", "price", "rate", "model", "window",
    "stats", "path", "provided", "present", "details", "detail", "ids", "map", "embedding", "embeddings", "seconds", "second",
    "ratio", "frequency", "vocab", "span", "spans", "logits", "missing", "used",
})
_TOKENS_OF = frozenset({
    "access", "refresh", "auth", "api", "bearer", "session", "secret", "csrf", "device", "bot", "jwt", "oauth", "personal",
    "security", "deploy", "github", "slack", "registration", "identity", "admin", "login", "hf",
})
#: words that name a secret wherever they stand
_WORDS = frozenset({
    "secret", "secrets", "bearer", "authorization", "authorisation", "cookie", "cookies", "credentials", "credential", "creds",
    "cred", "jwt", "passwort", "kennwort", "contraseña", "contrasena", "senha", "密码", "mnemonic", "пароль", "токен", "パスワード",
    "apikey", "apikeys", "token",
})
_PARTS = ("password", "passwd", "passphrase", "passcode", "credential", "apikey", "cookie")
_ENDS = (
    "token", "secret", "privatekey", "secretkey", "accesskey", "authkey", "sshkey", "encryptionkey", "signingkey", "accountkey",
    "masterkey",
)
_LASTS = frozenset({"auth", "pwd", "passkey", "passkeys", "pw"})
_KEYS_OF = frozenset({
    "private", "api", "access", "secret", "encryption", "signing", "ssh", "master", "auth", "account", "client", "server", "service",
    "ssl", "tls", "rsa", "license", "deploy", "admin", "subscription",
})
_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
#: characters at the end of a name that are looked at
_LONGEST = 200


def _random(token: str) -> bool:
    """Whether a text looks random: long, or with a digit or a capital among its letters."""
    return len(token) >= 24 or any(ch.isdigit() or ch.isupper() for ch in token)


def _any(token: str) -> bool:
    return True


def _basic(token: str) -> bool:
    """Whether the text after ``Basic`` could be Base64, and is not an English word."""
    return token.endswith("=") or any(ch.isdigit() or ch.isupper() for ch in token[1:])


def _bearer(token: str) -> bool:
    return len(token) >= 16 or any(ch.isdigit() for ch in token)


class SecretForm(NamedTuple):
    """A format of secrets: its pattern, and a quick test that rules out a text.

    Attributes
    ----------
    name : str
        Whose form it is.
    hints : tuple of str
        One of them stands in every text that has the form.
    pattern : re.Pattern
        What is hidden.
    fits : callable
        Given the group ``s`` of what was found, or else all of it: whether it is a secret after all.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    fits: Callable[[str], bool] = _any


#: the kept forms
FORMS: tuple[SecretForm, ...] = (
    SecretForm("OpenAI, Anthropic", ("sk-",), re.compile(r"\bsk-(?P<s>[A-Za-z0-9_\-]{8,})"), _random),
    SecretForm("Stripe", ("_live_", "_test_", "whsec_"),
               re.compile(r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{8,}|\bwhsec_[A-Za-z0-9+/=]{8,}")),
    SecretForm("GitHub", ("ghp_", "gho_", "ghu_", "ghr_", "ghs_", "github_pat_"),
               re.compile(r"\b(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{8,}")),
    SecretForm("GitLab", ("glpat-", "gldt-", "glrt-", "glsoat-", "glcbt-"), re.compile(r"\bgl(?:pat|dt|rt|soat|cbt)-[A-Za-z0-9_\-]{8,}")),
    SecretForm("Hugging Face, Groq", ("hf_", "gsk_"), re.compile(r"\b(?:hf|gsk)_[A-Za-z0-9]{10,}")),
    SecretForm("npm, Replicate, Fireworks, xAI ...", ("npm", "r8_", "fw_", "xai-", "tgp_", "csk-", "ntn_", "tvly-"),
         re.compile(r"\b(?:npm|r8|fw|xai|tgp|csk|ntn|tvly)[_\-](?P<s>[A-Za-z0-9]{10,})"), _random),
    SecretForm("PyPI, Perplexity, NVIDIA, Shopify ...",
         ("pypi", "pplx", "nvapi", "lsv2", "ls__", "lin_api", "_v1_", "shp", "sntrys", "sq0"),
         re.compile(r"\b(?:pypi|pplx|nvapi|lsv2|ls_|lin_api|do[opr]_v1|shp(?:at|ss|ca|pa)|sntrys|sq0atp|sq0csp)[_\-](?P<s>[A-Za-z0-9_\-]{8,})"),
         _random),
    SecretForm("Slack", ("xox", "xapp-", "hooks.slack.com"),
         re.compile(r"\bxox[abeoprs]-[A-Za-z0-9\-]{8,}|\bxapp-[A-Za-z0-9\-]{8,}|hooks\.slack\.com/services/[A-Za-z0-9/]{8,}")),
    SecretForm("AWS", ("AKIA", "ASIA", "AGPA", "AIDA", "AROA"), re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{12,}")),
    SecretForm("Google", ("AIza", "ya29.", "GOCSPX-"),
         re.compile(r"\bAIza[0-9A-Za-z_\-]{16,}|\bya29\.[0-9A-Za-z_\-]{16,}|\bGOCSPX-[0-9A-Za-z_\-]{8,}")),
    SecretForm("SendGrid", ("SG.",), re.compile(r"\bSG\.[\w\-]{8,}\.[\w\-]{8,}")),
    SecretForm("Databricks, Mailgun, Twilio", ("dapi", "key-", "SK"), re.compile(r"\b(?:dapi|key-|SK)[0-9a-f]{32}\b")),
    SecretForm("Telegram", (":AA",), re.compile(r"\b\d{8,10}:AA[A-Za-z0-9_\-]{30,}")),
    SecretForm("Vault, age", ("hvs.", "hvb.", "hvr.", "AGE-SECRET-KEY-1"),
         re.compile(r"\bhv[sbr]\.[A-Za-z0-9_\-]{8,}|\bAGE-SECRET-KEY-1[A-Z0-9]{8,}")),
    SecretForm("JSON web token", ("eyJ",), re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){1,5}|\beyJ[A-Za-z0-9_\-]{24,}")),
    SecretForm("private key", ("PRIVATE KEY",),
         re.compile(r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY[ A-Z]{0,20}-----[\s\S]*?(?:-----END[ A-Z0-9]{0,60}-----|\Z)")),
    SecretForm("Bearer", ("earer",), re.compile(r"\b[Bb]earer\s+(?P<s>[A-Za-z0-9+/_\-.=~]{8,})"), _bearer),
    SecretForm("Basic", ("asic",), re.compile(r"\b[Bb]asic\s+(?P<s>[A-Za-z0-9+/_\-.=]{8,})"), _basic),
)
#: letters that every secret name has some of, in lower case: a text without any is not read for names
_HINTS = (
    "key", "token", "secret", "pass", "pwd", "pw", "auth", "cred", "cookie", "bearer", "jwt", "kennwort", "contrase", "senha", "密码",
    "mnemonic", "пароль", "токен", "パスワード", "phrase", "sig", "code", "session",
)

_HINTED = tuple((hint, form) for form in FORMS for hint in form.hints)

_names: set[str] = set()
_plain: set[str] = set()
_forms: list[SecretForm] = []


def forms() -> Sequence[SecretForm]:
    """The kept forms and those added."""
    return (*FORMS, *_forms) if _forms else FORMS


def hinted(text: str) -> list[SecretForm]:
    """The formats that may occur in a text."""
    found = []
    for hint, form in _HINTED:  # a plain loop: this is asked of every text that is shown
        if hint in text and form not in found:
            found.append(form)
    return [*found, *_forms] if _forms else found


def may_name(text: str) -> bool:
    """Whether a text may contain the name of a secret: quick, with false positives."""
    text = text.lower()
    for hint in _HINTS:
        if hint in text:
            return True
    return any(name.partition("_")[0] in text for name in _names)


def add_secret_names(*names: str) -> None:
    """Hide the values of keys of these names everywhere, too.

    Parameters
    ----------
    *names : str
        Whole names; letter case and the way words are joined do not matter.

    Examples
    --------
    >>> add_secret_names("badge number")
    >>> is_secret_key("badgeNumber"), is_secret_key("badge")
    (True, False)
    >>> forget_additions()
    """
    _names.update(_joined(name) for name in names)
    _changed()


def add_plain_names(*names: str) -> None:
    """Show the values of keys of these names, which sound like secrets and are none.

    Parameters
    ----------
    *names : str
        Whole names; letter case and the way words are joined do not matter.

    Examples
    --------
    >>> add_plain_names("piano_key")
    >>> is_secret_key("piano_key"), is_secret_key("safe_key")
    (False, True)
    >>> forget_additions()
    """
    _plain.update(_joined(name) for name in names)
    _changed()


def add_secret_form(pattern: str) -> None:
    """Hide what matches `pattern` in every text, too.

    Parameters
    ----------
    pattern : str
        A regular expression without groups that are named or referred to. It is searched in every text that is shown, so it has
        to be quick.

    Raises
    ------
    ValueError
        It is no regular expression, or it matches the empty text.

    Examples
    --------
    >>> add_secret_form(r"ACME-[0-9]{6}")
    >>> from pocketflex_nb.views.text.redaction import redacted
    >>> redacted("badge ACME-123456")
    'badge ••••••••'
    >>> forget_additions()
    """
    try:
        found = re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"{pattern!r} is no regular expression: {exc}") from exc
    if found.match("") or found.groupindex:
        raise ValueError(f"{pattern!r} matches the empty text or names a group; write a pattern of at least one character, without names")
    _forms.append(SecretForm("added", ("",), found))


def forget_additions() -> None:
    """Reset to the built-in lists."""
    _names.clear()
    _plain.clear()
    _forms.clear()
    _changed()


def _changed() -> None:
    _is_secret.cache_clear()


def _joined(name: str) -> str:
    return "_".join(_words(name))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _SPLIT.findall(name)]


def is_secret_key(key: object) -> bool:
    """Whether a key of this name holds a secret: ``*_key``, ``*token``, ``*secret*``, ``password``, ``authorization`` ...

    Examples
    --------
    >>> is_secret_key("openaiApiKey"), is_secret_key("sort_key"), is_secret_key("max_tokens")
    (True, False, False)
    """
    if isinstance(key, bytes):
        key = key[-_LONGEST:].decode("latin-1")
    if not isinstance(key, str):
        return False
    return _is_secret(str.__getitem__(key, slice(-_LONGEST, None)))


@lru_cache(maxsize=8_192)
def _is_secret(name: str) -> bool:
    words = _words(name)
    if not words:
        return name in _WORDS
    joined = "_".join(words)
    if joined in _names:
        return True
    if joined in _plain or joined in PLAIN_NAMES or "_".join(words[-2:]) in PLAIN_NAMES:
        return False
    last = words[-1]
    if last in _ABOUT:
        return False
    return _holds(words, last)


def _holds(words: list[str], last: str) -> bool:
    if any(word in _WORDS or word.endswith(_ENDS) or any(part in word for part in _PARTS) for word in words):
        return True
    pairs = list(pairwise(words))
    if any(word in ("key", "keys") and before in _KEYS_OF for before, word in pairs):
        return True
    if any(word == "tokens" and before in _TOKENS_OF for before, word in pairs):
        return True
    if any(word.endswith("tokens") and word[:-6] in _TOKENS_OF for word in words):
        return True
    return last in _LASTS or (len(words) > 1 and last in ("key", "keys", "pass"))
