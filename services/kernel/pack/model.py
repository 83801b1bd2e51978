"""Policy packs: the settings that differ between councils, as YAML that is checked when read.

A pack may extend another file (`extends: base/england.yaml`, relative to itself): mappings are merged, the
pack's own entries win, lists are replaced whole. Every service reads the sections it needs and ignores the
others; inside a section an unknown field is an error.
"""

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.events.base import Code
from services.kernel.base.complaints import complaint
from services.kernel.deadlines.calendar import WorkingCalendar
from services.kernel.deadlines.rules import DeadlineRule

M = TypeVar("M", bound=BaseModel)
Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""A pack's own wording: the same for every child, never a note about one of them."""
Place = tuple[str, ...]
Contradiction = tuple[tuple[str | int, ...], str]
"""A place in the pack, and what is wrong there."""
DEEPEST = 50
"""The greatest depth of nested lists and mappings in a pack; a council's has six levels."""


class PackError(ValueError):
    """A pack that cannot be used. `problems` has one sentence each: file, line, field, what is wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep the sentences; the error's text is all of them, one per line."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Section(BaseModel):
    """A part of a pack: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PackHeader(Section):
    """Whose pack this is, and the version under which decisions are taken."""

    council: Code
    name: Words
    version: Code


class Labels(Section):
    """The council's own words for the product's terms and levels."""

    levels: dict[int, Words]
    terms: dict[Code, Words]


class CalendarSection(Section):
    """Days off that are missing from the maintained list of bank holidays."""

    extra_holidays: tuple[date, ...] = ()


class Deadlines(BaseModel):
    """Time limits by kind. A subclass names the kinds that its service requires; all are checked."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, DeadlineRule]

    def __getitem__(self, kind: str) -> DeadlineRule:
        """Return the rule of a kind. Raises KeyError when the pack has none."""
        return self.by_kind[kind]

    @cached_property
    def by_kind(self) -> Mapping[str, DeadlineRule]:
        """Every rule of the pack by its kind."""
        return types.MappingProxyType(
            {**{name: getattr(self, name) for name in type(self).model_fields}, **self.__pydantic_extra__}
        )


class Pack(BaseModel):
    """The sections that every service reads. Other sections belong to other services and are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pack: PackHeader
    labels: Labels
    calendar: CalendarSection

    @cached_property
    def working_calendar(self) -> WorkingCalendar:
        """The calendar for this council's deadlines."""
        return WorkingCalendar(frozenset(self.calendar.extra_holidays))

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield the contradictions between fields that are each valid alone. Subclasses add theirs."""
        yield from ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        found = tuple(self.contradictions())
        if found:
            words = "; ".join(f"{'.'.join(map(str, place))}: {what}" for place, what in found)
            raise PydanticCustomError("contradictions", "{words}", {"words": words, "found": found})
        return self


def repeated(section: str, name: str, values: Iterator[str]) -> Iterator[Contradiction]:
    """Yield each entry of a list section whose `name` an earlier entry already has."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield (section, index, name), f"{value} is already taken by an earlier entry"
        seen.add(value)


def load_pack(path: Path, model: type[M]) -> M:
    """Return the pack in `path` as `model` reads it. Raises PackError with every problem found."""
    document = _read(path, ())
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise PackError(tuple(_sentences(error, document, model))) from None


