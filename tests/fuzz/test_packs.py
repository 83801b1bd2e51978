"""A policy pack with any mistake is read or refused in sentences that name a place; it never breaks us."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assessment.app import build as build_assessment
from services.kernel.base.settings import Settings
from services.kernel.pack.model import Pack, PackError, Section, load_pack
from services.kernel.processing.service import Service
from services.notify.app import build as build_notify
from services.notify.pack.model import NotifyPack
from services.placement.app import build as build_placement
from services.referral.app import build as build_referral
from tests.fuzz.effort import effort

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
COUNCILS = sorted(path.name for path in POLICIES.glob("*.yaml"))
BASE = "base/england.yaml"

Build = Callable[[Settings], Service[Any]]
BUILDS: tuple[Build, ...] = (build_referral, build_assessment, build_placement, build_notify)

SMALL = """\
pack: {council: test, name: Test, version: test-1}
labels:
  levels: {1: One}
  terms: {}
calendar:
  extra_holidays: [2026-12-24]
shops:
  - {name: Corner, shelves: 3, open: true}
"""

TOKENS = (
    "~",
    "''",
    "[]",
    "{}",
    "[",
    "{",
    "]",
    "'",
    '"',
    "- ",
    ": ",
    "? x",
    "? [a]",
    "&a [*a]",
    "*a",
    "&a x",
    "<<: 5",
    "{<<: [1]}",
    "|",
    ">",
    "%",
    "@x",
    "`x",
    "!x y",
    "\\t",
    "\t",
    "\x07",
    "---",
    "...",
    "#",
    "true",
    "no",
    "1e400",
    ".nan",
    "-.inf",
    "0x1F",
    "-1",
    "9" * 5000,
    "2026-02-30",
    "2026-12-24",
    "9999-12-31",
    "2026-01-01T25:00:00Z",
    "2026-01-01T00:00:00+99:00",
    "!!int abc",
    "!!int " + "0x" + "f" * 5000,
    "!!float abc",
    "!!bool maybe",
    "!!timestamp soon",
    "!!binary x",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!pairs [a: 1]",
    "!!str [a]",
    "!!python/object:os.system x",
    '"\\0"',
    '"\\ud800"',
    '"{deadline!z}"',
    '"{deadline:d}"',
    '"{deadline.__class__}"',
    '"{"',
    "{a: {b: {c: [1, 2, {d: e}]}}}",
    "[" * 3000 + "]" * 3000,
    "x" * 3000,
    "deadline.overdue:*",
    "lead_professional",
    "huntingdon",
)
tokens = st.one_of(st.sampled_from(TOKENS), st.text(max_size=12))


@st.composite
def spoilt(draw: st.DrawFn, text: str) -> str:
    """Return a pack with one to three lines lost, doubled, moved, or with something else as their value."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        line = lines[place]
        match draw(st.sampled_from(["value", "value", "item", "lose", "double", "indent", "type", "add"])):
            case "value":
                lines[place] = f"{line.partition(':')[0]}: {draw(tokens)}"
            case "item" if ", " in line:
                parts = line.split(", ")
                parts[draw(st.integers(0, len(parts) - 1))] = draw(tokens)
                lines[place] = ", ".join(parts)
            case "lose" if len(lines) > 1:
                del lines[place]
            case "double":
                lines.insert(place, line)
            case "indent":
                lines[place] = " " * draw(st.integers(0, 6)) + line.lstrip()
            case "type":
                at = draw(st.integers(0, len(line)))
                lines[place] = line[:at] + draw(tokens) + line[at + draw(st.integers(0, 1)) :]
            case _:
                lines.insert(place, draw(tokens))
    return "\n".join(lines) + "\n"


class Shop(Section):
    """A section of a small pack."""

    name: str
    shelves: int
    open: bool


class ShopPack(Pack):
    """A pack with one section of its own."""

    shops: tuple[Shop, ...]


def problems_of(load: Callable[[], object]) -> tuple[str, ...] | None:
    """What a pack gets wrong; None for one that is taken."""
    try:
        load()
    except PackError as error:
        return error.problems
    return None


