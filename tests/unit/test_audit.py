"""What an audit compares, waits for and tells: rules without any store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from schemas.events import AlertRaised, DeadlineMet, DeadlineOverdue, EventParked, ReferralAccepted
from schemas.topics import REFERRAL
from services.cli import running
from services.cli.catalogue import ServiceName, service_of
from services.kernel.audit import passing as audit_passing
from services.kernel.audit import queries as audit_queries
from services.kernel.audit.between import handled
from services.kernel.audit.checker import Scope, measure
from services.kernel.audit.findings import (
    EXAMPLES,
    NUMBERS,
    Found,
    Outcome,
    ReportLine,
    differing,
    exit_code,
    foreign_ids,
    gaps,
    strays,
)
from services.kernel.audit.passing import outlast
from services.kernel.audit.queries import AuditStanding, Extent, History, Queued, Written
from services.kernel.base.settings import Settings
from services.kernel.messages.ids import derived
from services.kernel.processing.service import Service
from tests.unit.test_cli_commands import leadline

ONE, TWO = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 9, 7, 9, 0, tzinfo=UTC)
MET, OVERDUE = DeadlineMet.wire_type, DeadlineOverdue.wire_type
STATES = {MET: "met", OVERDUE: "overdue"}


@dataclass
class Parcel:
    """Something on its way: there after so many more looks, or in a store that goes away."""

    looks_until_there: int
    failed: str = ""
    breaks: bool = False
    looks: int = 0

    @property
    def here(self) -> int:
        return int(self.looks < self.looks_until_there)

    async def again(self) -> None:
        self.looks += 1
        if self.breaks:
            raise ConnectionRefusedError


@pytest.fixture
def without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_passing, "LOOK_SECONDS", 0.001)


@pytest.fixture(scope="module")
def services() -> dict[ServiceName, Service[Any]]:
    settings = Settings(policy=Path("deploy/policies/cambridgeshire.yaml"))
    return {name: service_of(name, settings) for name in ServiceName}


def line(outcome: Outcome, *, check: str = "numbers", count: int = 0) -> ReportLine:
    return ReportLine("referral", check, outcome, "words", count)


@pytest.mark.parametrize(("events", "last", "found"), [(3, 3, []), (2, 3, [ONE]), (3, 2, [ONE])])
def test_an_aggregate_has_as_many_events_as_its_last_ones_number(
    events: int, last: int, found: list[UUID]
) -> None:
    """Fewer: some are lost. More: a number is there twice."""
    assert gaps([History(ONE, events, last)]) == found


def test_an_id_that_does_not_follow_from_its_event_is_foreign() -> None:
    """Ids that follow cannot be the same for two events; any other may be."""
    own = Written(derived(TWO, f"{MET}/{ONE}/4"), TWO, MET, ONE, 4)
    assert foreign_ids([own]) == []
    assert foreign_ids([own, own._replace(sequence=5)]) == [own.event_id]


def test_a_position_without_an_entry_is_a_stray() -> None:
    """The relay would never publish it."""
    assert strays([Queued(1, NOW), Queued(2, None)]) == [2]


@pytest.mark.parametrize(
    ("standing", "right"),
    [
        (AuditStanding(ONE, 2, "met", 2, MET), True),
        (AuditStanding(ONE, 3, "met", 2, MET), False),
        (AuditStanding(ONE, 1, "met", 2, MET), False),
        (AuditStanding(ONE, 2, "overdue", 2, MET), False),
        (AuditStanding(ONE, 1, "met", 0, None), False),
        (AuditStanding(ONE, 2, "met", 2, "deadline.unheard_of.v1"), False),
    ],
)
def test_a_row_stands_where_the_journal_says(standing: AuditStanding, right: bool) -> None:
    """As many versions as events, and the state after the last of them."""
    assert (differing([standing], STATES) == []) is right


def test_where_no_state_follows_from_an_event_only_versions_are_compared() -> None:
    """A case's status is not told by its last event alone."""
    assert differing([AuditStanding(ONE, 2, None, 2, MET)], {}) == []
    assert differing([AuditStanding(ONE, 2, None, 1, MET)], {}) == [ONE]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["ok", "ok"], 0),
        (["ok", "finding"], 1),
        (["ok", "could not look"], 2),
        (["could not look", "finding"], 1),
    ],
)
def test_a_finding_outweighs_what_could_not_be_looked_at(outcomes: Sequence[Outcome], code: int) -> None:
    """0 clean, 1 findings, 2 could not look."""
    assert exit_code([line(outcome) for outcome in outcomes]) == code


def test_a_finding_counts_all_and_names_a_few() -> None:
    """Each thing once, the first ones as examples, and what to do with the first."""
    found = Found()
    found.add(range(8))
    found.add([3, 8])
    told = NUMBERS.line("referral", found.things)
    assert (told.outcome, told.count) == ("finding", 9)
    assert told.examples == tuple(map(str, range(EXAMPLES)))


