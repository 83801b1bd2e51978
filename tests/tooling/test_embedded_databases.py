"""How a user's database URL is read."""

import pytest

from deploy.embedded.databases import database_template, ensure_databases, service_url
from deploy.embedded.errors import EngineError
from deploy.embedded.ports import free_port


@pytest.mark.parametrize(
    ("given", "template"),
    [
        ("postgresql://me:pw@db:5432/care", "postgresql+asyncpg://me:pw@db:5432/care_{service}"),
        ("postgres://me@db/care_{service}_x", "postgresql+asyncpg://me@db/care_{service}_x"),
        ("postgresql+psycopg://db/care", "postgresql+asyncpg://db/care_{service}"),
        ("postgresql://db", "postgresql+asyncpg://db/leadline_{service}"),
        ("postgresql:///care?host=%2Frun%2Fpg", "postgresql+asyncpg:///care_{service}?host=%2Frun%2Fpg"),
        ("postgresql://me:p%40%2Fw@db/care", "postgresql+asyncpg://me:p%40%2Fw@db/care_{service}"),
    ],
)
def test_every_url_becomes_one_database_per_service(given: str, template: str) -> None:
    """The placeholder stays where the user put it, else it ends the database's name; passwords survive."""
    assert database_template(given) == template


@pytest.mark.parametrize("given", ["", "care", "mysql://db/care", "sqlite:///care.db"])
def test_what_is_no_postgresql_url_is_refused_with_an_example(given: str) -> None:
    """The sentence shows the form to write."""
    with pytest.raises(EngineError, match=r"write it like postgresql\+asyncpg://.*_\{service\}\."):
        database_template(given)


def test_each_service_gets_its_own_url() -> None:
    """The placeholder is replaced."""
    assert (
        service_url("postgresql+asyncpg:///care_{service}", "notify") == "postgresql+asyncpg:///care_notify"
    )


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    """One sentence with the address and what to do; the password is not in it."""
    template = f"postgresql+asyncpg://me:hunter2@127.0.0.1:{free_port()}/care_{{service}}"
    with pytest.raises(EngineError, match=r"does not serve .*start it, correct LEADLINE_DATABASE") as caught:
        ensure_databases(template)
    assert "hunter2" not in str(caught.value)


async def test_the_databases_can_be_ensured_from_inside_an_event_loop() -> None:
    """A caller that already runs a loop gets the same answer."""
    with pytest.raises(EngineError, match="does not serve"):
        ensure_databases(f"postgresql+asyncpg://127.0.0.1:{free_port()}/care_{{service}}")
