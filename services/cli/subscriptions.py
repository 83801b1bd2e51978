"""`leadline subscriptions`: webhooks and chats that receive the alerts of an agency or a duty inbox."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import typer
from pydantic import TypeAdapter, ValidationError

from schemas.events import Code
from schemas.events.codes import Channel
from services.cli.arguments import Json, plain
from services.cli.catalogue import ServiceName
from services.cli.output import show_json, show_rows
from services.cli.running import answered, current_settings, fail, refuse
from services.cli.stores import store_of
from services.kernel.base.clock import clock_of
from services.kernel.base.settings import Settings
from services.kernel.pack.model import PackError, load_pack
from services.notify.delivery.store import subscriptions as subscription_store
from services.notify.delivery.store.subscriptions import Endpoint, OwnerKind, subscription_id
from services.notify.pack.model import NotifyPack
from services.notify.preferences.model import ChosenKind

CODE: TypeAdapter[str] = TypeAdapter(Code)
KIND: TypeAdapter[str] = TypeAdapter(ChosenKind)

app = typer.Typer(no_args_is_help=True, help="Webhooks and chats that receive alerts: add, list, end.")


class Where(StrEnum):
    """What receives alerts at an address."""

    WEBHOOK = "webhook"
    CHAT = "chat"


@app.command()
def add(
    url: Annotated[
        str, typer.Argument(metavar="URL", callback=plain, help="https://, as the other side gave it.")
    ],
    agency: Annotated[str | None, typer.Option(help="Send alerts about this agency's own referrals.")] = None,
    team: Annotated[str | None, typer.Option(help="Send the alerts of this team's duty inbox.")] = None,
    to: Annotated[Where, typer.Option(help="A signed webhook, or a chat of Teams or Slack.")] = Where.WEBHOOK,
    key: Annotated[
        str | None,
        typer.Option(callback=plain, help="File with the signing key in LEADLINE_WEBHOOK_SECRETS."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only alerts of this kind; may be repeated. Default: all.")
    ] = None,
) -> None:
    """Subscribe an address to alerts, or change the key and kinds of one that is already subscribed.

    Example: leadline subscriptions add https://school.example/hook --agency school-0001 --key school-0001
    """
    if (agency is None) == (team is None):
        fail("Say whose alerts go there: give either --agency or --team.", code=2)
    owner: OwnerKind = "team" if agency is None else "agency"
    kinds = tuple(kind or ["*"])
    try:
        owner_id = CODE.validate_python(agency or team)
        for each in kinds:
            KIND.validate_python(each)
    except ValidationError:
        fail("Agencies, teams and kinds are codes, for example school-0001 or deadline.overdue:*.", code=2)
    if not _is_address(url):
        fail("An address begins with https:// and names a host.", code=2)
    if to is Where.WEBHOOK and key is None:
        fail("A webhook is signed: name the file of its key with --key.", code=2)
    channel = Channel(to.value)
    identity = subscription_id(owner, owner_id, channel, url)
    endpoint = Endpoint(identity, owner, owner_id, channel, url, key, kinds)

    async def work(settings: Settings) -> None:
        async with store_of(settings, ServiceName.NOTIFY) as engine, engine.begin() as connection:
            await subscription_store.add(connection, endpoint, now=clock_of(settings).now())

    settings = current_settings()
    _refuse_unknown(settings, team=team, kinds=kinds, key=key)
    answered(work(settings))
    typer.echo(f"{identity} receives {', '.join(kinds)} for the {owner} {owner_id}.")


@app.command("list")
def list_subscriptions(json: Json = False) -> None:
    """List the subscriptions, oldest first, including ended ones; only the host of each address is shown.

    Example: leadline subscriptions list
    """

    async def work(settings: Settings) -> list[Endpoint]:
        async with store_of(settings, ServiceName.NOTIFY) as engine, engine.connect() as connection:
            return list(await subscription_store.list_all(connection))

    # Anybody who has a chat's address can write there, so it is not shown again.
    rows = [
        {
            "subscription": str(each.subscription_id),
            "owner": f"{each.owner_kind} {each.owner_id}",
            "channel": each.channel.value,
            "host": urlsplit(each.url).hostname or "",
            "key": each.secret_reference or "",
            "kinds": " ".join(each.kinds),
            "state": "active" if each.active else "ended",
        }
        for each in answered(work(current_settings()))
    ]
    if json:
        show_json(rows)
    elif not rows:
        typer.echo("no subscriptions")
    else:
        show_rows(tuple(rows[0]), [tuple(row.values()) for row in rows], title="Subscriptions")


@app.command()
def end(
    subscription: Annotated[UUID, typer.Argument(metavar="SUBSCRIPTION", help="Its id, from `list`.")],
) -> None:
    """End a subscription: nothing more is sent there, and its queued messages fail.

    Example: leadline subscriptions end 0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11
    """

    async def work(settings: Settings) -> bool:
        async with store_of(settings, ServiceName.NOTIFY) as engine, engine.begin() as connection:
            return await subscription_store.end(connection, subscription)

    if not answered(work(current_settings())):
        fail("No such subscription is active: `leadline subscriptions list` shows the subscriptions.")
    typer.echo(f"{subscription} has ended.")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unmatched bracket, or a port that is not a number
        return False


def _refuse_unknown(settings: Settings, *, team: str | None, kinds: Iterable[str], key: str | None) -> None:
    """End the command for a team or a kind that the pack does not name, or a key that does not exist.

    Agencies cannot be checked: no list of them exists.
    """
    try:
        pack = load_pack(settings.policy, NotifyPack)
    except PackError as error:
        fail(str(error), code=2)
    if team is not None and team not in pack.team_by_code:
        refuse("team", team, pack.team_by_code)
    for kind in kinds:
        if kind not in pack.kinds:
            refuse("kind of alert", kind, pack.kinds)
    secrets = settings.webhook_secrets
    # If this machine has no keys, they are on the notifier's machine.
    if key is not None and secrets is not None and secrets.is_dir():
        there = [file.name for file in secrets.iterdir() if file.is_file()]
        if key not in there:
            refuse("signing key", key, there)
