"""README, guides and decision records say what is: paths, verbs, commands and settings exist as written."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from schemas.events.codes import AgencyKind, Concern
from schemas.topics import TOPICS
from services.cli.main import app
from services.kernel.base.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
INDEX = DOCS / "decisions" / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")), INDEX, *RECORDS]

NOT_OURS = ("var", "build", "node_modules")
"""Directories that appear when something runs; hidden ones are passed over as well."""

CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
IN_BACKTICKS = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?")
FILE_NAME = re.compile(r"[\w-]+\.(py|md|ya?ml|toml|sql|json|mjs|html|css|lock)|Makefile|Dockerfile")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@cache
def _files() -> frozenset[str]:
    """Return every file and directory of the repository, relative to its root."""

    def walk(directory: Path) -> Iterator[str]:
        for path in directory.iterdir():
            hidden = path.name.startswith(".") and path.name != ".ci"
            if hidden or path.name in NOT_OURS or path.name.endswith(("__pycache__", ".egg-info")):
                continue
            yield path.relative_to(ROOT).as_posix()
            if path.is_dir():
                yield from walk(path)

    return frozenset(walk(ROOT))


def paths_in(text: str) -> list[str]:
    """Return what stands in backticks outside code blocks and looks like a path of this repository."""
    top = {name for name in _files() if "/" not in name}
    found = []
    for word in IN_BACKTICKS.findall(CODE_BLOCK.sub("", text)):
        if PATH.fullmatch(word) is None:
            continue
        parts = word.rstrip("/").split("/")
        from_the_root = parts[0] in top and ("/" in word or "." in word)
        if from_the_root or FILE_NAME.fullmatch(parts[-1]):
            found.append(word)
    return found


def exists(path: str) -> bool:
    """Return whether a path is in the repository, from its root or as the end of a longer one.

    What lies under `var/` comes and goes with the runs that write it.
    """
    wanted = path.rstrip("/")
    if wanted.startswith("var/"):
        return True
    return wanted in _files() or any(name.endswith(f"/{wanted}") for name in _files())


def anchors_of(page: Path) -> set[str]:
    """Return the addresses of a page's headings as Git hosts make them."""
    headings = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(name: str, page: str) -> list[list[str]]:
    """Return the rows of a page's table between `<!-- name: ... -->` and `<!-- end of name -->`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    match = re.search(rf"<!-- {name}:.*?-->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
    assert match is not None, f"{page} has no table of {name}"
    rows = [line.strip("|").split("|") for line in match.group(1).strip().splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file beside the page, and an anchor one of its headings."""
    for target in LINK.findall(CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(linked), f"{page.name} links to {target}"


@pages
def test_every_path_in_backticks_exists(page: Path) -> None:
    """Whoever moves a file corrects what is written about it."""
    missing = [path for path in paths_in(page.read_text(encoding="utf-8")) if not exists(path)]
    assert missing == []


def test_a_path_that_does_not_exist_is_noticed() -> None:
    """The rule above sees files, directories and bare names, and leaves addresses and names alone."""
    text = "`services/kernel/gone.py` `services/gone/` `gone.py` `/inbox` `referral-events` `uuid5(a, b)`"
    assert paths_in(text) == ["services/kernel/gone.py", "services/gone/", "gone.py"]
    assert not any(map(exists, paths_in(text)))


def test_the_readme_speaks_of_the_code() -> None:
    """The walk through the code names its files; an empty list would make the rule above worthless."""
    named = set(paths_in(README.read_text(encoding="utf-8")))
    assert {
        "services/kernel/processing/batches.py",
        "services/kernel/processing/relay.py",
    } <= named


@pages
def test_every_make_verb_that_is_named_exists(page: Path) -> None:
    """`make demo` and the others are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(
        re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    )
    assert named <= verbs
    assert page != README or {"demo", "test"} <= named


def test_the_topics_are_the_ones_that_there_are() -> None:
    """Name, writer and readers of every topic; partners have the importer beside them."""
    owners = {"partners": "partner agencies, the importer"}
    expected = [
        [f"`{topic.name}`", owners.get(topic.owner, topic.owner), ", ".join(topic.readers)]
        for topic in TOPICS
    ]
    assert table("topics", "architecture.md") == expected


def test_the_commands_are_the_ones_that_there_are() -> None:
    """Name and first paragraph of every command, in the order of `leadline --help`."""

    def walk(command: object, path: tuple[str, ...]) -> Iterator[list[str]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            words = " ".join(str(getattr(command, "help", "")).split("\n\n")[0].split())
            yield [f"`{' '.join(path)}`", words]
            return
        for name, child in inner.items():
            yield from walk(child, (*path, name))

    assert table("commands", "commands.md") == list(walk(get_command(app), ("leadline",)))


def test_the_settings_are_the_ones_that_there_are() -> None:
    """Variable, default and description of every setting; where the code has no words, the page does."""
    rows = {name: (default, words) for name, default, words in table("settings", "settings.md")}
    assert list(rows) == [f"`LEADLINE_{name.upper()}`" for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        default, words = rows[f"`LEADLINE_{name.upper()}`"]
        assert default == _shown(field.default), name
        assert words, name
        assert field.description in (None, words), name


def _shown(default: object) -> str:
    """Return a default as it is written in the environment."""
    if default is None:
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


@pytest.mark.parametrize(("name", "package"), [("kernel", "services/kernel"), ("notify", "services/notify")])
def test_the_map_shows_every_room(name: str, package: str) -> None:
    """With the sentence by which the room introduces itself."""
    rooms = {
        f"`{package}/{init.parent.name}/`": ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
        for init in sorted((ROOT / package).glob("*/__init__.py"))
        if init.parent.name != "migrations"
    }
    expected = [[path, (said or "").splitlines()[0]] for path, said in rooms.items()]
    assert table(name, "architecture.md") == expected


def test_the_deadlines_are_the_ones_of_the_base_pack() -> None:
    """Words, limit, source and confidence of each."""
    pack = yaml.safe_load((ROOT / "deploy" / "policies" / "base" / "england.yaml").read_text("utf-8"))
    expected = [
        [
            f"`{name}`",
            each["words"],
            f"{each['limit']} {each['unit'].replace('_', ' ')}".removesuffix("s" * (each["limit"] == 1)),
            each["source"],
            each["confidence"],
        ]
        for name, each in pack["deadlines"].items()
    ]
    assert table("deadlines", "domain.md") == expected


def test_the_codes_that_partners_read_are_the_ones_that_there_are() -> None:
    """Kinds of agencies, and reasons to refer a child."""
    assert table("agencies", "partners.md") == [[f"`{kind}`"] for kind in AgencyKind]
    expected = [[f"`{concern}`", concern.name.lower().replace("_", " ")] for concern in Concern]
    assert table("concerns", "partners.md") == expected


def test_ids_of_the_field_that_the_code_cites_are_explained() -> None:
    """A schema that is published, or a rule, names no row that a reader cannot look up."""
    explained = set(re.findall(r"^\| ([A-Z]\d+) \|", (DOCS / "domain.md").read_text("utf-8"), re.MULTILINE))
    cited = {
        row
        for directory in ("services", "schemas")
        for path in (ROOT / directory).rglob("*.[pjy][ysa]*")
        if path.is_file() and "node_modules" not in path.parts and path.suffix in {".py", ".json", ".yaml"}
        for row in re.findall(r"docs/domain\.md,? ([A-Z]\d+)", path.read_text(encoding="utf-8"))
    }
    assert cited
    assert cited <= explained


def test_the_readme_is_read_in_a_few_minutes() -> None:
    """What a newcomer needs and no more; the rest is where it leads to."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    led_to = {(README.parent / target).resolve() for target in LINK.findall(text) if "://" not in target}
    assert set(DOCS.glob("*.md")) <= led_to, "a page that the README does not lead to"


def test_every_decision_record_is_in_the_index() -> None:
    """Numbered without gaps, titled as in the index, and each with one bold sentence that decides."""
    listed = INDEX.read_text(encoding="utf-8")
    index = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", listed, re.MULTILINE)
    assert [name for _, name, _ in index] == [record.name for record in RECORDS]
    assert [int(number) for number, _, _ in index] == list(range(1, len(RECORDS) + 1))
    for record, (number, _, title) in zip(RECORDS, index, strict=True):
        lines = record.read_text(encoding="utf-8").splitlines()
        assert lines[0] == f"# {number}: {title}"
        assert re.fullmatch(r"\*\*.+\*\*", lines[2]), record.name
