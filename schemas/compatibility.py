"""Whether a changed JSON Schema still keeps the promise that a published version made.

A published version has readers and writers that we can not see, and its events stay in journals for ever.
So a change may break on either side: a *narrowed* rule refuses what was valid, and a *widened* one (a new
code in an enum, a field that may now be absent) hands readers what they were told could not come. The
promise is therefore the simplest one: **a published version only ever gains optional fields**; texts such
as descriptions and examples are free. Anything else is a new version with a class of its own. A field that
may be absent may gain null as well: every published document says that the two mean the same.

What counts as published, and why a commit can not vouch for itself: see `schemas.publish`.
"""

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_TEXTS = frozenset({"$schema", "$id", "$comment", "$defs", "title", "description", "examples", "deprecated"})
"""Keywords that validate nothing."""

_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_TREATED = frozenset(
    {
        "type",
        "enum",
        "const",
        "default",
        "properties",
        "required",
        "additionalProperties",
        "items",
        *_LOWER_BOUNDS,
        *_UPPER_BOUNDS,
    }
)


def breaking_changes(old_schema: Schema, new_schema: Schema) -> list[str]:
    """Return one sentence for each way in which `new_schema` breaks users of `old_schema`.

    Both are self-contained documents whose references point into their own `$defs`. An empty list means
    that the new schema only added optional fields or changed texts. KeyError for a dangling reference.
    """
    return list(_Comparison(old_schema, new_schema).node(old_schema, new_schema, at="$"))