def is_taken_or_refused_with_the_place(load: Callable[[], object]) -> None:
    """When a pack is not taken, every sentence begins with a file's path."""
    problems = problems_of(load)
    assert problems is None or problems
    assert all(problem.startswith("/") and ": " in problem for problem in problems or ()), problems


@effort(200)
@given(text=spoilt(SMALL))
def test_a_small_pack_is_read_or_refused_with_the_place(tmp_path: Path, text: str) -> None:
    """Whatever stands in it."""
    path = tmp_path / "pack.yaml"
    path.write_text(text, encoding="utf-8")
    is_taken_or_refused_with_the_place(partial(load_pack, path, ShopPack))


@effort(100)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_a_pack_or_refused_with_the_place(tmp_path: Path, content: bytes) -> None:
    """Also what is no text."""
    path = tmp_path / "pack.yaml"
    path.write_bytes(content)
    is_taken_or_refused_with_the_place(partial(load_pack, path, ShopPack))


@pytest.mark.parametrize("council", COUNCILS)
@effort(4)
@given(data=st.data())
def test_a_council_s_pack_with_mistakes_is_read_or_refused_by_every_service(
    tmp_path: Path, council: str, data: st.DataObject
) -> None:
    """A mistake in the council's own file or in the one that it extends; a pack that is taken can be used."""
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder, dirs_exist_ok=True)
    wrong = folder / data.draw(st.sampled_from([council, council, BASE]))
    wrong.write_text(data.draw(spoilt(wrong.read_text(encoding="utf-8"))), encoding="utf-8")
    settings = Settings(policy=folder / council)
    for build in BUILDS:
        is_taken_or_refused_with_the_place(partial(build, settings))
    with suppress(PackError):
        for rule in load_pack(folder / council, NotifyPack).alerts:
            assert rule.text(deadline="Decide", due_on="3 March 2027")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("2026-12-24", "2026-02-30", 6),
        ("2026-12-24", "!!timestamp soon", 6),
        ("shelves: 3", f"shelves: {'9' * 5000}", 8),
        ("shelves: 3", "shelves: !!int abc", 8),
        ("shelves: 3", f"shelves: !!int 0x{'f' * 5000}", 8),
        ("open: true", "open: !!bool maybe", 8),
        ("terms: {}", f"terms: {'[' * 3000}{']' * 3000}", 4),
    ],
    ids=[
        "no such day",
        "no day",
        "5000 digits",
        "no number",
        "5000 hexadecimal digits",
        "neither true nor false",
        "3000 lists deep",
    ],
)
def test_a_value_that_yaml_cannot_make_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int
) -> None:
    """A thirtieth of February once ended in a traceback instead of a sentence."""
    path = tmp_path / "pack.yaml"
    path.write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_pack(path, ShopPack)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}, line {line}: ")


@pytest.mark.parametrize(
    "text", ["!!set {pack, labels}\n", 'extends: "a\\0b"\n' + SMALL], ids=["a set", "a name with NUL"]
)
def test_what_is_no_mapping_and_what_is_no_file_name_are_told(tmp_path: Path, text: str) -> None:
    """Both are YAML, and neither is a pack."""
    path = tmp_path / "pack.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PackError):
        load_pack(path, ShopPack)


@pytest.mark.parametrize("says", ["{deadline!z} is late", "{deadline:d} is late", "{due_on:>9}"])
def test_an_alert_s_words_take_a_placeholder_and_nothing_more(tmp_path: Path, says: str) -> None:
    """What Python's format language adds would fail when the first alert is written, not when it is read."""
    folder = tmp_path / "policies"
    shutil.copytree(POLICIES, folder)
    path = folder / "devon.yaml"
    base = folder / BASE
    for file in (path, base):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("{deadline}", says.partition(" ")[0]), encoding="utf-8")
    with pytest.raises(PackError, match="placeholder"):
        load_pack(path, NotifyPack)
