"""`leadline up`, `worker` and `web`: run the system or one process of it."""

import os
import socket
import threading
from typing import Annotated

import typer

from deploy.embedded.errors import EngineError
from services.cli.catalogue import SERVICES, ServiceName, build_of, extras_of, served
from services.cli.running import VAR, fail, own_settings, settings_to_start
from services.kernel.base.environment import WrongSettings
from services.kernel.base.logs import configure_logs
from services.kernel.pack.model import PackError

STREAMS_END_SECONDS = 3
"""How long shutdown waits for open responses: live pages have streams that never end."""


def up(
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the data of earlier runs first.")] = False,
) -> None:
    """Start engines, workers and pages on this machine; stop them with Ctrl-C.

    Example: leadline up
    """
    settings_to_start()
    try:
        # Embedded mode is an extra: without it the import itself says what to install.
        from deploy.embedded.supervisor import exit_on_signals  # noqa: PLC0415
        from deploy.embedded.system import running_system  # noqa: PLC0415

        with (
            exit_on_signals(),
            running_system(VAR, say=typer.echo, environ=os.environ, services=SERVICES, fresh=fresh) as system,
        ):
            typer.echo(f"inbox: {system.site}/inbox   API: {system.site}/docs   logs: {VAR / 'log'}")
            typer.echo("Press Ctrl-C to stop.")
            threading.Event().wait()
    except EngineError as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("stopped; the data stays in var/")


def worker(
    service: Annotated[ServiceName, typer.Argument(help="Which service.")],
) -> None:
    """Run one service's worker in the foreground: it consumes, decides, publishes and raises deadlines.

    Example: leadline worker assessment
    """
    from services.kernel.worker.process import run_worker  # noqa: PLC0415 - pages start sooner without a worker's modules

    settings = own_settings()
    try:
        code = run_worker(service, build_of(service), settings, extras=extras_of(service))
    except (PackError, WrongSettings) as error:
        fail(str(error), code=2)
    raise typer.Exit(code)


def web(
    services: Annotated[
        list[ServiceName] | None, typer.Argument(help="Which services. Default: all.")
    ] = None,
) -> None:
    """Serve the APIs and pages of some services, or of all, on one port.

    Example: leadline web referral notify
    """
    import uvicorn  # noqa: PLC0415 - a worker starts sooner without a web framework
    from fastapi.responses import RedirectResponse  # noqa: PLC0415 - as above

    from services.kernel.web.site import create_site  # noqa: PLC0415 - as above

    settings = own_settings()
    configure_logs(settings, service="web")
    names = services or list(SERVICES)
    try:
        site = create_site(settings, [served(name, settings) for name in names])
    except PackError as error:
        fail(str(error), code=2)
    _refuse_taken(settings.host, settings.port)
    home = "/inbox" if ServiceName.NOTIFY in names else "/docs"
    site.add_route("/", lambda _: RedirectResponse(home))
    server = uvicorn.Server(
        uvicorn.Config(
            site,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=STREAMS_END_SECONDS,
        )
    )
    server.run()
    raise typer.Exit(0 if server.started else 1)


def _refuse_taken(host: str, port: int) -> None:
    """End the command when the address cannot be used: the server's own message would be its library's."""
    try:
        (family, kind, protocol, _, place), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does it
            probe.bind(place)
    except (OSError, UnicodeError):
        fail(
            f"Cannot listen at {host}, port {port}: it is taken, or not this machine's."
            " LEADLINE_HOST and LEADLINE_PORT choose another.",
            code=2,
        )
