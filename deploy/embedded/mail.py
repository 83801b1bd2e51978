"""`python -m deploy.embedded.mail --port P --dir D`: a real SMTP server that keeps each email as a file.

For the demo and for tests: what the notifier sends arrives here and goes no further. Each message becomes
`<dir>/<number>.eml`, numbered in order of arrival, complete from the moment it appears.
"""

import argparse
import asyncio
import os
import signal
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.embedded.ports import LOOPBACK

DEFAULT_PORT = 28025


class Mailbox:
    """Keeps messages as numbered files; the numbers go on after a restart."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        numbers = (int(path.stem) for path in folder.glob("*.eml") if path.stem.isdecimal())
        self._last = max(numbers, default=0)

    def keep(self, content: bytes, *, sender: str, recipients: list[str]) -> Path:
        """Write one message, with the addresses of its SMTP envelope as headers on top; return its path."""
        self._last += 1
        path = self._folder / f"{self._last:06d}.eml"
        top = f"X-Envelope-From: {sender}\r\nX-Envelope-To: {', '.join(recipients)}\r\n".encode()
        draft = path.with_suffix(".part")
        draft.write_bytes(top + content)
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # "250 OK" promises that the message is safe
        draft.replace(path)
        return path


class Keeper:
    """The handler that aiosmtpd calls for each message."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        """Keep the message and answer the client. The names are aiosmtpd's."""
        path = self._mailbox.keep(
            envelope.original_content or b"",
            sender=envelope.mail_from or "",
            recipients=list(envelope.rcpt_tos),
        )
        return f"250 OK kept as {path.name}"


def messages(folder: Path) -> list[EmailMessage]:
    """Return the kept messages in order of arrival."""
    parser = BytesParser(policy=default)
    return [parser.parsebytes(path.read_bytes()) for path in sorted(folder.glob("*.eml"))]


async def serve(port: int, folder: Path) -> None:
    """Receive mail on the loopback address until SIGTERM or SIGINT."""
    keeper = Keeper(Mailbox(folder))
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wanted, stopped.set)
    server = await loop.create_server(lambda: SMTP(keeper, enable_SMTPUTF8=True), LOOPBACK, port)
    async with server:
        await stopped.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Receive emails over SMTP and keep each as a file.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port on the loopback address")
    parser.add_argument("--dir", type=Path, required=True, help="directory of the kept messages")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.dir))


if __name__ == "__main__":
    main()