def test_a_check_stops_where_a_longer_list_helps_nobody() -> None:
    """And says that there is more."""
    found = Found()
    found.add(range(audit_queries.MOST))
    assert found.full
    assert NUMBERS.line("referral", found.things).words.endswith(f": at least {audit_queries.MOST}")


def test_a_journal_is_read_in_pieces_that_leave_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each begins where the one before ended; an empty journal has none."""
    monkeypatch.setattr(audit_queries, "CHUNK", 10)
    assert list(Extent(5, 27, whole=False).chunks()) == [(5, 15), (15, 25), (25, 27)]
    assert list(Extent(0, 0, whole=True).chunks()) == []


@pytest.mark.usefixtures("without_pause")
async def test_what_arrives_within_the_grace_is_waited_for_and_no_longer() -> None:
    """The wait ends with the last arrival."""
    parcels = [Parcel(0), Parcel(1), Parcel(3)]
    await outlast(parcels, grace_seconds=60.0)
    assert [parcel.looks for parcel in parcels] == [0, 1, 3]


@pytest.mark.usefixtures("without_pause")
async def test_what_does_not_arrive_within_the_grace_stays() -> None:
    """It had at least one look at the end of the grace."""
    lost = Parcel(10**9)
    await outlast([lost], grace_seconds=0.02)
    assert lost.looks >= 1
    assert lost.here


async def test_without_a_grace_nobody_looks_twice() -> None:
    """What is not there is told at once."""
    lost = Parcel(1)
    await outlast([lost], grace_seconds=0.0)
    assert lost.looks == 0


@pytest.mark.usefixtures("without_pause")
async def test_a_store_that_goes_away_meanwhile_ends_the_wait_for_it_alone() -> None:
    """It is told as not looked at; the others are waited for."""
    broken, late = Parcel(10**9, breaks=True), Parcel(2)
    await outlast([broken, late], grace_seconds=60.0)
    assert (broken.failed, broken.looks, late.looks) == ("ConnectionRefusedError", 1, 2)


def test_only_what_a_service_handles_can_be_missed(services: dict[ServiceName, Service[Any]]) -> None:
    """A service answers for what it reads; notify reads all of the others', and of its own not its alerts."""
    referral, notify = services[ServiceName.REFERRAL], services[ServiceName.NOTIFY]
    assert handled(referral, services[ServiceName.ASSESSMENT]) == {ReferralAccepted.wire_type}
    assert handled(referral, services[ServiceName.PLACEMENT]) == frozenset()
    assert handled(referral, notify) == REFERRAL.types
    assert AlertRaised.wire_type not in handled(notify, notify)
    assert EventParked.wire_type in handled(notify, notify)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), {"ab", "bc", "cb"}),
        (Scope(only="a"), {"ab"}),
        (Scope(only="b"), {"ab", "bc", "cb"}),
        (Scope(only="b", since=7), {"bc"}),
        (Scope(last=7), {"ab", "bc", "cb"}),
    ],
)
def test_a_position_is_one_of_one_journal(scope: Scope, expected: set[str]) -> None:
    """One service is looked at with what it sent and received; from a position on, with what it sent."""
    assert {pair for pair in ("ab", "bc", "cb") if scope.crosses(*pair)} == expected


def test_metrics_keep_the_last_count_of_what_could_not_be_looked_at() -> None:
    """A gauge that fell to zero would say that all is well."""

    def value(name: str) -> float | None:
        labels = {"service": "referral", "check": "a check of this test"}
        return REGISTRY.get_sample_value(name, labels)

    measure([line("finding", check="a check of this test", count=3)], seconds=1.5)
    assert value("leadline_audit_findings") == 3
    assert value("leadline_audit_could_not_look") == 0
    measure([line("could not look", check="a check of this test")], seconds=1.5)
    assert value("leadline_audit_findings") == 3
    assert value("leadline_audit_could_not_look") == 1
    assert REGISTRY.get_sample_value("leadline_audit_seconds", {"service": "referral"}) == 1.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "5"), "add --service"),
        (("--service", "referral", "--since", "5", "--last", "9"), "either --since or --last"),
        (("--metrics-port", "9105"), "add --every"),
        (("--grace", "-1"), "must be at least 0"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_looked_at(arguments: tuple[str, ...], words: str) -> None:
    """Code 2, which also says that nothing could be looked at."""
    result = leadline("audit", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_without_a_system_there_is_nothing_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 2 and the sentence of every command."""
    monkeypatch.setattr(running, "VAR", tmp_path)
    result = leadline("audit")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("No system runs from this directory")


def test_a_database_that_is_away_could_not_be_looked_at() -> None:
    """Code 2; every store and every crossing says so, and no password is shown."""
    result = leadline(
        "audit",
        LEADLINE_KAFKA="127.0.0.1:1",
        LEADLINE_DATABASE="postgresql+asyncpg://n:secret@127.0.0.1:1/leadline_{service}",
    )
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1] == "0 findings, 13 could not look, 13 checks"
    assert "secret" not in result.output
