"""Loads and saves the people and alerts of a batch. What pages read is in `reading`, e-mails in `posting`."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from schemas.events import AlertRaised, Event
from schemas.events.codes import Role, Urgency
from services.kernel.connection import Connection, Row
from services.kernel.service import Message
from services.notify import posting
from services.notify.book import NotifyBook
from services.notify.model import AcknowledgeAlert, Alert, Case, People, Referrer
from services.notify.pack import NotifyPack
from services.notify.policy import E_MAILED

ALERT = """
    alert_id, version, status, recipient_id, role, kind, urgency, says, next_step, about, case_id, child_id,
    due_at, raised_at, acknowledged_at, acknowledged_by
"""

LOAD_ALERTS = text(f"""
    SELECT {ALERT} FROM alerts WHERE alert_id = ANY(CAST(:ids AS uuid[])) ORDER BY alert_id FOR UPDATE
""")  # noqa: S608 - the columns are ours

# People are read without locks: a child's referrer has one writer (the worker that reads the child's
# partition of referral-events), and so has a case (assessment-events). Locks would only make workers wait
# for each other that read the same child on different topics.
# One statement, and no join: each half finds its rows over its own index, whatever the planner believes.
LOAD_PEOPLE = text("""
    SELECT child_id, locality, agency_id, referred_at,
           CAST(NULL AS uuid) AS case_id, CAST(NULL AS timestamptz) AS opened_at, NULL AS status,
           NULL AS lead_professional_id, NULL AS team
    FROM referrers WHERE child_id = ANY(CAST(:children AS uuid[]))
    UNION ALL
    SELECT child_id, locality, NULL, NULL, case_id, opened_at, status, lead_professional_id, team
    FROM cases WHERE child_id = ANY(CAST(:children AS uuid[]))
    ORDER BY case_id
""")

# One statement for an alert and its e-mail: a batch of events mostly brings both.
SAVE_ALERTS = text(f"""
    WITH saved AS (
        INSERT INTO alerts ({ALERT})
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:versions AS integer[]), CAST(:statuses AS text[]),
            CAST(:recipients AS text[]), CAST(:roles AS text[]), CAST(:kinds AS text[]),
            CAST(:urgencies AS text[]), CAST(:says AS text[]), CAST(:next_steps AS text[]),
            CAST(:abouts AS uuid[]), CAST(:cases AS uuid[]), CAST(:children AS uuid[]),
            CAST(:due_ats AS timestamptz[]), CAST(:raised_ats AS timestamptz[]),
            CAST(:acknowledged_ats AS timestamptz[]), CAST(:acknowledgers AS text[])
        )
        ON CONFLICT (alert_id) DO UPDATE SET
            version = excluded.version, status = excluded.status,
            acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by
    )
    INSERT INTO e_mails (alert_id, state)
    SELECT alert_id, :e_mail FROM unnest(CAST(:mailed AS uuid[])) AS fresh (alert_id)
""")  # noqa: S608 - the columns are ours

SAVE_REFERRERS = text("""
    INSERT INTO referrers (child_id, agency_id, locality, referred_at)
    SELECT * FROM unnest(
        CAST(:children AS uuid[]), CAST(:agencies AS text[]), CAST(:localities AS text[]),
        CAST(:referred_ats AS timestamptz[])
    )
    ON CONFLICT (child_id) DO UPDATE SET
        agency_id = excluded.agency_id, locality = excluded.locality, referred_at = excluded.referred_at
    WHERE referrers.referred_at <= excluded.referred_at
""")

SAVE_CASES = text("""
    INSERT INTO cases (case_id, child_id, opened_at, status, lead_professional_id, team, locality)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:children AS uuid[]), CAST(:opened_ats AS timestamptz[]),
        CAST(:statuses AS text[]), CAST(:leads AS text[]), CAST(:teams AS text[]), CAST(:localities AS text[])
    )
    ON CONFLICT (case_id) DO UPDATE SET
        opened_at = excluded.opened_at, status = excluded.status, team = excluded.team,
        lead_professional_id = excluded.lead_professional_id, locality = excluded.locality
