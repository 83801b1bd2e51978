"""Emails over SMTP against aiosmtpd on a socket: encryption, sign-in and every kind of answer."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr

from services.kernel.base.settings import Settings
from services.notify.delivery.channels.addresses import AddressBook
from services.notify.delivery.channels.carrier import Away, Later, Outcome, Rejected, Taken
from services.notify.delivery.channels.smtp import SmtpCarrier
from tests.counterparts.post_office import PostOffice, listening
from tests.unit.channel_messages import message


def settings_of(port: int, **changes: Any) -> Settings:
    return Settings(smtp=f"localhost:{port}", mail_domain="workers.council.example", **changes)


async def send(settings: Settings, *, directory: Path | None = None) -> Outcome:
    """Send one message and hang up."""
    carrier = SmtpCarrier(settings, AddressBook(directory), timeout_seconds=5)
    try:
        return await carrier.send(message())
    finally:
        await carrier.rest()


@pytest.mark.parametrize("password", ["right", "wrong"])
async def test_mail_goes_encrypted_and_signed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """STARTTLS first, then the password, then the message; a wrong password condemns no message."""
    authority = trustme.CA()
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    encrypted: list[bool] = []

    def check(_server: Any, session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        encrypted.append(session.ssl is not None)
        return AuthResult(success=given == LoginPassword(b"leadline", b"right"), handled=False)

    office = PostOffice()
    async with listening(
        office, tls_context=server, require_starttls=True, authenticator=check, auth_required=True
    ) as port:
        outcome = await send(
            settings_of(port, smtp_starttls=True, smtp_username="leadline", smtp_password=SecretStr(password))
        )
    assert set(encrypted) == {True}
    if password == "right":
        assert outcome == Taken()
        assert office.recipients == ["W-0601@workers.council.example"]
    else:
        assert outcome == Away("not let in: 535 5.7.8")
        assert office.kept == []


async def test_server_that_nobody_vouches_for_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encryption to whoever answers would protect from nobody."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(server)
    office = PostOffice()
    async with listening(office, tls_context=server) as port:
        assert isinstance(await send(settings_of(port, smtp_starttls=True)), Away)
    assert office.kept == []


async def test_nothing_goes_unencrypted_when_encryption_is_asked_for() -> None:
    """A server without STARTTLS gets no email and no password."""
    office = PostOffice()
    async with listening(office) as port:
        assert isinstance(await send(settings_of(port, smtp_starttls=True)), Away)
    assert office.kept == []


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("550 5.1.1 no mailbox for Jane Roe here", Rejected("550 5.1.1")),
        ("451 4.7.1 greylisted, Jane", Later("451 4.7.1", answered=True)),
        ("421 4.3.2 closing", Later("421 4.3.2")),
    ],
)
async def test_answer_about_a_recipient_is_kept_as_its_code_alone(answer: str, outcome: Outcome) -> None:
    """The server's words could name somebody. Only 421 says that the server itself is unwell."""
    office = PostOffice(answers=[answer])
    async with listening(office) as port:
        assert await send(settings_of(port)) == outcome


async def test_refused_sender_and_absent_server_condemn_no_message() -> None:
    """Our own mistake, and nobody's."""
    office = PostOffice(at_sender=["553 5.7.1 not yours"])
    async with listening(office) as port:
        assert await send(settings_of(port)) == Away("sender refused: 553 5.7.1")
    assert isinstance(await send(settings_of(port)), Away)


async def test_directory_says_where_an_email_goes(tmp_path: Path) -> None:
    """Whoever is not in it gets it at the mail domain."""
    directory = tmp_path / "people.csv"
    directory.write_text("recipient_id,email\nW-0601,w.one@council.example\n")
    office = PostOffice()
    async with listening(office) as port:
        assert await send(settings_of(port), directory=directory) == Taken()
    assert office.recipients == ["w.one@council.example"]


@pytest.mark.parametrize("address", ["nobody", "two\nlines@council.example", "@", ""])
async def test_address_that_is_none_fails_without_ever_being_shown(tmp_path: Path, address: str) -> None:
    """A slip in the list costs one email, not the sender."""
    directory = tmp_path / "people.csv"
    directory.write_text(f'recipient_id,email\nW-0601,"{address}"\n')
    async with listening(PostOffice()) as port:
        outcome = await send(settings_of(port), directory=directory)
    expected: Outcome = Taken() if address == "" else Rejected("no_address", final=True, kind="no_address")
    assert outcome == expected