class _Comparison:
    """One walk over two documents; remembers the pairs of references that it is already inside."""

    def __init__(self, old_document: Schema, new_document: Schema) -> None:
        self._old_document = old_document
        self._new_document = new_document
        self._inside: set[tuple[str, str]] = set()

    def node(self, old: Schema, new: Schema, *, at: str, null_is_free: bool = False) -> Iterator[str]:
        """Compare two sub-schemas that describe the same place, where null may or may not be gained."""
        pair = (old.get("$ref", ""), new.get("$ref", ""))
        if pair in self._inside:
            return  # a type that contains itself
        inside = {pair} if all(pair) else set()
        self._inside |= inside
        old, new = _resolved(old, self._old_document), _resolved(new, self._new_document)
        if old.get("default") != new.get("default"):
            yield f"{at}: default went from {old.get('default')!r} to {new.get('default')!r}"
        if "anyOf" in old or "anyOf" in new:
            yield from self._alternatives(old, new, at, null_is_free=null_is_free)
        else:
            yield from self._leaf(old, new, at)
        self._inside -= inside

    def _alternatives(self, old: Schema, new: Schema, at: str, *, null_is_free: bool) -> Iterator[str]:
        """Match the branches of `anyOf` by type; a schema without `anyOf` is its own only branch."""
        old_branches = _by_type(_branches(old, self._old_document), self._old_document)
        new_branches = _by_type(_branches(new, self._new_document), self._new_document)
        for name in sorted(old_branches.keys() - new_branches.keys()):
            yield f"{at}: narrowed, {name} is no longer allowed"
        if null_is_free and "null" not in old_branches:
            new_branches.pop("null", None)
        for name in sorted(new_branches.keys() - old_branches.keys()):
            yield f"{at}: widened, {name} is now allowed"
        for name in sorted(old_branches.keys() & new_branches.keys()):
            yield from self.node(old_branches[name], new_branches[name], at=at)

    def _leaf(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        yield from _types(old, new, at)
        yield from _values(old, new, at)
        yield from _bounds(old, new, at)
        yield from self._fields(old, new, at)
        yield from self._nested("items", old, new, f"{at}[]")
        yield from self._nested("additionalProperties", old, new, f"{at}.*")
        yield from self._other_keywords(old, new, at)

    def _fields(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
        old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
        for name in old_fields:
            if name not in new_fields:
                yield f"{at}.{name}: the field was removed"
                continue
            if name in old_required - new_required:
                yield f"{at}.{name}: widened, the field may now be absent"
            may_be_absent = name not in old_required | new_required
            yield from self.node(
                old_fields[name], new_fields[name], at=f"{at}.{name}", null_is_free=may_be_absent
            )
        for name in sorted(new_required - old_required):
            yield f"{at}.{name}: narrowed, the field is now required"

    def _nested(self, keyword: str, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Compare a keyword whose value is a schema; absent and `true` allow anything, `false` nothing."""
        before, after = old.get(keyword, True), new.get(keyword, True)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self.node(before, after, at=at)
        elif before != after:
            tightened = before is True or after is False
            yield f"{at}: {'narrowed' if tightened else 'widened'}, {keyword} changed"

    def _other_keywords(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        """Refuse any change of a keyword that has no rule of its own: pattern, format, oneOf and the rest."""
        for keyword in sorted((old.keys() | new.keys()) - _TREATED - _TEXTS):
            before = _expanded(old.get(keyword), self._old_document)
            after = _expanded(new.get(keyword), self._new_document)
            if before != after:
                yield f"{at}: {keyword} went from {before!r} to {after!r}"


def _resolved(schema: Schema, document: Schema) -> Schema:
    """Follow `#/$defs/...` references; keywords beside a reference stay."""
    while "$ref" in schema:
        definition = document["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = definition | {name: value for name, value in schema.items() if name != "$ref"}
    return schema


def _expanded(value: Any, document: Schema, inside: tuple[str, ...] = ()) -> Any:
    """Return `value` with references replaced and texts left out, to compare it as a whole."""
    if isinstance(value, list):
        return [_expanded(item, document, inside) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if reference in inside:
        return {"$ref": reference}
    if reference is not None:
        inside = (*inside, reference)
    return {
        name: _expanded(item, document, inside)
        for name, item in _resolved(value, document).items()
        if name not in _TEXTS
    }


def _branches(schema: Schema, document: Schema) -> Iterator[Schema]:
    """Flatten nested `anyOf`. Rules beside an `anyOf` hold for every branch, so each branch gets them."""
    schema_itself = {name: value for name, value in schema.items() if name not in _TEXTS | {"default"}}
    alternatives = schema_itself.pop("anyOf", None)
    if alternatives is None:
        yield schema_itself
        return
    for branch in alternatives:
        body = _resolved(branch, document)
        for alternative in _branches(body, document) if "anyOf" in body else (branch,):
            if schema_itself:
                whole = _resolved(alternative, document)
                yield whole | {"allOf": [*whole.get("allOf", []), schema_itself]}
            else:
                yield alternative


def _by_type(branches: Iterator[Schema], document: Schema) -> dict[str, Schema]:
    """Name each branch by its type, or by its whole text where two share one or a type is missing."""
    listed = [(_resolved(branch, document).get("type"), branch) for branch in branches]
    types = [kind for kind, _ in listed]
    return {
        kind
        if isinstance(kind, str) and types.count(kind) == 1
        else json.dumps(_expanded(branch, document), sort_keys=True): branch
        for kind, branch in listed
    }


def _type_names(schema: Schema) -> set[str]:
    """Return the allowed types; `number` includes `integer`, and no `type` allows all."""
    stated = schema.get("type")
    if stated is None:
        return {"null", "boolean", "object", "array", "number", "integer", "string"}
    names = {stated} if isinstance(stated, str) else set(stated)
    return names | {"integer"} if "number" in names else names


def _types(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = _type_names(old), _type_names(new)
    if gone := sorted(before - after):
        yield f"{at}: narrowed, type {', '.join(gone)} is no longer allowed"
    if come := sorted(after - before):
        yield f"{at}: widened, type {', '.join(come)} is now allowed"


def _allowed_values(schema: Schema) -> dict[str, Any] | None:
    """Return the listed values by their JSON text (`1` and `true` are equal in Python, not here)."""
    if "const" in schema:
        return {json.dumps(schema["const"]): schema["const"]}
    if "enum" in schema:
        return {json.dumps(value): value for value in schema["enum"]}
    return None


def _values(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = _allowed_values(old), _allowed_values(new)
    if before is None and after is None:
        return
    if before is None or after is None:
        yield f"{at}: {'narrowed' if before is None else 'widened'}, the list of values changed"
        return
    for text in sorted(before.keys() - after.keys()):
        yield f"{at}: narrowed, value {text} is no longer allowed"
    for text in sorted(after.keys() - before.keys()):
        yield f"{at}: widened, value {text} is now allowed"


def _bounds(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for keyword in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        before, after = old.get(keyword), new.get(keyword)
        if before == after:
            continue
        if before is None or after is None:
            tightened = before is None
        else:
            tightened = after > before if keyword in _LOWER_BOUNDS else after < before
        yield f"{at}: {'narrowed' if tightened else 'widened'}, {keyword} went from {before} to {after}"
