"""The whole system on one machine: engines, workers, pages, and a mail server that keeps what it gets."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.embedded import mail as mail_server
from deploy.embedded.engines import Engines, Say, running_engines
from deploy.embedded.ports import pick_port, wants_free_ports
from deploy.embedded.ready import accepts_connections
from deploy.embedded.supervisor import Program, Supervisor, announce, withdraw

SITE_PORT = 8000
READY_SECONDS = 60.0
LEADLINE = (sys.executable, "-m", "services.cli.main")


@dataclass(frozen=True)
class System:
    """A running system. `env` is what another process needs to find it."""

    engines: Engines
    supervisor: Supervisor
    site: str | None
    env: Mapping[str, str]


@contextmanager
def running_system(
    var: Path,
    *,
    say: Say,
    environ: Mapping[str, str],
    services: Sequence[str],
    extra_env: Mapping[str, str] | None = None,
    fresh: bool = False,
    free_ports: bool | None = None,
    cache: Path | None = None,
    pages: bool = True,
    leadline: Sequence[str] = LEADLINE,
) -> Iterator[System]:
    """Start everything, give it, and stop everything at the end, whatever the end is.

    `services` get a worker each; with `pages` one process serves all their APIs and pages, and a mail server
    keeps every email as a file under `var/mail`. `extra_env` goes to every process: clocks, intervals.
    `leadline` is the command that each of our own programs is: its arguments follow.
    Raises EngineError with one sentence for the user.
    """
    free = wants_free_ports(environ) if free_ports is None else free_ports
    with running_engines(var, say=say, environ=environ, free_ports=free, fresh=fresh, cache=cache) as engines:
        env = {**engines.env(), **(extra_env or {})}
        programs = []
        site = None
        if pages:
            mail = pick_port(
                "Mail",
                default=mail_server.DEFAULT_PORT,
                variable="LEADLINE_SMTP_PORT",
                environ=environ,
                free=free,
            )
            port = pick_port(
                "The site", default=SITE_PORT, variable="LEADLINE_PORT", environ=environ, free=free
            )
            site = f"http://127.0.0.1:{port}"
            env |= {"LEADLINE_SMTP": f"127.0.0.1:{mail}", "LEADLINE_SITE": site, "LEADLINE_PORT": str(port)}
            env |= {"LEADLINE_SIGN_IN": environ.get("LEADLINE_SIGN_IN", "demo")}
            if fresh:
                shutil.rmtree(var / "mail", ignore_errors=True)
            programs = [_mail(var, mail), _web(site, env, (*leadline, "web", *services))]
        _apply_topics(env)
        programs += [
            Program(f"worker-{service}", (*leadline, "worker", service), env) for service in services
        ]
        with Supervisor(programs, var / "log") as supervisor:
            supervisor.wait_ready(within=READY_SECONDS)
            announce(var, {"env": env, "site": site, "log": str(var / "log"), "services": list(services)})
            try:
                yield System(engines, supervisor, site, env)
            finally:
                withdraw(var)


def _web(site: str, env: Mapping[str, str], argv: tuple[str, ...]) -> Program:
    def answers() -> bool:
        try:
            return httpx.get(f"{site}/health", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    return Program("web", argv, env, ready=answers)


def _mail(var: Path, port: int) -> Program:
    argv = (sys.executable, "-m", "deploy.embedded.mail", "--port", str(port), "--dir", str(var / "mail"))
    return Program("mail", argv, {}, ready=lambda: accepts_connections(f"127.0.0.1:{port}"))


def _apply_topics(env: Mapping[str, str]) -> None:
    """Create the topics before anybody reads them."""
    import asyncio  # noqa: PLC0415 - the only asynchronous moment of this module

    from services.kernel.base.settings import Settings  # noqa: PLC0415 - as above
    from services.kernel.kafka.admin import Bus  # noqa: PLC0415 - as above

    async def apply() -> None:
        async with Bus(Settings(kafka=env["LEADLINE_KAFKA"])) as bus:
            await bus.apply()

    asyncio.run(apply())
