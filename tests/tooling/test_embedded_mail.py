"""The demo's mail server: real SMTP, one file per email."""

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from deploy.embedded.mail import Mailbox, messages
from deploy.embedded.ports import LOOPBACK, free_port
from deploy.embedded.ready import accepts_connections

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a mail server that keeps its messages in `tmp_path / "mail"`."""
    number = free_port()
    argv = [
        sys.executable,
        "-m",
        "deploy.embedded.mail",
        "--port",
        str(number),
        "--dir",
        str(tmp_path / "mail"),
    ]
    with subprocess.Popen(argv, cwd=ROOT, env={**os.environ, "PYTHONWARNINGS": "error"}) as server:
        deadline = time.monotonic() + 20
        while not accepts_connections(f"{LOOPBACK}:{number}"):
            assert server.poll() is None, "the mail server ended"
            assert time.monotonic() < deadline, "the mail server did not start in time"
            time.sleep(0.02)
        yield number
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def email(subject: str, body: str = "Body") -> EmailMessage:
    """An email between two made-up addresses."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@leadline.invalid", "b@leadline.invalid", subject
    message.set_content(body)
    return message


def test_each_email_is_kept_whole_and_in_order(port: int, tmp_path: Path) -> None:
    """Subject, text (also a line with a lone dot) and the envelope's addresses are there again."""
    with smtplib.SMTP(LOOPBACK, port) as client:
        client.send_message(email("Zoë’s visit is due", "One\n.\nTwo"))
        client.send_message(email("Second"))
    first, second = messages(tmp_path / "mail")
    assert (first["subject"], second["subject"]) == ("Zoë’s visit is due", "Second")
    assert first.get_content().splitlines() == ["One", ".", "Two"]
    assert (first["X-Envelope-From"], first["X-Envelope-To"]) == ("a@leadline.invalid", "b@leadline.invalid")


def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    """An earlier message is never written over."""
    for text in (b"one", b"two"):
        Mailbox(tmp_path).keep(text, sender="a@leadline.invalid", recipients=["b@leadline.invalid"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.eml", "000002.eml"]
    assert (tmp_path / "000001.eml").read_bytes().endswith(b"one")
