"""Ids are those of RFC 9562, whoever makes them."""

from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.messages.ids import derived, read


@given(st.uuids(), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_derived_id_is_the_standard_library_s(namespace: UUID, name: str) -> None:
    """Ids that were derived before, and by others, stay what they are."""
    made = derived(namespace, name)
    assert made == uuid5(namespace, name)
    assert isinstance(made, UUID)
    assert hash(made) == hash(uuid5(namespace, name))


def test_an_id_that_was_read_is_the_same_id() -> None:
    """Both kinds meet in one dictionary."""
    standard = uuid4()
    assert {standard: 1}[read(str(standard))] == 1


@pytest.mark.parametrize("text", ["", "W-0101", "6f1c2f0e-3f6b-5a58-9c53-6f0f7e1f8f1g"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """ValueError, as from the standard library."""
    with pytest.raises(ValueError, match="invalid UUID"):
        read(text)
