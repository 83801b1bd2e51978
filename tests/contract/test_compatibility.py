"""`breaking_changes` sees every way in which a schema can break its users."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.compatibility import breaking_changes
from schemas.events.base import REGISTRY
from schemas.json_schema import schema_file

Schema = dict[str, Any]


def schema(**fields: Schema) -> Schema:
    """An object whose only required field is `child_id`."""
    return {
        "type": "object",
        "properties": {"child_id": {"type": "string", "format": "uuid"}} | fields,
        "required": ["child_id"],
    }


def one_field(before: Schema, after: Schema) -> list[str]:
    """What breaks when the field `level` changes from one schema to another."""
    return breaking_changes(schema(level=before), schema(level=after))


def optional(*branches: Schema) -> Schema:
    """A field that may be null, the way pydantic writes it."""
    return {"anyOf": [*branches, {"type": "null"}], "default": None}


def test_optional_field_that_may_now_be_null_breaks_nothing() -> None:
    """Its readers were told that absent and null mean the same."""
    assert one_field({"type": "integer"}, optional({"type": "integer"})) == []
    named = {"$ref": "#/$defs/Level", "default": 1}
    levels = {"$defs": {"Level": {"type": "integer", "maximum": 4}}}
    nullable = {"anyOf": [{"$ref": "#/$defs/Level"}, {"type": "null"}], "default": 1}
    assert breaking_changes(schema(level=named) | levels, schema(level=nullable) | levels) == []


def test_optional_field_that_gains_null_may_gain_nothing_else() -> None:
    """Its other rules, its default among them, stay what they were."""
    assert one_field({"type": "boolean", "default": False}, optional({"type": "boolean"})) == [
        "$.level: default went from False to None"
    ]
    assert one_field({"type": "integer", "maximum": 4}, optional({"type": "integer"})) == [
        "$.level: widened, maximum went from 4 to None"
    ]


def test_required_field_that_may_now_be_null_is_breaking() -> None:
    """Also where it stands in a list, which has no fields to be absent."""
    required = {"required": ["child_id", "level"]}
    assert breaking_changes(
        schema(level={"type": "integer"}) | required, schema(level=optional({"type": "integer"})) | required
    ) == ["$.level: widened, null is now allowed"]
    nullable = {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert one_field(
        {"type": "array", "items": {"type": "integer"}}, {"type": "array", "items": nullable}
    ) == ["$.level[]: widened, null is now allowed"]


def test_same_schema_breaks_nothing() -> None:
    """No change, no sentence."""
    old = schema(level={"type": "integer"})
    assert breaking_changes(old, deepcopy(old)) == []


def test_new_optional_field_breaks_nothing() -> None:
    """The one growth that a published version may have."""
    assert breaking_changes(schema(), schema(level=optional({"type": "integer"}))) == []


def test_new_optional_field_breaks_nothing_where_unknown_fields_are_refused() -> None:
    """Partner events refuse unknown fields and may grow all the same: readers are deployed first."""
    closed = {"additionalProperties": False}
    assert breaking_changes(schema() | closed, schema(level={"type": "integer"}) | closed) == []


def test_texts_may_change_freely() -> None:
    """Titles, descriptions, examples and identifiers validate nothing."""
    new = schema(level={"type": "integer", "description": "1 to 4", "examples": [2]})
    assert breaking_changes(schema(level={"type": "integer"}), new | {"title": "T", "$id": "x"}) == []


def test_field_called_like_a_text_keyword_is_still_a_field() -> None:
    """A field may be called `title`; removing it breaks readers."""
    assert breaking_changes(schema(title={"type": "string"}), schema()) == ["$.title: the field was removed"]


def test_removed_field_is_breaking() -> None:
    """A reader may rely on any field, also an optional one."""
    assert breaking_changes(schema(level={}), schema()) == ["$.level: the field was removed"]


def test_newly_required_field_is_breaking() -> None:
    """Events in the journal do not have it."""
    new = schema(level={"type": "integer"}) | {"required": ["child_id", "level"]}
    expected = ["$.level: narrowed, the field is now required"]
    assert breaking_changes(schema(level={"type": "integer"}), new) == expected
    assert breaking_changes(schema(), new) == expected


def test_field_that_may_now_be_absent_is_breaking() -> None:
    """A reader was told that it is always there."""
    assert breaking_changes(schema(), schema() | {"required": []}) == [
        "$.child_id: widened, the field may now be absent"
    ]


def test_refusing_unknown_fields_is_breaking() -> None:
    """A writer may already send some."""
    assert breaking_changes(schema(), schema() | {"additionalProperties": False}) == [
        "$.*: narrowed, additionalProperties changed"
    ]


def test_allowing_unknown_fields_is_breaking() -> None:
    """A reader was told that nothing else comes: on `partner-events` that keeps personal data out."""
    assert breaking_changes(schema() | {"additionalProperties": False}, schema()) == [
        "$.*: widened, additionalProperties changed"
    ]


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({"type": "string"}, {"type": "boolean"}, "narrowed, type string is no longer allowed"),
        ({"type": "string"}, {"type": "boolean"}, "widened, type boolean is now allowed"),
        ({"type": "number"}, {"type": "integer"}, "narrowed, type number is no longer allowed"),
        ({"type": "integer"}, {"type": "number"}, "widened, type number is now allowed"),
        ({"type": "integer"}, {}, "widened, type array, boolean, null, number, object, string is now"),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, 'narrowed, value "b" is no longer allowed'),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, 'widened, value "b" is now allowed'),
        ({"const": "a"}, {"enum": ["a", "b"]}, 'widened, value "b" is now allowed'),
        ({"enum": [1]}, {"enum": [True]}, "narrowed, value 1 is no longer allowed"),
        ({"type": "string"}, {"type": "string", "enum": ["a"]}, "narrowed, the list of values"),
        ({"type": "string", "enum": ["a"]}, {"type": "string"}, "widened, the list of values"),
        ({"pattern": "^a"}, {"pattern": "^ab"}, "pattern went from '^a' to '^ab'"),
        ({"type": "string"}, {"type": "string", "pattern": "^a"}, "pattern went from None to '^a'"),
        ({"format": "date-time"}, {"format": "date"}, "format went from 'date-time' to 'date'"),
        ({"default": False}, {"default": True}, "default went from False to True"),
        ({"minimum": 1}, {"minimum": 2}, "narrowed, minimum went from 1 to 2"),
        ({"minimum": 1}, {"minimum": 0}, "widened, minimum went from 1 to 0"),
        ({"minimum": 1}, {}, "widened, minimum went from 1 to None"),
        ({}, {"maximum": 4}, "narrowed, maximum went from None to 4"),
        ({"maximum": 4}, {"maximum": 3}, "narrowed, maximum went from 4 to 3"),
        ({"maximum": 4}, {"maximum": 5}, "widened, maximum went from 4 to 5"),
        ({"maxLength": 64}, {"maxLength": 32}, "narrowed, maxLength went from 64 to 32"),
        ({"minLength": 1}, {"minLength": 0}, "widened, minLength went from 1 to 0"),
        ({"minItems": 1}, {"minItems": 2}, "narrowed, minItems went from 1 to 2"),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}, "uniqueItems went from None to True"),
        (optional({"type": "integer"}), {"type": "integer"}, "narrowed, null is no longer allowed"),
        (optional({"type": "integer"}), optional({"type": "string"}), "widened, string is now allowed"),
        (optional({"maximum": 4, "type": "integer"}), optional({"type": "integer"}), "maximum went from 4"),
        (optional({"pattern": "a"}, {"pattern": "b"}), optional({"pattern": "a"}), "is no longer allowed"),
        ({"oneOf": [{"type": "string"}]}, {"oneOf": [{"type": "null"}]}, "oneOf went from"),
        (optional({}) | {"maximum": 4}, optional({}) | {"maximum": 5}, "widened"),
    ],
)
def test_changed_rule_of_a_field_is_breaking(before: Schema, after: Schema, sentence: str) -> None:
    """Narrowing breaks writers, widening breaks readers; either way the field is named."""
    found = one_field(before, after)
    assert [line for line in found if line.startswith("$.level: ") and sentence in line], found


def test_order_of_alternatives_and_codes_says_nothing() -> None:
    """`anyOf` and `enum` are sets."""
    before = optional({"type": "string", "enum": ["a", "b"]}, {"type": "integer"})
    after = {"anyOf": [{"type": "null"}, {"type": "integer"}, {"enum": ["b", "a"], "type": "string"}]}
    assert one_field(before, after | {"default": None}) == []


def test_changes_inside_lists_and_shared_types_are_found() -> None:
    """A type used in a list of a field is compared like any other place."""
    rules = {"type": "array", "items": {"$ref": "#/$defs/Rule"}}
    rule = {"type": "object", "properties": {"code": {"type": "string", "maxLength": 64}}}
    shorter = {"type": "object", "properties": {"code": {"type": "string", "maxLength": 32}}}
    assert breaking_changes(
        schema(rules=rules) | {"$defs": {"Rule": rule}}, schema(rules=rules) | {"$defs": {"Rule": shorter}}
    ) == ["$.rules[].code: narrowed, maxLength went from 64 to 32"]


def test_changes_of_types_behind_unions_are_found() -> None:
    """A shared type that only a `oneOf` names is compared as well."""
    field = {"oneOf": [{"$ref": "#/$defs/Rule"}]}
    old = schema(rule=field) | {"$defs": {"Rule": {"type": "string"}}}
    new = schema(rule=field) | {"$defs": {"Rule": {"type": "integer"}}}
    assert len(breaking_changes(old, new)) == 1


def test_renaming_a_shared_type_breaks_nothing() -> None:
    """Names in `$defs` are ours alone; a type written in place counts as the same."""
    old = schema(level={"$ref": "#/$defs/Level"}) | {"$defs": {"Level": {"type": "integer"}}}
    new = schema(level={"$ref": "#/$defs/Stage"}) | {"$defs": {"Stage": {"type": "integer"}}}
    assert breaking_changes(old, new) == []
    assert breaking_changes(old, schema(level={"type": "integer"})) == []


def test_type_that_contains_itself_is_compared_once() -> None:
    """The walk ends, and the difference is still found."""

    def tree(label: str) -> Schema:
        node = {
            "type": "object",
            "properties": {"label": {"type": label}, "next": optional({"$ref": "#/$defs/Node"})},
        }
        return schema(root={"$ref": "#/$defs/Node"}) | {"$defs": {"Node": node}}

    assert breaking_changes(tree("string"), tree("string")) == []
    assert breaking_changes(tree("string"), tree("integer")) == [
        "$.root.label: narrowed, type string is no longer allowed",
        "$.root.label: widened, type integer is now allowed",
    ]


EVENT_SCHEMAS = {wire_type: schema_file(event_class) for wire_type, event_class in REGISTRY.items()}


def test_no_event_schema_breaks_itself() -> None:
    """Everything that pydantic writes for our events is understood."""
    for wire_type, event_schema in EVENT_SCHEMAS.items():
        assert breaking_changes(event_schema, deepcopy(event_schema)) == [], wire_type


@given(data=st.data())
def test_removing_any_field_of_any_event_is_breaking(data: st.DataObject) -> None:
    """Losing it is seen whatever its rules, and so is gaining it as a required field."""
    old = EVENT_SCHEMAS[data.draw(st.sampled_from(sorted(EVENT_SCHEMAS)))]
    field = data.draw(st.sampled_from(sorted(old["properties"])))
    new = deepcopy(old)
    del new["properties"][field]
    new["required"] = [name for name in new["required"] if name != field]
    assert f"$.{field}: the field was removed" in breaking_changes(old, new)
    gained = [f"$.{field}: narrowed, the field is now required"] if field in old["required"] else []
    assert breaking_changes(new, old) == gained


@given(data=st.data())
def test_changing_any_rule_of_any_event_is_breaking(data: st.DataObject) -> None:
    """Dropping one validating keyword anywhere in an event's schema never goes unnoticed."""
    old = EVENT_SCHEMAS[data.draw(st.sampled_from(sorted(EVENT_SCHEMAS)))]
    new = deepcopy(old)
    places = [
        (place, keyword)
        for place in places_of(new)
        for keyword in place
        if keyword not in {"$schema", "$id", "$defs", "title", "description", "properties", "$ref"}
        and not (keyword == "default" and place[keyword] is None)  # absent and null mean the same
    ]
    place, keyword = data.draw(st.sampled_from(places))
    del place[keyword]
    assert breaking_changes(old, new) != []


def places_of(node: Any) -> list[Schema]:
    """Every sub-schema of a schema, itself included; the maps of fields and definitions are no schemas."""
    found: list[Schema] = [node]
    for fields in (node.get("properties", {}), node.get("$defs", {})):
        for field in fields.values():
            found += places_of(field)
    for branch in [*node.get("anyOf", []), *([node["items"]] if "items" in node else [])]:
        found += places_of(branch)
    return found
