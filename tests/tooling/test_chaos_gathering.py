"""What the recount of `make chaos` reads of the mail server."""

from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from tests.chaos.evidence import Mail
from tests.chaos.gathering import mails_in

MESSAGE, FIRST, SECOND = UUID(int=1), UUID(int=2**127), UUID(int=2**126)


def kept(folder: Path, *alerts: UUID, message_id: str | None = f"<{MESSAGE}@leadline.invalid>") -> None:
    """Keep an email as the mail server does; its lines are so long that they are folded."""
    letter = EmailMessage()
    letter["X-Envelope-To"] = "W-0101@workers.leadline.invalid"
    letter["Subject"] = "Leadline"
    if message_id is not None:
        letter["Message-ID"] = message_id
    site = "http://a-site-with-a-name-that-takes-most-of-a-line.example/inbox/W-0101"
    letter.set_content("".join(f"Open the alert: {site}/alerts/{alert}\n" for alert in alerts))
    (folder / "000001.eml").write_bytes(letter.as_bytes())


@pytest.mark.parametrize("alerts", [(FIRST,), (FIRST, SECOND)])
def test_an_e_mail_names_its_alerts(tmp_path: Path, alerts: tuple[UUID, ...]) -> None:
    """By their links, whole though the lines that hold them are not."""
    kept(tmp_path, *alerts)
    assert b"=\n" in (tmp_path / "000001.eml").read_bytes()
    assert list(mails_in(tmp_path)) == [Mail(MESSAGE, "W-0101", frozenset(alerts))]


@pytest.mark.parametrize("message_id", [None, "<somebody@else.example>"])
def test_an_e_mail_without_an_id_of_ours_has_none(tmp_path: Path, message_id: str | None) -> None:
    """It is not left out: nobody could say where it came from."""
    kept(tmp_path, FIRST, message_id=message_id)
    assert [mail.message_id for mail in mails_in(tmp_path)] == [None]


def test_what_is_being_written_has_not_arrived(tmp_path: Path) -> None:
    """The mail server renames it once it is safe, and only then says so."""
    kept(tmp_path, FIRST)
    (tmp_path / "000001.eml").rename(tmp_path / "000001.part")
    assert list(mails_in(tmp_path)) == []
