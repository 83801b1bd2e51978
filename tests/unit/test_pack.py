"""Reading a policy pack: what is joined, what is refused, and in which words."""

from pathlib import Path
from textwrap import dedent

import pytest

from services.kernel.deadlines.rules import DeadlineRule
from services.kernel.pack.model import Deadlines, Pack, PackError, Section, load_pack

HEAD = """\
pack: {council: test, name: Test, version: test-1}
labels:
  levels: {1: One}
  terms: {}
calendar: {}
"""


class Shop(Section):
    """A section of a small pack."""

    name: str
    on: str
    shelves: int


class ShopDeadlines(Deadlines):
    """One kind is required."""

    opening: DeadlineRule


class ShopPack(Pack):
    """A pack with one section of its own."""

    shops: tuple[Shop, ...]


class ShopPackWithDeadlines(Pack):
    """A pack with time limits."""

    deadlines: ShopDeadlines


def write(folder: Path, text: str, name: str = "pack.yaml", *, head: str = HEAD) -> Path:
    """Write a pack and return its path."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(head + dedent(text), encoding="utf-8")
    return path


def problems(path: Path, model: type[Pack] = ShopPack) -> list[str]:
    """Return what is wrong with a pack, the path shortened to the file's name."""
    with pytest.raises(PackError) as caught:
        load_pack(path, model)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_a_pack_is_read_and_other_services_sections_are_ignored(tmp_path: Path) -> None:
    """A section that the model does not name does not disturb it."""
    path = write(tmp_path, "shops: [{name: A, on: Monday, shelves: 3}]\nelsewhere: {any: thing}\n")
    pack = load_pack(path, ShopPack)
    assert pack.shops == (Shop(name="A", on="Monday", shelves=3),)
    assert pack.pack.version == "test-1"


def test_every_problem_names_file_line_and_field(tmp_path: Path) -> None:
    """All problems are told at once, each in one sentence."""
    path = write(
        tmp_path,
        """\
        shops:
          - name: A
            on: Monday
            shelves: [many]
          - name: B
            on: Tuesday
            shelfs: 2
        """,
    )
    assert problems(path) == [
        "pack.yaml, line 9: shops.0.shelves must be a whole number (found ['many']).",
        "pack.yaml, line 10: shops.1.shelves is missing (is 'shelfs' a typing error?).",
        "pack.yaml, line 12: shops.1.shelfs is not a known field; did you mean 'shelves'?",
    ]


