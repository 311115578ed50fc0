"""The kept lists of secrets: every form and every way to say a value, over all kinds, and what is no secret."""

from __future__ import annotations

import dataclasses
import json
from collections import OrderedDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pocketflex_nb.core.frozen.freezer import freeze
from pocketflex_nb.views.secret_forms import (
    FORMS,
    PLAIN_NAMES,
    add_plain_names,
    add_secret_form,
    add_secret_names,
    forget_additions,
    is_secret_key,
)
from pocketflex_nb.views.text.redaction import SECRET_MASK, redacted, redacted_pieces
from pocketflex_nb.views.text.secret_parts import veiled
from pocketflex_nb.views.values.change_lines import change_text, compare_lines
from pocketflex_nb.views.values.json_text import json_text
from pocketflex_nb.views.values.store_rows import child_rows, visible_rows
from pocketflex_nb.views.values.value_preview import detail, preview, type_label

S = "hunter2hunter2"


@pytest.fixture(autouse=True)
def _kept_lists() -> Iterator[None]:
    yield
    forget_additions()


#: an example of each kept form
EXAMPLES = {
    "OpenAI, Anthropic": ["sk-abcdefghijklmnop1234", "sk-ant-api03-abcdefghijkl", "sk-proj-Abcdefgh"],
    "Stripe": ["sk_live_abcdefgh1234", "pk_test_abcdefgh1234", "whsec_abcdefgh1234"],
    "GitHub": ["ghp_abcdefghijklmnop", "github_pat_abcdefgh1234"],
    "GitLab": ["glpat-abcdefgh1234"],
    "Hugging Face, Groq": ["hf_abcdefghijklmnop", "gsk_abcdefghijkl"],
    "npm, Replicate, Fireworks, xAI ...": [
        "npm_abcdefghij1234567890",
        "r8_abcdefghij12345",
        "xai-abcdefghij12345",
        "tvly-abcdefghij1234",
    ],
    "PyPI, Perplexity, NVIDIA, Shopify ...": [
        "pypi-AgEIcHlwaS5vcmc",
        "nvapi-abcdefgh1234",
        "shpat_abcdefgh1234",
        "dop_v1_abcdef1234",
    ],
    "Slack": ["xoxb-123456789012-abcdef", "hooks.slack.com/services/T00000000/B00000000/abcd"],
    "AWS": ["AKIAIOSFODNN7EXAMPLE"],
    "Google": ["AIzaSyA1234567890abcdefghij", "ya29.abcdefghijklmnopqrst", "GOCSPX-abcdefgh1234"],
    "SendGrid": ["SG.abcdefghij.abcdefghij"],
    "Databricks, Mailgun, Twilio": ["dapi" + "0123456789abcdef" * 2, "SK" + "0123456789abcdef" * 2],
    "Telegram": ["123456789:AA" + "b" * 33],
    "Vault, age": ["hvs.abcdefgh1234", "AGE-SECRET-KEY-1QQQQQQQQQQ"],
    "JSON web token": [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk",
        "eyJhbGciOiJkaXIifQ..abcdefgh.abcdefgh.abcdefgh",
        "eyJ" + "a" * 40,
    ],
    "private key": [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\ncut off",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYB\n-----END PGP PRIVATE KEY BLOCK-----",
    ],
    "Bearer": ["Bearer abcdefghijklmnop", "bearer abc123def456"],
    "Basic": ["Basic dXNlcjpodW50ZXIy", "Basic dXNlcjpwYXNz="],
}


def test_every_kept_form_has_an_example_here() -> None:
    assert {form.name for form in FORMS} == set(EXAMPLES)


