"""The network between everybody and the broker is slow, narrow, silent or cut for some seconds.

A broker tells its clients where to connect, so nobody can be put between while it runs. The first time, it is
moved to another port by a restart, and a proxy takes the old one, for the rest of the run.
"""

import signal
from pathlib import Path
from random import Random

from deploy.embedded.ports import LOOPBACK, free_port
from deploy.embedded.ready import kafka_answers
from tests.chaos.nemeses.bad_network import disturb
from tests.chaos.nemeses.patience import until
from tests.chaos.proxy import Proxy
from tests.chaos.target import Target

HOPELESS_SECONDS = 120.0
"""A broker that was moved must be waited for: there is no way back."""

CLIENTS = 8
"""Connections by which we see that the services are back: four workers have more."""


def act(target: Target, chance: Random) -> None:
    """Let the network be bad; move the broker behind it first, where it is not yet."""
    if target.broker_proxy is None:
        target.broker_proxy = _moved(target)
    disturb(target.broker_proxy, chance)


def _moved(target: Target) -> Proxy:
    address = target.system.engines.kafka
    port = int(address.rpartition(":")[2])
    elsewhere = free_port()
    move(target.home / "kafka" / "server.properties", port=port, to=elsewhere)
    broker = target.engine("kafka")
    target.signal_engine("kafka", signal.SIGTERM)
    until(lambda: broker.process() is None, "the broker did not end")
    proxy = target.resources.enter_context(Proxy((LOOPBACK, elsewhere), port=port))
    until(lambda: kafka_answers(address), "the broker did not come back elsewhere", within=HOPELESS_SECONDS)
    until(lambda: proxy.connections >= CLIENTS, "the services did not come back", within=HOPELESS_SECONDS)
    return proxy


def move(settings: Path, *, port: int, to: int) -> None:
    """Let a broker listen at another port from its next start, and send its clients to the old one."""
    text = settings.read_text(encoding="utf-8")
    listens = f"listeners=PLAINTEXT://{LOOPBACK}:{port},"
    assert text.count(listens) == 1
    settings.write_text(text.replace(listens, listens.replace(f":{port},", f":{to},")), encoding="utf-8")
