"""A partner's address leads out of the council's network, or nowhere."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from services.kernel.base.settings import Settings
from services.notify.delivery.channels import targets
from services.notify.delivery.channels.targets import Target, TargetRefused, is_outside, target_of

OUTSIDE = "93.184.215.14"


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve names from a table, and numbers as themselves."""
    known = {
        "school.example": [OUTSIDE],
        "six.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
        "rebound.example": [OUTSIDE, "10.0.0.7"],
        "inside.example": ["192.168.1.9"],
    }

    async def resolved(name: str, _port: int) -> list[Any]:
        if name in known:
            return [ip_address(each) for each in known[name]]
        try:
            return [ip_address(name)]
        except ValueError:
            raise socket.gaierror from None

    monkeypatch.setattr(targets, "_resolved", resolved)


async def test_an_address_outside_is_connected_to_by_its_number() -> None:
    """Its name stays in the Host header and on the certificate."""
    target = await target_of("https://school.example:8443/hook?a=b#c", Settings())
    assert target == Target((f"https://{OUTSIDE}:8443/hook?a=b",), "school.example:8443", "school.example")
    six = await target_of("https://six.example/", Settings())
    assert six.urls == ("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443/",)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "[::1]",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "inside.example",
        "rebound.example",
    ],
)
async def test_an_address_inside_is_refused_unless_it_is_allowed_by_name(address: str) -> None:
    """Whatever family it is of, and also where only one of several answers is inside."""
    url = f"https://{address}/hook"
    with pytest.raises(TargetRefused, match="inside_network"):
        await target_of(url, Settings())
    allowed = Settings(webhook_private_hosts=f"other, {address.strip('[]')}")
    assert (await target_of(url, allowed)).host == address


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://school.example/", "not_https"),
        ("ftp://school.example/", "not_https"),
        ("https:///hook", "not_https"),
        ("https://school.example:port/", "not_https"),
        ("https://[::1/", "not_https"),
        ("https://user@school.example/", "credentials_in_address"),
        ("https://user:secret@school.example/", "credentials_in_address"),
    ],
)
async def test_what_is_no_plain_https_address_is_refused(url: str, reason: str) -> None:
    """The reason is a code; nothing of the address is told."""
    with pytest.raises(TargetRefused) as refused:
        await target_of(url, Settings())
    assert refused.value.reason == reason


async def test_a_name_that_cannot_be_resolved_now_may_be_later() -> None:
    """It is the resolver's trouble, and the message is tried again."""
    with pytest.raises(OSError):  # noqa: PT011 - whichever it is
        await target_of("https://unknown.example/", Settings())


def test_public_addresses_are_outside() -> None:
    """Of both families."""
    assert is_outside(ip_address(OUTSIDE))
    assert is_outside(ip_address("2606:2800:21f:cb07:6820:80da:af6b:8b2c"))
