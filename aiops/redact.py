r"""Text -> the same text without secrets and personal data: each find is replaced by ``<redacted:kind>``.

Guarantees: time is linear in the length of the text, whatever the text, and memory is some copies of it; text in which
nothing is found is returned as it is; redacting twice changes nothing, save where finds touch each other or a secret's
name: a second pass may take more.
What is found is a matter of patterns: a secret that stands in a sentence without a name before it is not seen.

Time is linear because each repetition in a pattern is bounded, or followed by nothing that can fail, or followed by what
cannot begin with a character it repeats: that one is given back in a single pass, in vain, and no other start reads it.
Possessive quantifiers and atomic groups would say this more shortly, but before Python 3.11.5 a possessive group may keep
what its last, failed round has read: it takes too much, or finds nothing.

Bytes 0x01 are variables that a shape has already lost; they are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----|\Z)",  # or the text was cut
    re.DOTALL,
)

# What values are made of, by the quote that opens them.  A backslash goes with the character that it escapes; \" and \'
# end a value of JSON in a JSON string; a separator belongs to a bare value where the value goes on, and not name=.
_PARTS = {
    "double": r"""(?: [^"\\]+ | \\. )""",
    "single": r"""(?: [^'\\]+ | \\. )""",
    "nested": r"""(?: [^"'\\]+ | \\+ (?!["'\\]) )""",
    "bare": r"""(?: [^\s"'&,;)\]}\\\x01]+ | \\+ (?!["'\\])
        | [,;)\]}]+ (?=[^\s"'&,;)\]}\\\x01]) (?![\w.-]{1,40}[=:]) )""",
}
_FLAGS = re.VERBOSE | re.IGNORECASE | re.DOTALL
# The matcher remembers every part, some 700 bytes, until the match ends: a long value is read by many matches.
_MORE = {kind: re.compile(parts + "{1,256}", _FLAGS) for kind, parts in _PARTS.items()}
# name=value, "name": "value", \"name\":\"value\" (JSON in a JSON string), with anything before the name (db_password).
_NAMED = re.compile(
    r"""(?:passw(?:or)?d|passwd|passphrase|pwd|secrets?|tokens?|credentials?|(?:api|access|private|secret|auth|account)[_-]?key)
        (?:[_-]?(?:id|key|value))? \\{0,3}["']? \s{0,3} (?:=>|[:=]) \s{0,3} """
    rf"""(?: " (?P<double> {_PARTS["double"]}{{0,256}} )
      | ' (?P<single> {_PARTS["single"]}{{0,256}} )
      | \\{{1,3}}["'] (?P<nested> {_PARTS["nested"]}{{0,256}} )
      | (?P<bare> (?:(?:bearer|basic|token)[ ]{{1,4}})? {_PARTS["bare"]}{{1,256}} ) )""",
    _FLAGS,
)
_PLAIN_VALUE = re.compile(r"(?:null|none|nil|true|false|undefined|empty|<\*>)\Z|\*+\Z", re.IGNORECASE)

_SCHEMES = "bearer|basic|digest|negotiate|token|apikey|hawk|aws4-hmac-sha256"
_AUTHORIZATION = re.compile(  # a scheme is never the value, even where no value follows it
    r"(?P<name>\b(?:proxy-)?authorization\b\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}(?:\\{0,3}[\"'])?"
    rf"(?:(?:{_SCHEMES})\s{{1,4}}|(?!(?:{_SCHEMES})\s)))(?!<redacted:)(?P<value>[^\s\"'\\\x01]+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"(?P<name>\b(?:bearer|basic)\s{1,4})(?P<value>[\w.~+/=-]{8,})", re.IGNORECASE | re.ASCII)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*){0,3}", re.ASCII)
_VENDOR_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|"
    r"glpat-[\w-]{20,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[\w-]{35}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,})",
    re.ASCII,
)
_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>:\x01]{0,128}:[^\s/?#\"'<>\x01]{0,256}(?=@)")
_EMAIL = re.compile(r"[\w.!#$%&'*+=?^{|}~-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}")

# By issuer: Visa, Mastercard, JCB, Discover; UnionPay; American Express; Diners Club.  Other lengths that some of them
# might use are left out: every tenth number of 17 to 19 digits, which is what ids look like, has a right check digit.
_CARD = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9]\.)(?:"
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|35[0-9]{2}|6011|64[4-9][0-9]|65[0-9]{2})(?:[ -]?[0-9]{4}){3}|"
    r"62[0-9]{2}(?:[ -]?[0-9]{4}){3}(?:[ -]?[0-9]{1,3})?|"
    r"3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}|3[0689][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{4})(?![0-9A-Za-z])"
)
_IBAN = re.compile(
    r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}(?![0-9A-Za-z])|"
    r"(?: [A-Z0-9]{4}(?![0-9A-Za-z])){2,7}(?: [A-Z0-9]{1,3}(?![0-9A-Za-z]))?)"
)


