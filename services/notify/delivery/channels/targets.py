"""Where a webhook may go: never into the council's own network, whatever a partner's address says.

The address is resolved, checked and then connected to as a number, so that a name which changes in between
(DNS rebinding) leads nowhere else.
"""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from services.kernel.base.settings import Settings

PORTS = {"https": 443, "http": 80}


class TargetRefused(Exception):  # noqa: N818 - an answer, not a mistake
    """A webhook must not go there. The reason is a code, and names nothing of the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: connect to one of `urls`, whose hosts are numbers, and speak to `host` there."""

    urls: tuple[str, ...]
    """One for each address of the name, in the resolver's order."""
    host: str
    """The Host header."""
    name: str
    """The name on the certificate."""


async def target_of(url: str, settings: Settings) -> Target:
    """Resolve and check an address. Raises TargetRefused, and OSError when its name cannot be resolved.

    `settings.webhook_private_hosts` names the hosts that may be inside.
    """
    parts = _parts(url)
    if parts.scheme not in ({"https", "http"} if settings.webhook_http else {"https"}) or not parts.hostname:
        raise TargetRefused("not_https")
    if parts.username is not None or parts.password is not None:
        raise TargetRefused("credentials_in_address")
    port = parts.port or PORTS[parts.scheme]
    found = await _resolved(parts.hostname, port)
    inside = {name.strip().lower() for name in (settings.webhook_private_hosts or "").split(",")}
    # All of them: an answer that mixes an address inside with one outside is an attempt.
    if parts.hostname not in inside and not all(map(is_outside, found)):
        raise TargetRefused("inside_network")
    literals = (f"[{each}]" if each.version == 6 else str(each) for each in found)
    urls = (urlunsplit(parts._replace(netloc=f"{each}:{port}", fragment="")) for each in literals)
    return Target(tuple(urls), parts.netloc, parts.hostname)


def is_outside(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is on the public internet: not loopback, link-local, private or reserved."""
    mapped = getattr(address, "ipv4_mapped", None)
    address = address if mapped is None else mapped
    return address.is_global and not address.is_multicast


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - read here, where a number that is none is an answer
    except ValueError:
        raise TargetRefused("not_https") from None
    return parts


async def _resolved(name: str, port: int) -> list[IPv4Address | IPv6Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a name that no resolver takes
        raise OSError from error
    return [ip_address(place[0]) for *_, place in found]
