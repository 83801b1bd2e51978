"""What `make lint` asks beyond the linters: SQL stands where people look for it.

SQL is in modules called `store.py` or `queries.py`, or in packages of these names; and in the kernel's room
for PostgreSQL itself.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[1] / "services"
ROOMS = frozenset({"store", "queries", "postgres", "migrations"})
STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|WITH \w+ AS)\b")


def sql_in(source: str) -> Iterator[int]:
    """Give the lines on which a module begins a statement of SQL, or takes SQLAlchemy's word for one."""
    tree = ast.parse(source)
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(said)) if node not in docstrings and STATEMENT.match(said):
                yield node.lineno
            case ast.ImportFrom(module="sqlalchemy", names=names) if any(
                each.name == "text" for each in names
            ):
                yield node.lineno


def misplaced(services: Path = SERVICES) -> list[str]:
    """Return where SQL stands outside its rooms, as `path:line`."""
    return [
        f"{path.relative_to(services.parent)}:{line}"
        for path in sorted(services.rglob("*.py"))
        if "node_modules" not in path.parts
        and not ROOMS & {*path.relative_to(services).with_suffix("").parts}
        for line in sql_in(path.read_text(encoding="utf-8"))
    ]


def main() -> int:
    """Print each place where SQL does not belong; return the exit code."""
    found = misplaced()
    for place in found:
        print(f"{place}: SQL belongs in store.py, queries.py or a package of that name")  # noqa: T201 - its purpose
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
