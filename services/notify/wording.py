"""Kinds of alert as people read them."""

_OF_THE_DEADLINE = frozenset({"scheduled", "met", "paused", "extended", "waived"})
"""Happens to a deadline and not to its subject: scheduling the deadline of a review schedules no review."""


def kind_words(kind: str) -> str:
    """Return what an alert is about, for example `assessment overdue` for `deadline.overdue:assessment`."""
    name, _, deadline = kind.partition(":")
    subject, _, happened = name.partition(".")
    if happened in _OF_THE_DEADLINE and deadline and not deadline.endswith("deadline"):
        deadline = f"{deadline} deadline"
    return f"{deadline or subject} {happened}".replace("_", " ")
