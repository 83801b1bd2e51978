"""Who recounts a chaos run knows only the product's schemas: a mistake that both shared would stay unseen."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAOS = ROOT / "tests" / "chaos"
OF_THE_PROJECT = frozenset({"services", "deploy", "tests", "schemas"})

RECOUNTING = (
    *sorted((CHAOS / "checks").glob("*.py")),
    *(CHAOS / f"{name}.py" for name in ("evidence", "feed", "gathering", "ledger", "witness")),
)
"""What is expected, what is read, and what is compared."""


def imported_by(file: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_allowed(module: str) -> bool:
    """Whether a module is the schemas', another recounting one, or none of this project."""
    parts = module.split(".")
    if parts[0] not in OF_THE_PROJECT or parts[0] == "schemas":
        return True
    inside = ROOT.joinpath(*parts)
    candidates = (inside.with_suffix(".py"), inside / "__init__.py", inside.parent.with_suffix(".py"))
    return any(candidate in RECOUNTING for candidate in candidates)


@pytest.mark.parametrize("file", RECOUNTING, ids=lambda file: file.stem)
def test_the_recount_imports_no_project_code_but_the_schemas(file: Path) -> None:
    """Neither directly nor through a helper of the chaos run that does."""
    assert [module for module in imported_by(file) if not is_allowed(module)] == []


def test_an_import_of_the_product_is_noticed() -> None:
    """The rule above would see one."""
    assert not is_allowed("services.kernel.messages.envelope.message_id")
    assert not is_allowed("tests.chaos.target.Target")
    assert is_allowed("schemas.topics.TOPICS")
    assert is_allowed("tests.chaos.evidence.Evidence")
    assert is_allowed("json.loads")
    assert {"checks", "evidence", "witness"} <= {file.parent.name for file in RECOUNTING} | {
        file.stem for file in RECOUNTING
    }