@pytest.mark.parametrize("secret", [example for examples in EXAMPLES.values() for example in examples])
def test_a_kept_form_is_masked_wherever_it_stands(secret: str) -> None:
    assert redacted(f"before {secret}") == f"before {SECRET_MASK}"
    for shown in (preview([secret]), preview({"note": {"deep": secret}}), detail(secret), json_text({"a": [secret]})):
        assert secret not in shown
        assert SECRET_MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Token {S}",
        f"Proxy-Authorization: Digest username=a, response={S}",
        f"Cookie: a=1; session={S}",
        f"Set-Cookie: sid={S}; HttpOnly",
        f"X-Api-Key: {S}",
        f"[('Authorization', 'Token {S}')]",
        f'["x-api-key", "{S}"]',
        f"(b'authorization', b'Token {S}')",
        f"{{'name': 'Authorization', 'value': 'Token {S}'}}",
        f"https://x/?a=1&api_key={S}&b=2",
        f"https://x?access_token={S}",
        f"https://x?sv=1&sig={S}",
        f"https://x?X-Amz-Signature={S}",
        f"grant=x&client_secret={S}&a=b",
        repr({"password": {"v": S}}),
        repr({"passwords": [S]}),
        repr({"credentials": ("u", S)}),
        f"AccountName=x;AccountKey={S}==;",
        f"DB_PASS={S}",
        f"export TOKEN='{S}'",
        f'api_key = "{S}"',
        f"password: {S}",
        f"password: |\n  {S}\n  {S}",
        f"password:\n  value: {S}",
        f"passwords:\n- {S}\n- {S}",
        f"--password {S}",
        f"--password={S}",
        f"--api-key '{S}'",
        f"curl -u me:{S} https://x",
        f"sshpass -p {S} ssh",
        f"mysql -u root -p{S} db",
        f"docker login -u me -p {S}",
        f"PGPASSWORD={S} psql",
        f"https://{S}@github.com/x.git",
        f"redis://u:{S}@h/0",
        f"postgres://u:{S}",
        f"postgres://u:p@{S}@h/db",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{S}",
        f"{S}\n-----END RSA PRIVATE KEY-----",
        json.dumps(json.dumps({"api_key": S})),
        f"password=SecretStr('{S}')",
        f"secret => {S}",
        f"API key: {S}",
        f"password=a,{S}",
        f"X-Auth-Token: {S}",
        f"machine x login me password {S}",
        f"<password>{S}</password>",
        f'<a:apiKey type="x">{S}</a:apiKey>',
        f'<input name="password" value="{S}">',
        f"Authorization=Token {S}",
        f"cookie=a=1; session={S}",
        f"Command '['psql', '--password', '{S}']' returned 1",
        f"//registry.npmjs.org/:_authToken={S}",
        f"client-key-data: {S}",
        f"HTTPBasicAuth('me', '{S}')",
        f"{{'value': '{S}', 'name': 'API_KEY'}}",
        f"requests.get(u, auth=('me', '{S}'))",
        f"curl https://x -u 'me:{S}'",
        f"пароль: {S}",
        f"https://x/?a=1&pass={S}",
        f"--header=Authorization:Token {S}",
        f"{{'api_key': '{S} cut off",
        f"spring.datasource.password={S}",
        f'password="""{S}"""',
        f'{{"password":\n  "{S}"}}',
    ],
)
def test_a_secret_is_masked_in_every_form_of_text(text: str) -> None:
    told = redacted(text)

    assert S not in told
    assert SECRET_MASK in told
    assert redacted(told) == told


@pytest.mark.parametrize(
    "text",
    [
        "Basic programming language",
        "Basic understanding required",
        "pk_constraint_name",
        "npm_package_version_1",
        "sort_key=name",
        "tokens: [1, 2, 3]",
        "{'max_tokens': 5, 'token_usage': {'in': 1}}",
        "sk-learn is here",
        "http://localhost:8080/a@b",
        "http://h:80",
        "the secretary: Ann",
        "tokenizer = 'bpe'",
        "['primary_key', 'name']",
        "password_required=True",
        "Bearer of news",
        "key=value",
        "a: b, c: d",
        "python -p 8080 -u script.py",
        "docker run -u 1000:1000 image",
        "<author>Ann</author>",
        "{'input_token_details': {'cache_read': 5}, 'token_type_ids': [0, 1]}",
        "login as ann, password unknown",
        "sig=1",
        "{'password': None}",
        "time_to_first_token=0.3",
        "12:30:11 done",
        "def f(key): return key",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "name", [*sorted(PLAIN_NAMES), "tokens", "n_tokens", "maxTokens", "tokens_by_model", "secretary", "authorization_url"]
)
def test_a_plain_name_is_no_secret(name: str) -> None:
    assert not is_secret_key(name)
    assert preview("value", key=name) == "'value'"


@pytest.mark.parametrize(
    "name",
    [
        "openaiApiKey",
        "AccountKey",
        "DB_PASS",
        "refresh_tokens",
        "accessToken",
        "authtoken",
        "spring.datasource.password",
        "SECRET_KEY_BASE",
        b"authorization",
        "x" * 400 + "_password",
        "ssh_key_2",
        "http_auth",
        "Set-Cookie",
    ],
)
def test_a_secret_name_is_known_in_every_spelling(name: Any) -> None:
    assert is_secret_key(name)


class Cred:
    def __repr__(self) -> str:
        return f"Cred({S!r})"


@dataclasses.dataclass
class Login:
    user: str
    password: Any


HELD: list[Any] = [
    {"password": {"value": S}},
    {"credentials": ("u", S)},
    {"users": [{"secrets": [S]}]},
    {"password": Cred()},
    {"login": Login("a", S)},
    {"login": SimpleNamespace(password=S)},
    {"headers": [("Authorization", f"Token {S}")]},
    {"headers": (("Cookie", S), ("A", "b"))},
    {"headers": [["x-api-key", S]]},
    {"headers": [(b"authorization", S.encode())]},
    {"headers": [{"name": "Authorization", "value": S}]},
    {"env": [{"name": "DB_PASSWORD", "value": S}]},
    {"argv": ["psql", "--password", S]},
    {"raw": ["Host", "x", "Authorization", S]},
    OrderedDict(password=S),
    {"a": {"b": {"c": {"token": S}}}},
    {"url": f"https://x/?api_key={S}"},
    {"token": "x" * 500 + S},
    {"text": "Authorization: Bearer " + "x" * 5_000 + S},
    {"note": "a" * 130 + f" password={S}"},
    {"set": frozenset({f"password={S}"})},
    {"jwt": "eyJhbGciOiJSUzI1NiJ9." + "a" * 600 + S},
    {"bytes": f"password={S}".encode()},
    {"password": bytearray(S.encode())},
    {("api", "key"): {"password": S}},
    {"obj": Login("a", {"x": S})},
]


@pytest.mark.parametrize("held", HELD, ids=range(len(HELD)))
@pytest.mark.parametrize("frozen", [False, True], ids=["plain", "frozen"])
def test_no_form_of_output_shows_what_stands_below_a_secret_name(held: Any, frozen: bool) -> None:
    held = freeze(held) if frozen else held
    opened = {row.path for row in child_rows(held)}
    for _ in range(5):
        opened |= {row.path for row in visible_rows(held, opened)}

    told = [
        preview(held, 300),
        preview(held, 60),
        detail(held),
        json_text(held),
        change_text(compare_lines({}, {"h": held})),
        change_text(compare_lines({"h": held}, {})),
        repr(visible_rows(held, opened)),
        preview([held, held]),
        *(detail(value, key=key) for key, value in held.items()),
    ]

    assert [text for text in told if S in text] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"h": [("Authorization", "a")]}, {"h": [("Authorization", S)]}),
        ({"password": {"v": "a"}}, {"password": {"v": S}}),
        ({"argv": ["--token", "a"]}, {"argv": ["--token", S]}),
        ({"e": {"name": "API_KEY", "value": "a"}}, {"e": {"name": "API_KEY", "value": S}}),
    ],
)
def test_a_difference_shows_no_secret_on_either_side(old: Any, new: Any) -> None:
    assert S not in change_text(compare_lines(old, new))
    assert S not in change_text(compare_lines(new, old))
    assert SECRET_MASK in change_text(compare_lines(old, new))


