"""Statements made of a text and of parts that several statements share, such as a table's columns."""

from sqlalchemy import TextClause, text


def sql(template: str, /, **parts: object) -> TextClause:
    """Return a statement: the template with each part in place of its `{name}`.

    Call it where a module is imported. A part becomes SQL, so it is always the code's own and never a value
    from outside: values are parameters, written `:name`.
    """
    return text(template.format(**parts))
