"""Statements made of a template and parts that several statements share, such as a table's columns."""

from sqlalchemy import TextClause, text


def sql(template: str, /, **parts: object) -> TextClause:
    """Return a statement: the template with each `{name}` replaced by its part.

    Call it at import. A part becomes SQL, so it is always our own code and never a value from outside: values
    are parameters, written `:name`.
    """
    return text(template.format(**parts))
