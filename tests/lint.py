"""What `make lint` asks beyond the linters: SQL stands where people look for it, and a name means one thing.

SQL is in modules called `store.py` or `queries.py`, or in packages of these names; and in the kernel's room
for PostgreSQL itself. Everybody else calls functions: nobody executes a statement, or imports one from a
store. No two public classes of `services/` have one name.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SERVICES = Path(__file__).parents[1] / "services"
ROOMS = frozenset({"store", "queries", "postgres", "migrations"})
STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s")


def sql_in(source: str) -> Iterator[int]:
    """Give the lines on which a module begins a statement of SQL, takes a word for one, or executes one."""
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
            case ast.ImportFrom(module="services.kernel.postgres.statements"):
                yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Name(id="connection"), attr="execute")):
                yield node.lineno


def statements_of(source: str) -> set[str]:
    """Return the names that a module gives to statements, or to texts that begin one."""
    named = set()
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="text" | "sql"))):
                named.add(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(said))) if (
                STATEMENT.match(said)
            ):
                named.add(name)
    return named


def borrowed(services: Path = SERVICES) -> list[str]:
    """Return where a module outside the rooms imports a statement from a store, as `path:line: name`."""
    found = []
    for path, source in _outside(services):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module and ROOMS & {*node.module.split(".")}:
                store = services.parent / f"{node.module.replace('.', '/')}.py"
                theirs = statements_of(store.read_text(encoding="utf-8")) if store.is_file() else set()
                place = f"{path.relative_to(services.parent)}:{node.lineno}"
                found += [f"{place}: {each.name}" for each in node.names if each.name in theirs]
    return found


def _outside(services: Path) -> Iterator[tuple[Path, str]]:
    """Give the modules outside the rooms, with their sources."""
    for path in sorted(services.rglob("*.py")):
        parts = {*path.relative_to(services).with_suffix("").parts}
        if not (ROOMS | {"node_modules"}) & parts:
            yield path, path.read_text(encoding="utf-8")


def misplaced(services: Path = SERVICES) -> list[str]:
    """Return where SQL stands outside its rooms, as `path:line`."""
    return [
        f"{path.relative_to(services.parent)}:{line}"
        for path, source in _outside(services)
        for line in sql_in(source)
    ]


EACH_FOR_ITSELF = frozenset({"Case"})
"""What several services know, each in its own way; the glossary says so."""


def ambiguous(services: Path = SERVICES) -> list[str]:
    """Return the names that several public classes have, with the modules."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(services.rglob("*.py")):
        if not {"node_modules", "migrations"} & {*path.parts}:
            for statement in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(statement, ast.ClassDef) and not statement.name.startswith("_"):
                    places[statement.name].append(str(path.relative_to(services.parent)))
    return [
        f"{name}: {', '.join(found)}"
        for name, found in sorted(places.items())
        if len(found) > 1 and name not in EACH_FOR_ITSELF
    ]


def main() -> int:
    """Print what is not as it should be; return the exit code."""
    wrong = [
        f"{place}: SQL belongs in store.py, queries.py or a package of that name" for place in misplaced()
    ]
    wrong += [f"{place}: call a function of the store that executes it" for place in borrowed()]
    wrong += [f"{names}: one name for two things" for names in ambiguous()]
    for each in wrong:
        print(each)  # noqa: T201 - its purpose
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
