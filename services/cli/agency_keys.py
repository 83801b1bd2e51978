"""`leadline agency-keys`: keys with which referring agencies' systems read the outcome of their referrals."""

from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from schemas.events import Code
from services.cli.arguments import Json, plain
from services.cli.catalogue import ServiceName
from services.cli.dead_letters import os_user
from services.cli.output import london, show_json, show_rows
from services.cli.running import answered, current_settings, fail, refuse
from services.cli.stores import store_of
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.notify.referrers.store import keys as agency_keys
from services.notify.referrers.store.keys import AgencyKey

CODE: TypeAdapter[str] = TypeAdapter(Code)

app = typer.Typer(no_args_is_help=True, help="Keys of referring agencies: issue, list, revoke.")

Agency = Annotated[
    str, typer.Argument(metavar="AGENCY", callback=plain, help="The agency's id, as in its referrals.")
]


@app.command()
def issue(agency: Agency) -> None:
    """Create a key for a referring agency and print it once; only its hash is stored.

    The agency's system sends the key with GET /referrers/AGENCY/updates. Two keys may be in use at once, so
    that one can replace the other without a gap.

    Example: leadline agency-keys issue school-0001
    """
    try:
        CODE.validate_python(agency)
    except ValidationError:
        fail("An agency's id is a code without spaces, for example school-0001.", code=2)

    async def work(settings: Settings) -> tuple[str, str]:
        key = agency_keys.new_key()
        async with store_of(settings, ServiceName.NOTIFY) as engine, engine.begin() as connection:
            now = clock_of(settings).now()
            return key, await agency_keys.issue(connection, agency, key, by=os_user(), now=now)

    key, key_id = answered(work(current_settings()))
    typer.echo(key)
    typer.echo(f"This is key {key_id} of {agency}. It is shown only once: hand it over safely.", err=True)


@app.command("list")
def list_keys(
    agency: Annotated[str | None, typer.Option(callback=plain, help="Only this agency's keys.")] = None,
    json: Json = False,
) -> None:
    """List the agencies' keys by id, oldest first, including revoked ones.

    Example: leadline agency-keys list --agency school-0001
    """

    async def work(settings: Settings) -> list[AgencyKey]:
        async with store_of(settings, ServiceName.NOTIFY) as engine, engine.connect() as connection:
            return list(await agency_keys.list_keys(connection, None))

    every = answered(work(current_settings()))
    known = {key.agency_id for key in every}
    if agency is not None and agency not in known:
        refuse("agency with a key", agency, known)
    found = [key for key in every if agency in (None, key.agency_id)]
    if json:
        show_json(
            [
                {
                    "key_id": key.key_id,
                    "agency_id": key.agency_id,
                    "issued_at": key.issued_at.isoformat(),
                    "issued_by": key.issued_by,
                    "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
                }
                for key in found
            ]
        )
        return
    if not found:
        typer.echo("no keys")
        return
    show_rows(
        ("key", "agency", "issued at", "by", "revoked at"),
        [
            (key.key_id, key.agency_id, london(key.issued_at), key.issued_by, london(key.revoked_at))
            for key in found
        ],
        title="Agency keys (London time)",
    )


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", callback=plain, help="The key's id, from `list`.")],
) -> None:
    """Revoke a key: requests that carry it are refused from now on.

    Example: leadline agency-keys revoke 3f9ac0d41b7e
    """

    async def work(settings: Settings) -> str | None:
        async with store_of(settings, ServiceName.NOTIFY) as engine, engine.begin() as connection:
            return await agency_keys.revoke(connection, key, now=clock_of(settings).now())

    agency = answered(work(current_settings()))
    if agency is None:
        fail("No such key is in use: `leadline agency-keys list` shows the keys.")
    typer.echo(f"Key {key} of {agency} no longer works.")