@dataclass
class _Document:
    """A file's content and the place of each of its fields, as (file, line)."""

    data: dict[Any, Any]
    lines: dict[Place, tuple[Path, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def where(self, place: Place) -> str:
        """Return the file and line of a field, or of the nearest enclosing one."""
        while place not in self.lines:
            place = place[:-1]
        file, line = self.lines[place]
        return f"{file}, line {line}"


class _Loader(yaml.CSafeLoader):
    """YAML without the surprises of version 1.1: `on` and `no` are words, `1:30` and `010` are text.

    Uses the C parser of PyYAML's wheels: it reads a council's pack in 20 ms, the Python parser in 240 ms.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return a node's value. Values that Python rejects are reported by line, like other mistakes."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):
            # A 30 February, a number of 5,000 digits, a word after !!bool: PyYAML lets Python's errors
            # through.
            problem = f"{node.tag.rpartition(':')[2]} cannot be made from this value"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


def _decimal(loader: _Loader, node: Any) -> int:
    return int(loader.construct_scalar(node))


_PLAIN = {
    "tag:yaml.org,2002:bool": (r"^(?:true|false)$", "tf"),
    "tag:yaml.org,2002:int": (r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    "tag:yaml.org,2002:float": (r"^[-+]?[0-9]+\.[0-9]+$", "-+0123456789"),
}
_MERGE = "tag:yaml.org,2002:merge"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _PLAIN]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))
# Decimal also after an explicit !!int: hexadecimal ones may be longer than Python can print.
_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def _read(path: Path, extended_by: tuple[Path, ...]) -> _Document:
    if path.resolve() in extended_by:
        raise PackError((f"{path}: the file extends itself.",))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PackError((f"{path}: the file cannot be read: {reason}.",)) from None
    document = _parse(path, text)
    base = document.data.pop("extends", None)
    if base is None:
        return document
    if not isinstance(base, str) or "\x00" in base:
        raise PackError((f"{document.where(('extends',))}: extends is not a file name.",))
    return _joined(_read(path.parent / base, (*extended_by, path.resolve())), document)


def _parse(path: Path, text: str) -> _Document:
    document = _Document({}, {(): (path, 1)})
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise PackError((f"{path}, line 1: a pack is a mapping of sections.",))
        _survey(node, (), document, path, ())
        if document.problems:
            raise PackError(tuple(document.problems))
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise PackError((f"{path}, line {line}: this is not valid YAML: {error.problem}.",)) from None
    except yaml.YAMLError as error:
        raise PackError((f"{path}: this is not valid YAML: {error}.",)) from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):  # YAML's sets are written like mappings
        raise PackError((f"{path}, line 1: a pack is a mapping of sections.",))
    document.data = data
    return document


def _survey(node: yaml.Node, place: Place, document: _Document, path: Path, inside: tuple[int, ...]) -> None:
    """Record the line of every field below `node`, and every duplicate key."""
    line = node.start_mark.line + 1
    if len(inside) >= DEEPEST:
        document.problems.append(f"{path}, line {line}: {'.'.join(place[:3])} is nested too deeply.")
        return
    if id(node) in inside:
        document.problems.append(f"{path}, line {line}: {'.'.join(place)} contains itself.")
        return
    inside = (*inside, id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            document.lines.setdefault((*place, str(index)), (path, item.start_mark.line + 1))
            _survey(item, (*place, str(index)), document, path, inside)
    elif isinstance(node, yaml.MappingNode):
        own: set[str] = set()
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            inner = (*place, str(key.value))
            line = key.start_mark.line + 1
            if inner[-1] in own:
                document.problems.append(f"{path}, line {line}: {'.'.join(inner)} is given twice.")
            own.add(inner[-1])
            document.lines.setdefault(inner, (path, line))
            _survey(value, inner, document, path, inside)
        for base in merged:
            _survey(base, place, document, path, inside)


def _joined(base: _Document, own: _Document) -> _Document:
    lines = dict(base.lines)

    def join(below: dict[Any, Any], above: dict[Any, Any], place: Place) -> dict[Any, Any]:
        result = dict(below)
        for key, value in above.items():
            inner = (*place, str(key))
            before = below.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                result[key] = join(before, value, inner)
                continue
            for replaced in [known for known in lines if known[: len(inner)] == inner]:
                del lines[replaced]
            result[key] = value
        return result

    data = join(base.data, own.data, ())
    return _Document(data, lines | own.lines)


def _sentences(error: ValidationError, document: _Document, model: type[BaseModel]) -> Iterator[str]:
    for details in error.errors(include_url=False):
        if details["type"] == "contradictions":
            for place, what in details["ctx"]["found"]:
                dotted = tuple(map(str, place))
                yield f"{document.where(dotted)}: {'.'.join(dotted)}: {what}."
            continue
        place = tuple(str(step) for step in details["loc"] if step != "[key]")
        sentence = f"{document.where(place)}: {'.'.join(place)} {_complaint(details, model)}"
        yield sentence if sentence.endswith("?") else f"{sentence}."


def _complaint(details: ErrorDetails, model: type[BaseModel]) -> str:
    steps = details["loc"]
    name = str(steps[-1]) if steps else ""
    if details["type"] == "missing":
        given = details["input"] if isinstance(details["input"], dict) else {}
        fields = _fields(model, steps[:-1])
        stray = get_close_matches(name, [str(key) for key in given if str(key) not in fields], n=1)
        return "is missing" + (f" (is {stray[0]!r} a typing error?)" if stray else "")
    if details["type"] == "extra_forbidden":
        close = get_close_matches(name, sorted(_fields(model, steps[:-1])), n=1)
        return "is not a known field" + (f"; did you mean {close[0]!r}?" if close else "")
    found = repr(details["input"])
    shown = "" if isinstance(details["input"], dict | BaseModel) else f" (found {found[:60]})"
    return f"{complaint(details)}{shown}"


def _fields(annotation: Any, steps: tuple[int | str, ...]) -> set[str]:
    """Return the field names allowed at the place that `steps` lead to inside a type."""
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return set().union(*(_fields(option, steps) for option in get_args(annotation)))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not steps:
            return {info.alias or name for name, info in annotation.model_fields.items()}
        for name, info in annotation.model_fields.items():
            if steps[0] in (name, info.alias):
                return _fields(info.annotation, steps[1:])
        if issubclass(annotation, Deadlines):
            return _fields(DeadlineRule, steps[1:])
        return set()
    if steps and get_args(annotation):
        return set().union(*(_fields(option, steps[1:]) for option in get_args(annotation)))
    return set()