""")


class NotifyStore:
    """Loads and saves what a batch touches. `mails`: whether a mail server is configured."""

    def __init__(self, pack: NotifyPack, *, mails: bool) -> None:
        self.pack = pack
        self._mails = mails

    async def load(self, connection: Connection, messages: Sequence[Message]) -> NotifyBook:
        """Return the book for a batch: the people around its events' children, its commands' alerts."""
        book = NotifyBook(self.pack)
        ids = {message.alert_id for message in messages if isinstance(message, AcknowledgeAlert)}
        if ids:
            for row in await connection.execute(LOAD_ALERTS, {"ids": sorted(ids)}):
                book.alerts[row.alert_id] = alert_of(row)
        children = {message.child_id for message in messages if isinstance(message, Event)}
        if children:
            book.people = await _people(connection, sorted(children))
        return book

    async def save(self, connection: Connection, book: NotifyBook) -> None:
        """Write what has changed; queue the e-mails of new alerts, drop those of alerts already seen."""
        await _save_referrers(
            connection, [book.people[child_id] for child_id in sorted(book.changed_referrers)]
        )
        await _save_cases(connection, book)
        changed = [book.alerts[alert_id] for alert_id in sorted(book.changed_alerts)]
        await self._save_alerts(connection, changed)
        seen = [alert.alert_id for alert in changed if alert.status == "acknowledged"]
        await posting.drop(connection, seen)

    async def _save_alerts(self, connection: Connection, changed: Sequence[Alert]) -> None:
        """Write alerts, and queue the e-mails of those that are new and not routine.

        Without a mail server e-mails are recorded as `not_configured` and never sent later: a server that is
        added after weeks must not flood people with what they have long read in their inbox.
        """
        if not changed:
            return
        facts = [alert.facts for alert in changed]
        fresh = [alert for alert in changed if alert.version == 1 and alert.facts.urgency in E_MAILED]
        await connection.execute(
            SAVE_ALERTS,
            {
                "ids": [alert.alert_id for alert in changed],
                "versions": [alert.version for alert in changed],
                "statuses": [alert.status for alert in changed],
                "recipients": [raised.recipient_id for raised in facts],
                "roles": [raised.role.value for raised in facts],
                "kinds": [raised.kind for raised in facts],
                "urgencies": [raised.urgency.value for raised in facts],
                "says": [raised.says for raised in facts],
                "next_steps": [raised.next_step for raised in facts],
                "abouts": [raised.about for raised in facts],
                "cases": [raised.case_id for raised in facts],
                "children": [raised.child_id for raised in facts],
                "due_ats": [raised.due_at for raised in facts],
                "raised_ats": [raised.raised_at for raised in facts],
                "acknowledged_ats": [alert.acknowledged_at for alert in changed],
                "acknowledgers": [alert.acknowledged_by for alert in changed],
                "mailed": [alert.alert_id for alert in fresh],
                "e_mail": "queued" if self._mails else "not_configured",
            },
        )


def alert_of(row: Row) -> Alert:
    """Return the alert that a row holds."""
    raised = AlertRaised(
        child_id=row.child_id,
        alert_id=row.alert_id,
        recipient_id=row.recipient_id,
        role=Role(row.role),
        kind=row.kind,
        urgency=Urgency(row.urgency),
        about=row.about,
        case_id=row.case_id,
        due_at=row.due_at,
        says=row.says,
        next_step=row.next_step,
        raised_at=row.raised_at,
    )
    return Alert(row.alert_id, row.version, row.status, raised, row.acknowledged_at, row.acknowledged_by)


async def _people(connection: Connection, children: Sequence[UUID]) -> dict[UUID, People]:
    referrers: dict[UUID, Referrer] = {}
    cases: dict[UUID, list[Case]] = {}
    for row in await connection.execute(LOAD_PEOPLE, {"children": children}):
        if row.case_id is None:
            referrers[row.child_id] = Referrer(row.agency_id, row.locality, row.referred_at)
            continue
        case = Case(row.case_id, row.opened_at, row.status, row.lead_professional_id, row.team, row.locality)
        cases.setdefault(row.child_id, []).append(case)
    return {
        child_id: People(child_id, referrers.get(child_id), tuple(cases.get(child_id, ())))
        for child_id in referrers.keys() | cases.keys()
    }


async def _save_referrers(connection: Connection, changed: Sequence[People]) -> None:
    referrers = [(people.child_id, people.referrer) for people in changed if people.referrer is not None]
    if referrers:
        await connection.execute(
            SAVE_REFERRERS,
            {
                "children": [child_id for child_id, _ in referrers],
                "agencies": [referrer.agency_id for _, referrer in referrers],
                "localities": [referrer.locality for _, referrer in referrers],
                "referred_ats": [referrer.referred_at for _, referrer in referrers],
            },
        )


async def _save_cases(connection: Connection, book: NotifyBook) -> None:
    changed = sorted(book.changed_cases.items())
    cases = [(book.people[child_id].find_case(case_id), child_id) for case_id, child_id in changed]
    known = [(case, child_id) for case, child_id in cases if case is not None]
    if known:
        await connection.execute(
            SAVE_CASES,
            {
                "ids": [case.case_id for case, _ in known],
                "children": [child_id for _, child_id in known],
                "opened_ats": [case.opened_at for case, _ in known],
                "statuses": [case.status for case, _ in known],
                "leads": [case.lead_professional_id for case, _ in known],
                "teams": [case.team for case, _ in known],
                "localities": [case.locality for case, _ in known],
            },
        )
