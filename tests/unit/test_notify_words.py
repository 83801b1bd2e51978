"""How alerts read as an email; how moments and kinds read everywhere."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import pytest

from schemas.events.codes import Channel, Role, Urgency
from services.kernel.base.settings import Settings
from services.kernel.deadlines.wording import due_words, moment_words
from services.notify.delivery.email import compose
from services.notify.delivery.store.queue import Message, MessagePart
from services.notify.wording import kind_words

NOW = datetime(2026, 9, 7, 13, 5, tzinfo=UTC)  # 14:05 in London
MIDNIGHT = datetime(2027, 3, 4, 0, 0, tzinfo=UTC)
ALERT, CASE, ABOUT = UUID(int=1), UUID("3f2a1b4c-0000-4000-8000-000000000001"), UUID(int=3)
DELIVERY = UUID(int=4)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(0), "today 14:05"),
        (timedelta(hours=14), "today 00:05"),
        (timedelta(hours=15), "yesterday 23:05"),
        (timedelta(days=3), "4 September 2026, 14:05"),
    ],
)
def test_moments_are_told_in_london_time(before: timedelta, words: str) -> None:
    """In summer London is an hour ahead of UTC; today and yesterday are London's."""
    assert moment_words(NOW - before, now=NOW) == words


def test_deadline_of_whole_days_is_due_at_the_end_of_its_last_day() -> None:
    """`due_at` is the midnight after it, in winter and in summer."""
    assert due_words(MIDNIGHT) == "end of 3 March 2027"
    assert due_words(datetime(2026, 9, 6, 23, 0, tzinfo=UTC)) == "end of 6 September 2026"


def test_deadline_of_hours_is_due_at_its_time() -> None:
    """A 72-hour limit ends at a minute."""
    assert due_words(NOW) == "7 September 2026, 14:05"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("deadline.overdue:assessment", "assessment overdue"),
        ("deadline.due_soon:placement_review_first", "placement review first due soon"),
        ("deadline.waived:placement_review_first", "placement review first deadline waived"),
        ("deadline.extended:any deadline", "any deadline extended"),
        ("exit_interview.overdue", "exit interview overdue"),
        ("referral.received", "referral received"),
    ],
)
def test_kind_reads_as_words(kind: str, words: str) -> None:
    """An email's subject says what it is about without a code."""
    assert kind_words(kind) == words


def part(**changes: object) -> MessagePart:
    values: dict[str, object] = {
        "delivery_id": DELIVERY,
        "child_id": UUID(int=9),
        "template": "alert",
        "alert_id": ALERT,
        "role": Role.LEAD_PROFESSIONAL,
        "urgency": Urgency.URGENT,
        "seen": False,
        "kind": "deadline.overdue:assessment",
        "says": "Overdue since 3 March 2027: Conclude the assessment.",
        "next_step": "Act now, or record a reason and a new date.",
        "about": ABOUT,
        "case_id": CASE,
        "due_at": MIDNIGHT,
        "raised_at": NOW,
    }
    return MessagePart(**(values | changes))  # type: ignore[arg-type] # a dict of mixed values


def email(*parts: MessagePart, recipient_id: str = "W-0601", attempts: int = 0, **changes: object) -> Message:
    told = parts or (part(**changes),)
    return Message(DELIVERY, Channel.EMAIL, recipient_id, None, len(told) > 1, attempts, 0, told)


SETTINGS = Settings(
    site="https://leadline.example/",
    mail_from="leadline@council.example",
    mail_domain="workers.council.example",
)


def test_email_holds_case_reference_pack_words_and_link_and_nothing_else() -> None:
    """The whole message, so that nobody can add a detail of the child unnoticed."""
    message = message_from_bytes(compose(email(), SETTINGS).as_bytes(), policy=default)
    assert dict(message.items()) == {
        "From": "leadline@council.example",
        "To": "W-0601@workers.council.example",
        "Subject": "Leadline: assessment overdue, case 3f2a1b4c",
        "Date": "Mon, 07 Sep 2026 13:05:00 +0000",
        "Message-ID": f"<{DELIVERY}@council.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert message.get_content().splitlines() == [
        "Overdue since 3 March 2027: Conclude the assessment.",
        "By when: end of 3 March 2027",
        "What to do now: Act now, or record a reason and a new date.",
        "",
        f"Open the alert: https://leadline.example/inbox/W-0601/alerts/{ALERT}",
        "",
        "This message holds no details of the child, on purpose: please do not reply with any.",
    ]


def test_email_without_case_names_what_it_is_about() -> None:
    """A referral has no case yet."""
    message = compose(email(case_id=None, due_at=None, kind="referral.received"), SETTINGS)
    assert message["Subject"] == "Leadline: referral received, reference 00000000"
    assert "By when" not in message.get_content()


def test_email_is_the_same_each_time_it_is_tried() -> None:
    """A second copy can be told by its Message-ID, and holds nothing new."""
    assert compose(email(), SETTINGS).as_bytes() == compose(email(attempts=4), SETTINGS).as_bytes()


def test_digest_names_every_alert_and_what_was_seen_meanwhile() -> None:
    """One message for several alerts, each with its own link; the subject says how many."""
    second = part(
        alert_id=UUID(int=5), kind="plan.reviewed", says="The plan was reviewed.", due_at=None, seen=True
    )
    message = compose(email(part(), second), SETTINGS)
    assert message["Subject"] == "Leadline: 2 alerts"
    assert message["Message-ID"] == f"<{DELIVERY}@council.example>"
    lines = message.get_content().splitlines()
    assert lines[0] == "Assessment overdue, case 3f2a1b4c"
    assert lines[6:10] == [
        "",
        "Plan reviewed, case 3f2a1b4c",
        "The plan was reviewed.",
        "What to do now: Act now, or record a reason and a new date.",
    ]
    assert [line for line in lines if line.startswith("Open the alert")] == [
        f"Open the alert: https://leadline.example/inbox/W-0601/alerts/{each}"
        for each in (ALERT, UUID(int=5))
    ]
    assert lines.count("This alert was acknowledged meanwhile.") == 1


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("reminder", "Leadline: Reminder: assessment overdue, case 3f2a1b4c"),
        ("escalation", "Leadline: Not seen: assessment overdue, case 3f2a1b4c"),
    ],
)
def test_subject_says_that_nobody_has_acknowledged(template: str, subject: str) -> None:
    """A second message about one alert does not look like the first."""
    assert compose(email(template=template), SETTINGS)["Subject"] == subject


def test_id_with_slashes_and_colons_makes_an_address_and_a_link() -> None:
    """Codes may hold both; neither may end an address or a path early."""
    message = compose(email(recipient_id="agency:school/1"), SETTINGS)
    assert message["To"].addresses[0].addr_spec == '"agency:school/1"@workers.council.example'
    assert "/inbox/agency%3Aschool%2F1/alerts/" in message.get_content()
