"""Kinds of alert as people read them."""

_OF_THE_DEADLINE = frozenset({"scheduled", "met", "paused", "extended", "waived"})
"""What happens to a deadline and not to the thing itself: a review whose deadline is scheduled is not."""


def kind_words(kind: str) -> str:
    """Return what an alert is about, for example `assessment overdue` for `deadline.overdue:assessment`."""
    name, _, deadline = kind.partition(":")
    subject, _, happened = name.partition(".")
    if happened in _OF_THE_DEADLINE and deadline and not deadline.endswith("deadline"):
        deadline = f"{deadline} deadline"
    return f"{deadline or subject} {happened}".replace("_", " ")
