"""Secrets and personal data are taken out, ordinary text is not; the work is linear; doing it twice changes nothing.

What is found must not depend on the version of Python: hostile texts are compared with a plain reading, character by
character, of where a value ends, and with results that were written down.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops import redact as module
from aiops.redact import redact

# Put together here so that no scanner takes them for real ones.
JWT = ".".join(
    base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"HS256"}', b'{"sub":"1"}', b"s" * 20)
)
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "a1B2" * 10
BLOCK = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpA\nabc\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("mail to ann.b+x@mail.example.com bounced", "mail to <redacted:email> bounced"),
        ("card 4111 1111 1111 1111.", "card <redacted:card>."),
        ("1234 4111-1111-1111-1111 5", "1234 <redacted:card> 5"),
        ("4000 0000 4111 1111 1111 1111", "4000 0000 <redacted:card>"),
        ("amex 378282246310005,", "amex <redacted:card>,"),
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer <redacted:token>"),
        ('"authorization": "Basic YWxhZGRpbjpvcGVu"', '"authorization": "Basic <redacted:token>"'),
        ("sent bearer YWxhZGRpbjpvcGVuc2VzYW1l on", "sent bearer <redacted:token> on"),
        (f"got {JWT} back", "got <redacted:jwt> back"),
        (f"key {AWS} used", "key <redacted:key> used"),
        (f"push with {GITHUB}", "push with <redacted:key>"),
        (f"read {BLOCK} now", "read <redacted:private-key> now"),
        (f"read {BLOCK[:45]}", "read <redacted:private-key>"),  # cut
        ("password=abc, user=ann", "password=<redacted:secret>, user=ann"),
        ("Login(password=abc,token=d)", "Login(password=<redacted:secret>,token=<redacted:secret>)"),
        ("passwd: hunter2", "passwd: <redacted:secret>"),
        ('{"db_password": "a\\"b", "x": 1}', '{"db_password": "<redacted:secret>", "x": 1}'),
        (r"{\"client_secret\":\"ab\\\\c\",\"x\":1}", r"{\"client_secret\":\"<redacted:secret>\",\"x\":1}"),
        ("AWS_SECRET_ACCESS_KEY=abc/def", "AWS_SECRET_ACCESS_KEY=<redacted:secret>"),
        ("x-api-key: 12ab", "x-api-key: <redacted:secret>"),
        ("GET /p?token=abc&x=1", "GET /p?token=<redacted:secret>&x=1"),
        ("token: Bearer abc", "token: <redacted:secret>"),
        ("password=ab,cd, user=ann", "password=<redacted:secret>, user=ann"),
        ("password=ab),user=ann", "password=<redacted:secret>),user=ann"),
        ("to DE89 3704 0044 0532 0130 00 TODAY", "to <redacted:iban> TODAY"),
        ("to BE68 5390 0754 7034 PAYMENT", "to <redacted:iban> PAYMENT"),
        ("to LC55 HEMM 0001 0001 0012 0012 0002 3015 TODAY", "to <redacted:iban> TODAY"),
        ("to GB82WEST12345698765432.", "to <redacted:iban>."),
        ("postgres://ann:p@ss@db:5432/x", "postgres://<redacted:userinfo>@db:5432/x"),
        ("https://ann:pw@host.example.com/", "https://<redacted:userinfo>@host.example.com/"),
    ],
)
def test_secrets_and_personal_data_are_taken_out(text, want):
    assert redact(text) == want


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Failed password for root from 10.0.0.1 port 22",
        "bearer authentication failed",
        "basic information about the node",
        "primary key: id, monkey=3",
        "time 1700000000000000000, id 4111111111111112, ratio 0.4111111111111111",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
        "order 2f7c4111111111111111",
        "added blk_-4568434182693165547 and blk_5142679046010499906",
        "AB12 3456 7890 1234 5678",
        "http://host:8080/path@x and root@localhost",
        "connect to spark://Scheduler@10.10.34.11:48069",
        "token=null password=**** secret: none",
        "password=\x01 token=<*>",
        "unexpected token } in JSON",
        "Authorization: Bearer ",  # the scheme is no value
        "Authorization: Bearer <redacted:token>",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert redact(text) == text


PIECES = [
    *"a1 .,:;=@/\\\"'(){}[]<>|&-_\n\x01é",
    "password", "token", "secret", "api_key", "authorization", "bearer ", "basic ", "://", "@ex.com", "ann", "eyJ", JWT,
    AWS, "AKIA", "4111 1111 1111 1111", "4111", "DE89 3704 0044 0532 0130 00", "DE89", " 0532", BLOCK, BLOCK[:31],
    "<redacted:email>", "<redacted:", "null", '\\"', '": "',
]  # fmt: skip


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_redacting_twice_changes_nothing(text):
    once = redact(text)
    assert redact(once) == once


HOSTILE = [
    "a", "a@", "a.", "@a.", "a@a.a.", "x@a-", "é@", "password=", "password=a ", 'token="', '\\"', 'token=\\"',
    "token=,a", "token=),", "key", "key ", "key: ", "key='\\", "eyJ", "eyJ.", "eyJa", "4111 ", "4111", "AB12 ",
    "AB12 AAAA ", "A", "A1", "://", "://a", "://a:", "bearer ", "bearer a", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ", "-----BEGIN A ", "authorization: ", 'authorization:"', "AKIA", "ghp_", "secret\\", "secret   ",
    "passwordpassword",
]  # fmt: skip


@pytest.mark.timeout(20)  # a quadratic pattern takes minutes
@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_hostile_text_takes_linear_time(piece):
    every_rule = "private key authorization password bearer eyj akia :// @ 4 "
    text = every_rule + piece * (200_000 // len(piece))
    once = redact(text)
    assert redact(once) == once


def value_after_name(text: str) -> tuple[int, int]:
    """Where the value begins and ends in the text after ``name=``, read one character at a time."""
    at = next((at for at in range(3) if text[at : at + 1] not in (" ", "\n")), 3)
    opening = next((n for n in range(4) if text[at + n : at + n + 1] in ("'", '"')), None)
    if opening is None or set(text[at : at + opening]) - {"\\"}:
        return at, at + bare_length(text[at:])
    start = at = at + opening + 1
    while at < len(text):
        escapes = 0  # run of backslashes: quoted, the next character belongs to the value; nested, unless it is a quote
        while text[at + escapes : at + escapes + 1] == "\\":
            escapes += 1
        following = text[at + escapes : at + escapes + 1]
        if opening == 0 and escapes:
            if escapes == 1 and not following:
                break
            at += 2
        elif following in (text[start - 1] if opening == 0 else "'\"") and following:
            break
        else:
            at += max(escapes, 1)
    return start, at


def bare_length(text: str) -> int:
    """Length of a value without quotes, which separators end unless a value goes on behind them."""
    at = 0
    while at < len(text) and text[at] not in " \n\"'&\x01":
        end = at + 1
        if text[at] in "\\,;)]}":
            kind = "\\" if text[at] == "\\" else ",;)]}"
            while end < len(text) and text[end] in kind:
                end += 1
            following = text[end : end + 1]
            if kind == "\\" and following and following in "\"'":
                break
            if kind != "\\":
                name = end
                while name < len(text) and (text[name].isalnum() or text[name] in "_.-"):
                    name += 1
                named = 1 <= name - end <= 40 and text[name : name + 1] in ("=", ":")
                if not following or following in " \n\"'&\x01\\" or named:
                    break
        at = end
    return at


def test_a_value_ends_where_a_plain_reading_of_it_ends():
    rng = random.Random(11)
    pieces = [*"aén1_.-,;)]}=:&\"'\\ \n\x01", "b=", "c:", "x" * 40, ", d", '\\"', "\\\\"]
    for _ in range(20_000):
        after = "".join(rng.choices(rng.sample(pieces, 6), k=rng.randrange(12)))
        start, end = value_after_name(after)
        want = after
        if start < end and "\x01" not in after[start:end]:
            want = f"{after[:start]}<redacted:secret>{after[end:]}"
        assert redact("token=" + after) == "token=" + want


@pytest.mark.parametrize("opening", ["", '"', "'", '\\"'])
def test_a_long_value_is_taken_out_whole(opening):
    rng = random.Random(12)
    for _ in range(200):
        after = opening + "".join(rng.choices(["a", ",a", ")b", "\\\\a", "\\\\a", ",é"], k=rng.randrange(200, 1200)))
        for rest in ("", " b", "\\' c"):
            start, end = value_after_name(after + rest)
            assert end > 200
            assert redact("token=" + after + rest) == f"token={opening}<redacted:secret>{(after + rest)[end:]}"
            assert start == len(opening)


# Written down from Python 3.11.7, by patterns with possessive quantifiers, which it matches rightly.  To be renewed only
# where PIECES, HOSTILE or what is found is changed on purpose.
WRITTEN_DOWN = {1: "7bd59ace8920164f", 2: "ba02a9544f897efd", 3: "0cd9042c76cfbc64", 4: "275ebf9e34cbece3"}


@pytest.mark.parametrize("seed", WRITTEN_DOWN)
def test_every_python_finds_what_was_written_down(seed):
    rng = random.Random(seed)
    found = hashlib.blake2b(digest_size=8)
    for _ in range(2_000):
        text = "".join(rng.choices(rng.choices(PIECES + HOSTILE, k=8), k=rng.randrange(20)))
        found.update(redact(text).encode() + b"\x00")
    assert found.hexdigest() == WRITTEN_DOWN[seed]


def test_no_pattern_has_a_construct_that_some_versions_of_python_get_wrong(capsys):
    patterns = [value for value in vars(module).values() if isinstance(value, re.Pattern)]
    for pattern in patterns:
        re.compile(pattern.pattern, pattern.flags | re.DEBUG)  # prints the parsed pattern
    parsed = capsys.readouterr().out
    assert "MAX_REPEAT" in parsed
    assert "POSSESSIVE" not in parsed
    assert "ATOMIC" not in parsed


@pytest.mark.parametrize("opening", ["", "bearer ", '"', "'", '\\"'])
@pytest.mark.parametrize("piece", [",a", "\\a", ";\\"], ids=ascii)
def test_a_long_value_takes_the_memory_of_some_copies_of_it(opening, piece):
    text = f"token={opening}{piece * 200_000}"
    tracemalloc.start()
    try:
        redact(text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * len(text)