def test_columns_of_tables_are_masked_by_their_names() -> None:
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    frame = pandas.DataFrame({"user": ["ann"], "password": [S], "note": [f"token={S}"]})

    told = [detail(frame), detail(frame.set_index("user").iloc[0]), detail(frame["password"]), preview(frame)]
    told.append(detail(numpy.array([("a", S)], dtype=[("user", "U20"), ("password", "U20")])))

    assert [text for text in told if S in text] == []
    assert "ann" in told[0]
    assert frame["password"][0] == S, "the user's own data stays"


def test_a_copy_for_a_table_is_masked_and_keeps_numbers() -> None:
    assert veiled({"tokens": 5, "password": {"a": S}, "text": f"password={S}"}) == {
        "tokens": 5,
        "password": SECRET_MASK,
        "text": f"password={SECRET_MASK}",
    }
    assert S not in repr(veiled({"changes": [{"key": "password", "old": S, "new": S}]}))


def test_a_secret_in_pieces_is_masked_where_it_begins() -> None:
    assert redacted_pieces(["pass", "word=", "hun", "ter2", " ok"]) == ["pass", "word=", SECRET_MASK, "", " ok"]
    assert redacted_pieces(["a", "b"]) == ["a", "b"]


def test_users_add_names_and_forms_of_their_own() -> None:
    add_secret_names("badge number")
    add_plain_names("piano_key")
    add_secret_form(r"ACME-\d{6}")

    assert preview(S, key="badgeNumber") == SECRET_MASK
    assert preview("C", key="piano_key") == "'C'"
    assert redacted("it is ACME-123456, badge_number=12345") == f"it is {SECRET_MASK}, badge_number={SECRET_MASK}"


@pytest.mark.parametrize("pattern", ["(", "x*", "(?P<a>b)"])
def test_a_form_that_cannot_be_searched_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|empty text"):
        add_secret_form(pattern)


class Loud:
    def __repr__(self) -> str:
        return "\x1b[2J\x1b]0;t\x07\x9b31m\u202e"


class NamelessType(type):
    @property
    def __name__(cls) -> str:
        raise RuntimeError


class Nameless(metaclass=NamelessType):
    pass


@pytest.mark.parametrize("value", [Loud(), [Loud()], {"a": Loud()}, "\x1b[2J", {"\x1b[2J": 1}, freeze(Loud()), b"\x1b[2J"])
def test_control_characters_are_written_out_in_every_preview(value: Any) -> None:
    told = [preview(value), detail(value), change_text(compare_lines({}, {"a": value}))]
    told += [json_text({"a": value}), repr(child_rows({"a": value}))]

    assert not any(ch in text for text in told for ch in "\x1b\x07\x9b\u202e")


def test_a_class_that_has_no_name_to_tell_is_told() -> None:
    assert type_label(Nameless()) == "Nameless"
    assert isinstance(detail(Nameless()), str)
    assert isinstance(preview(Nameless()), str)