def test_a_mistyped_section_is_missed(tmp_path: Path) -> None:
    """Unknown sections are other services', but a missing one points at the likely typing error."""
    path = write(tmp_path, "shop: []\n")
    assert problems(path) == ["pack.yaml, line 1: shops is missing (is 'shop' a typing error?)."]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML would silently take the last one."""
    path = write(tmp_path, "shops:\n  - name: A\n    on: Monday\n    shelves: 3\n    name: B\n")
    assert problems(path) == ["pack.yaml, line 10: shops.0.name is given twice."]


def test_anchors_and_merges_are_read_and_an_own_entry_wins(tmp_path: Path) -> None:
    """`<<` brings in what it names; an entry that stands beside it is not a repetition."""
    path = write(
        tmp_path,
        """\
        shops:
          - &first {name: A, on: Monday, shelves: 3}
          - {<<: *first, name: B}
        """,
    )
    assert [shop.name for shop in load_pack(path, ShopPack).shops] == ["A", "B"]


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "1:30", "010", "2026-1"])
def test_words_stay_words(tmp_path: Path, word: str) -> None:
    """YAML 1.1 would read truth, sixtieths and octal numbers into these."""
    path = write(tmp_path, f"shops: [{{name: A, on: {word}, shelves: 3}}]\n")
    assert load_pack(path, ShopPack).shops[0].on == word


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("shops: [\n", "pack.yaml, line 7: this is not valid YAML: "),
        ("shops: &a [*a]\n", "pack.yaml, line 6: shops.0 contains itself."),
        ("shops: !!python/object:os.system {}\n", "pack.yaml, line 6: this is not valid YAML: "),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    """A syntax error, a list inside itself and a foreign object are refused alike."""
    (problem,) = problems(write(tmp_path, text))
    assert problem.startswith(sentence)


@pytest.mark.parametrize("text", ["", "- a list\n", "a word\n"])
def test_a_file_without_sections_is_refused(tmp_path: Path, text: str) -> None:
    """A pack is a mapping of sections."""
    assert problems(write(tmp_path, text, head="")) == ["pack.yaml, line 1: a pack is a mapping of sections."]


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    """One sentence, no traceback."""
    assert problems(tmp_path / "none.yaml") == [
        "none.yaml: the file cannot be read: No such file or directory."
    ]


def test_an_extended_file_is_joined_and_the_pack_wins(tmp_path: Path) -> None:
    """Mappings are joined entry by entry; a list is replaced whole."""
    write(
        tmp_path,
        "shops: [{name: A, on: Monday, shelves: 3}, {name: B, on: Monday, shelves: 3}]\n",
        "base.yaml",
    )
    path = write(
        tmp_path,
        """\
        extends: base.yaml
        pack: {version: own-2}
        shops: [{name: C, on: Friday, shelves: 1}]
        """,
        head="",
    )
    pack = load_pack(path, ShopPack)
    assert (pack.pack.council, pack.pack.version) == ("test", "own-2")
    assert [shop.name for shop in pack.shops] == ["C"]


def test_a_problem_names_the_file_it_stands_in(tmp_path: Path) -> None:
    """What came from the extended file is told with that file's line."""
    write(tmp_path, "shops: [{name: A, on: Monday}]\n", "base.yaml")
    path = write(tmp_path, "extends: base.yaml\npack:\n  version: a version\n", head="")
    told = problems(path)
    assert told[0].startswith("pack.yaml, line 3: pack.version must be a code without spaces")
    assert told[1:] == ["base.yaml, line 6: shops.0.shelves is missing."]


def test_a_replaced_list_is_told_by_its_own_lines(tmp_path: Path) -> None:
    """Nothing of the list that was replaced is left, not even where it stood."""
    write(tmp_path, "shops: [{name: A, on: Monday, shelves: 3}]\n", "base.yaml")
    path = write(tmp_path, "extends: base.yaml\nshops: [{name: C, on: Friday}]\n", head="")
    assert problems(path) == ["pack.yaml, line 2: shops.0.shelves is missing."]


def test_a_wrong_key_is_told_where_it_stands(tmp_path: Path) -> None:
    """Levels are numbers."""
    write(tmp_path, "shops: []\n", "base.yaml")
    path = write(tmp_path, "extends: base.yaml\nlabels:\n  levels:\n    two: Two\n", head="")
    (problem,) = problems(path)
    assert problem.startswith("pack.yaml, line 4: labels.levels.two must be a whole number")


def test_a_file_that_extends_itself_is_refused(tmp_path: Path) -> None:
    """Also by way of another file."""
    write(tmp_path, "extends: pack.yaml\n", "other.yaml", head="")
    assert problems(write(tmp_path, "extends: other.yaml\n", head="")) == [
        "pack.yaml: the file extends itself."
    ]


def test_deadlines_of_every_kind_are_checked(tmp_path: Path) -> None:
    """A service names the kinds it must have; the others must be rules as well."""
    path = write(
        tmp_path,
        """\
        deadlines:
          opening:
            words: Open
            starts: the morning
            limit: 1
            unit: hours
            count_from: same_day
            due_soon_before: 0
            source: a test
            confidence: L
          closing:
            limits: 2
        """,
    )
    told = problems(path, ShopPackWithDeadlines)
    assert "pack.yaml, line 16: deadlines.closing.words is missing." in told
    assert "pack.yaml, line 17: deadlines.closing.limits is not a known field; did you mean 'limit'?" in told
    assert not [problem for problem in told if "opening" in problem]


def test_a_required_kind_that_is_missing_is_told(tmp_path: Path) -> None:
    """The service could not do its work without it."""
    path = write(tmp_path, "deadlines: {}\n")
    assert problems(path, ShopPackWithDeadlines) == ["pack.yaml, line 6: deadlines.opening is missing."]
