"""What must not be shown, and what may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflex_nb.views.text.redaction import SECRET_MASK, is_secret_key, masked, redacted


@pytest.mark.parametrize("key", [
    "api_key", "openai_api_key", "apikey", "X-Api-Key", "token", "access_token", "tokenizer_secret", "client_secret", "password",
    "PASSWORD", "db_passwd", "Authorization", "authorisation", "credentials", "private_key_pem", "pass_keys", "cookie",
])
def test_keys_that_name_secrets_are_known(key: str) -> None:
    assert is_secret_key(key)
    assert masked(key, "'abc'") == SECRET_MASK


@pytest.mark.parametrize("key", ["key", "keys", "monkey", "keyboard", "author", "user", "passage", "pass", "", 3, None, ("a",)])
def test_keys_that_name_no_secret_are_left_alone(key: object) -> None:
    assert not is_secret_key(key)


def test_everything_below_a_secret_key_is_hidden() -> None:
    assert masked(("auth", "client_secret", "parts", 0), "'abc'") == SECRET_MASK
    assert masked(("notes", 0), "'abc'") == "'abc'"


@pytest.mark.parametrize("count", ["8100", "8_100", "12.5", "None", "True"])
def test_a_count_of_tokens_is_no_secret(count: str) -> None:
    assert masked("max_tokens", count) == count
    assert masked("api_key", count) == SECRET_MASK


@pytest.mark.parametrize("secret", [
    "sk-abcdefghijklmnop1234", "sk-ant-api03-abcdefghijkl", "sk-proj-abcdefgh1234", "ghp_abcdefghijklmnop",
    "github_pat_abcdefgh1234",
    "AKIAIOSFODNN7EXAMPLE", "AIzaSyA1234567890abcdefghij", "xoxb-123456789012-abcdef", "hf_abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk", "gsk_abcdefghijkl", "SG.abcdefghij.abcdefghij", "Bearer abcdefghijklmnop",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
])
def test_texts_that_look_like_a_provider_s_key_are_masked_wherever_they_stand(secret: str) -> None:
    assert redacted(f"before {secret} after") == f"before {SECRET_MASK} after"
    assert secret not in masked("note", repr({"x": [secret]}))


def test_a_password_in_an_address_is_masked() -> None:
    assert redacted("redis://user:hunter2@localhost:6379/0") == f"redis://{SECRET_MASK}@localhost:6379/0"


@pytest.mark.parametrize(("text", "told"), [
    ("{'api_key': 'abc', 'n': 3}", f"{{'api_key': {SECRET_MASK}, 'n': 3}}"),
    ('{"password": "a\'b\\"c"}', f'{{"password": {SECRET_MASK}}}'),
    ("Client(token='abc', url='x')", f"Client(token={SECRET_MASK}, url='x')"),
    ("password=hunter2; user=me", f"password={SECRET_MASK}; user=me"),
    ("{'api_key': 'cut off he…", f"{{'api_key': {SECRET_MASK}"), ("{'tokens': 12}", "{'tokens': 12}"), ("key=value", "key=value"),
])
def test_values_of_secret_keys_are_masked_inside_a_text(text: str, told: str) -> None:
    assert redacted(text) == told


@given(st.text(max_size=200))
def test_masking_never_raises_and_is_stable(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("text", ["tokenize: splits a source into tokens", "tokenizer = 'bpe'", "tokenisation: done"])
def test_what_splits_text_is_no_secret(text: str) -> None:
    assert redacted(text) == text


def test_the_token_of_a_tokenizer_service_is_a_secret() -> None:
    assert "hunter2" not in redacted("tokenizer_token: hunter2")