class Rule(NamedTuple):
    """What is sought, the hints of which the lower-case text must hold one, and how the text loses it."""

    hints: tuple[str, ...]
    apply: Callable[[str], str]


def redact(text: str) -> str:
    """The text without e-mail addresses, cards, IBANs, credentials and keys.

    >>> redact("login of ann@example.com failed: password='hunter 2', retry with https://ann:pw@host/x")
    "login of <redacted:email> failed: password='<redacted:secret>', retry with https://<redacted:userinfo>@host/x"
    """
    low = text.lower()
    for rule in RULES:
        if any(hint in low for hint in rule.hints):
            text = rule.apply(text)
    return text


def _replacing(pattern: re.Pattern[str], kind: str) -> Callable[[str], str]:
    return lambda text: pattern.sub(f"<redacted:{kind}>", text)


def _named(text: str) -> str:
    out, done, at = [], 0, 0
    while match := _NAMED.search(text, at):
        kind = str(match.lastgroup)  # each match has one
        start, at = match.span(kind)
        while more := _MORE[kind].match(text, at):
            at = more.end()
        value = text[start:at]
        if value and "\x01" not in value and not _PLAIN_VALUE.match(value):
            out += [text[done:start], "<redacted:secret>"]
            done = at
    return "".join(out) + text[done:] if out else text


def _scheme(match: re.Match[str]) -> str:
    """``Bearer`` and ``Basic`` are English words too: what follows must not be one."""
    value = match["value"]
    if any(map(str.isdigit, value)) or not (value[1:].islower() or value.isupper()):
        return f"{match['name']}<redacted:token>"
    return match[0]


def _checked(pattern: re.Pattern[str], kind: str, accept: Callable[[str], int]) -> Callable[[str], str]:
    """Replace the first ``accept(find)`` characters of each find; one of which none is accepted may hide another."""

    def apply(text: str) -> str:
        out, done, at = [], 0, 0
        while match := pattern.search(text, at):
            n = accept(match[0])
            if n:
                out += [text[done : match.start()], f"<redacted:{kind}>"]
                done = at = match.start() + n
            else:
                at = match.start() + 1
        return "".join(out) + text[done:] if out else text

    return apply


def _card_length(find: str) -> int:
    """Longest beginning, of whole groups, whose check digit is right (Luhn)."""
    while len(digits := [int(digit) for digit in reversed(find) if digit.isdigit()]) > 13:
        doubled = sum(digit * 2 - 9 * (digit > 4) for digit in digits[1::2])
        if (sum(digits[::2]) + doubled) % 10 == 0:
            return len(find)
        find = find[: max(find.rfind(" "), find.rfind("-"), 0)]
    return 0


def _iban_length(find: str) -> int:
    """Longest beginning, of whole groups, whose check digits are right (ISO 7064, mod 97)."""
    while len(find) > 14:
        plain = find.replace(" ", "")
        if len(plain) > 14 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1:
            return len(find)
        find, _, _ = find.rpartition(" ")
    return 0


# In this order: a value named as a secret goes whole before anything is found inside it.
RULES = (
    Rule(("private key",), _replacing(_PRIVATE_KEY, "private-key")),
    Rule(("authorization",), lambda text: _AUTHORIZATION.sub(r"\g<name><redacted:token>", text)),
    Rule(("passw", "passphrase", "pwd", "secret", "token", "credential", "key"), _named),
    Rule(("bearer", "basic"), lambda text: _SCHEME.sub(_scheme, text)),
    Rule(("eyj",), _replacing(_JWT, "jwt")),
    Rule(("akia", "asia", "abia", "acca", "gh", "glpat-", "xox", "aiza", "k_"), _replacing(_VENDOR_KEY, "key")),
    Rule(("://",), _replacing(_USERINFO, "userinfo")),
    Rule(("@",), _replacing(_EMAIL, "email")),
    Rule(tuple("23456"), _checked(_CARD, "card", _card_length)),
    Rule(tuple("0123456789"), _checked(_IBAN, "iban", _iban_length)),
)
