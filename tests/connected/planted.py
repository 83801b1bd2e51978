"""Marked values as somebody could send them by mistake, and the search for them in whatever comes out."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

NAME = "Zebedee Quillfeather"
ADDRESS = "17 Marmalade Crescent"
POSTCODE = "ZQ99 9QZ"
BORN = "1999-11-13"
BORN_AS_RETURNED = "13/11/1999"
PHONE = "07700 900942"
UPN = "Q999000111222"
FREE_TEXT = "She whispered quixotically that nobody listens.\nCall her on 07700 900942."
BORN_IN_WORDS = f"born {BORN}"
"""A date alone is shaped like a code, and whoever takes codes takes it."""

EXTRA = {
    "child_name": NAME,
    "address": ADDRESS,
    "postcode": POSTCODE,
    "date_of_birth": BORN,
    "phone": PHONE,
    "upn": UPN,
    "notes": FREE_TEXT,
}
"""Fields that nobody has agreed to."""

NEEDLES = (
    "quillfeather",
    "zebedee",
    "marmalade",
    "zq999qz",
    "07700900942",
    "q999000111222",
    "quixotically",
)
"""What each value is recognised by, without spaces and punctuation: no code or id of ours holds any."""

REFERENCE = "REF-Brackenthwaite-7"
"""An agency's own number: a code, allowed on the bus and to its agency, and nowhere else."""

BIRTHDAYS = re.compile(r"(?<!\d)(1999\D?11\D?13|13\D?11\D?1999)(?!\d)")
"""Searched as written: with every separator gone, timestamps side by side would make up any date."""

_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")


@dataclass
class Outputs:
    """Everything that has come out, by where: texts as they were, each with its kind."""

    by_kind: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, *texts: str) -> None:
        """Keep what has come out somewhere."""
        self.by_kind.setdefault(kind, []).extend(texts)

    def found(self, needles: Iterable[str]) -> dict[str, list[str]]:
        """Return the needles, and the birthdays, that are found, by kind of output."""
        wanted = list(needles)
        hits = {kind: sorted(_hits("\n".join(texts), wanted)) for kind, texts in self.by_kind.items()}
        return {kind: needles for kind, needles in hits.items() if needles}


def folded(text: str) -> str:
    """Return a text as it is searched: small letters and digits alone."""
    return _NOT_A_LETTER.sub("", text.lower())


def _hits(text: str, needles: Iterable[str]) -> set[str]:
    """Return which needles a text holds, as it is or behind what JSON, addresses or base64 make of it."""
    hits: set[str] = set()
    for guise in _guises(text):
        plain = folded(guise)
        hits |= {needle for needle in needles if needle in plain}
        hits |= {match[0] for match in BIRTHDAYS.finditer(guise)}
    return hits


def _guises(text: str) -> Iterator[str]:
    yield text
    yield unquote_plus(text)
    yield text.encode().decode("unicode_escape", "replace")
    for word in _BASE64.findall(text):
        for alphabet in (b"+/", b"-_"):
            padded = word + "=" * (-len(word) % 4)
            try:
                yield base64.b64decode(padded, altchars=alphabet, validate=True).decode("utf-8", "replace")
            except ValueError:
                continue


def spoilt_bodies(good: Mapping[str, Any]) -> Iterator[Any]:
    """Yield bodies that put something personal into every field, into new ones, and into a field's name."""
    for name in good:
        for value in (NAME, FREE_TEXT, BORN_IN_WORDS, [ADDRESS], {"text": FREE_TEXT}):
            yield {**good, name: value}
    for name, value in EXTRA.items():
        yield {**good, name: value}
    yield {**good, NAME: ADDRESS}
    yield {**good, "notes": {NAME: [FREE_TEXT, {ADDRESS: BORN}]}}
    yield [NAME, FREE_TEXT]
    yield FREE_TEXT


def spoilt_data(good: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the same as an event's data, and what is no JSON at all."""
    for body in spoilt_bodies(good):
        yield json.dumps(body).encode()
    yield f"{NAME}, {BORN}: {FREE_TEXT}".encode()
    yield json.dumps(good).encode()[:-1] + f', "note": "{NAME}'.encode()
