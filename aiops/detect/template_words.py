"""Shape -> words as the template miner compares them; template -> identity, display, parameters.  Pure functions.

A template is a tuple of words in which ``ANY`` stands for data.  Words are normalised so that what varies in number
only (a printed list, a unit, a bracket that holds a number) does not make another template.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from aiops.ingest.shapes import LONGEST as LONGEST_LINE
from aiops.ingest.shapes import variables

ANY = "\x01"
LONGEST = 100  # words of a template; the rest is one variable
LONGEST_PERIOD = 8  # words of a group that may repeat
EVENT_QUARTERS, QUARTERS = 1, 4  # weights in quarters: integers add up the same in every order

Template = tuple[str, ...]

_M64 = (1 << 64) - 1

_WORDS = re.compile(r"\x01|[^\s\x01=:,;()\[\]{}\"'<>|\u3000-\U0010ffff]+|[\u3000-\U0010ffff]+|[()]")
_UNITS = frozenset("B kB KB MB GB TB KiB MiB GiB ns us ms s sec secs seconds".split())
_EVENT = re.compile(r"[A-Z][A-Z_]+|[A-Za-z]+(?:ed|ing)")
_FUNCTION = frozenset(
    "a an and are as at be by can cannot could did do does for from had has have if in into is it no none not of off "
    "on or out over so than that the then this to too up was were will with without".split()
)


class Word(NamedTuple):
    """One word of a shape."""

    text: str
    span: tuple[int, int]  # in the shape
    values: tuple[int, ...]  # which of the shape's 0x01 it stands for


def words(shape: str) -> list[Word]:
    r"""Words of a shape, at least one.

    Neighbouring variables are one; a unit after a variable goes; round brackets that hold only variables go; a group of
    up to ``LONGEST_PERIOD`` words with a variable that repeats is one, so that a printed list of any length is.

    >>> [word.text for word in words("took \x01 ms (\x01, \x01) for shard \x01")]
    ['took', '\x01', 'for', 'shard', '\x01']
    """
    out, n_values = _split(shape)
    _fold_repeats(out)
    if len(out) > LONGEST:
        tail = out[LONGEST - 1 :]
        values = tuple(value for word in tail for value in word.values)
        out[LONGEST - 1 :] = [Word(ANY, (tail[0].span[0], tail[-1].span[1]), values)]
    return out or [Word(ANY, (0, len(shape)), tuple(range(n_values)))]


def _split(shape: str) -> tuple[list[Word], int]:
    out: list[Word] = []
    n_values = 0
    for match in _WORDS.finditer(shape):
        text = match[0]
        if text == ANY:
            if out and out[-1].text == ANY:
                out[-1] = Word(ANY, (out[-1].span[0], match.end()), (*out[-1].values, n_values))
            else:
                out.append(Word(ANY, match.span(), (n_values,)))
            n_values += 1
        elif text == ")":
            _close_bracket(out)
        elif text == "(":
            out.append(Word(text, match.span(), ()))
        else:
            text = text.rstrip(".!?")
            if any(map(str.isalnum, text)) and not (text in _UNITS and out and out[-1].text == ANY):
                out.append(Word(text, (match.start(), match.start() + len(text)), ()))
    return [word for word in out if word.text != "("], n_values


def _close_bracket(out: list[Word]) -> None:
    """Drop the open bracket that this one closes, with its content if that is variables alone."""
    k = len(out) - 1
    while k >= 0 and out[k].text == ANY:
        k -= 1
    if k >= 0 and out[k].text == "(":
        del out[k:]
        return
    while k >= 0 and out[k].text != "(":
        k -= 1
    if k >= 0:
        del out[k]


def _fold_repeats(out: list[Word]) -> None:
    for period in range(2, LONGEST_PERIOD + 1):
        i = 0
        while i + 2 * period <= len(out):
            here = [word.text for word in out[i : i + period]]
            if ANY in here and here == [word.text for word in out[i + period : i + 2 * period]]:
                for k in range(i, i + period):
                    out[k] = out[k]._replace(values=out[k].values + out[k + period].values)
                del out[i + period : i + 2 * period]
            else:
                i += 1


@lru_cache(1 << 16)
def weight(word: str) -> int:
    """How much a word speaks for its place being data, in quarters.

    States (``RUNNING``), verb forms (``started``, ``stopping``) and function words (``not``, ``from``) say what
    happened: lines that differ in them stay apart for longer.
    """
    return EVENT_QUARTERS if word in _FUNCTION or _EVENT.fullmatch(word) else QUARTERS


@lru_cache(1 << 17)
def term(place: int, word: str) -> int:
    """What a word at a place adds to the 64-bit identity of a tuple."""
    raw = b"%d " % place + word.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little")


def identity(service: str, template: Template) -> int:
    """64-bit identity of a service's tuple: a sum, so that opening a place (``opening``) costs one addition."""
    terms = sum(term(place, word) for place, word in enumerate(template))
    return (term(-1, service) + term(-2, str(len(template))) + terms) & _M64


def opening(template: Template) -> list[int]:
    """What making each place data adds to the identity, before it is cut to 64 bits."""
    return [term(place, ANY) - term(place, word) for place, word in enumerate(template)]


def template_text(template: Template) -> str:
    """Template in words, ``<*>`` for data: what its id is made of."""
    return " ".join(template).replace(ANY, "<*>")


def template_id(service: str, template: Template) -> str:
    """Identity of a service's template: 32 hex digits made of its content, the same on every worker for ever."""
    state = blake2b(digest_size=16, person=b"aiops.template")
    for part in (service, template_text(template)):
        raw = part.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(8, "little"))  # keeps ("a", "bc") and ("ab", "c") apart
        state.update(raw)
    return state.hexdigest()


def display(template: Template, shape: str) -> str:
    """Template with the punctuation of one of its shapes."""
    out, at = [], 0
    for word, part in zip(words(shape), template, strict=False):
        if part == ANY and word.text != ANY:
            out += [shape[at : word.span[0]], ANY]
            at = word.span[1]
    return ("".join(out) + shape[at:]).replace(ANY, "<*>")


def parameters(template: Template, line: bytes, longest: int = LONGEST_LINE) -> list[str]:
    """What stands in a line of the template at each ``<*>`` of its text."""
    shape, raw = variables(line, longest)
    values = [value.decode("utf-8", "replace") for value in raw]
    return [
        " ".join(values[i] for i in word.values) if word.text == ANY else word.text
        for word, part in zip(words(shape.decode("utf-8", "replace")), template, strict=False)
        if part == ANY
    ]
