"""The operators' commands on real engines: what is set aside comes back, what went out goes out again."""

import asyncio
import csv
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text
from typer.testing import CliRunner, Result

from deploy.embedded.engines import Engines
from schemas.events import ReferralAccepted
from schemas.topics import TOPICS
from services.assessment.app import build as build_assessment
from services.cli import dead_letters, journal
from services.cli.main import app
from services.kernel.base.settings import Settings
from services.kernel.postgres.database import create_engine, migrate
from services.kernel.processing.batches import BatchProcessor
from services.referral.app import build as build_referral
from tests.builders import MONDAY, a_child, referral_made
from tests.connected.conftest import worker
from tests.flow.conftest import Bench, MakeBench
from tests.flow.test_delivery import accepted

pytestmark = pytest.mark.connected

PERSONAL = b'{"child_name": "Alice Example"}'
DISCARD = text("UPDATE dead_letters SET state = 'discarded' WHERE dead_letter_id = ANY(CAST(:ids AS uuid[]))")
NEXT_CURSOR = re.compile(r"add --after (\S+), or")
UNKNOWN = "0b1f6c1e-8f7c-5d0a-9f52-6a1f0d0c7e11"


class Cli:
    """The command line, pointed at the engines; in a thread, for commands bring their own event loop."""

    def __init__(self, engines: Engines) -> None:
        self._env = {**engines.env(), "COLUMNS": "200"}

    async def __call__(self, *arguments: str, code: int = 0, answer: str = "", **env: str) -> Result:
        """Run a command, check its exit code, return what it printed."""
        result = await asyncio.to_thread(
            CliRunner().invoke, app, arguments, input=answer, env={**self._env, **env}
        )
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.stderr
        return result


@pytest.fixture
async def cli(topics: Engines) -> Cli:
    """A command line over stores that are all migrated."""
    settings = Settings(database=topics.database_url)
    for name in ("referral", "assessment", "placement", "notify"):
        engine = create_engine(settings, name)
        await migrate(engine, name)
        await engine.dispose()
    return Cli(topics)


@pytest.fixture
async def referral(bench: MakeBench) -> Bench:
    return await bench("referral", build_referral)


@pytest.fixture
async def assessment(bench: MakeBench) -> Bench:
    return await bench("assessment", build_assessment)


@pytest.fixture
async def parked(referral: Bench) -> UUID:
    """A partner's referral with personal data in place of the agreed fields, set aside."""
    await referral.delivery.deliver([referral.record(referral_made())._replace(value=PERSONAL)])
    ((letter_id,),) = await referral.rows("SELECT dead_letter_id FROM dead_letters")
    return UUID(str(letter_id))


async def set_aside_too_large(bench: Bench, *events: ReferralAccepted) -> None:
    """Let the first event be parked for its size alone, which a replay does not mind; the others follow."""
    strict = BatchProcessor(
        bench.service, bench.engine, bench.clock, calendar=bench.calendar, max_value_bytes=10
    )
    await strict.deliver([bench.record(events[0])])
    await bench.deliver(*events[1:])


async def test_no_dead_letters_is_said_in_words(cli: Cli, referral: Bench) -> None:
    """An empty list is an answer."""
    assert (await cli("dead-letters", "list", "--service", "referral")).stdout == "no dead letters\n"
    assert (
        await cli("dead-letters", "replay", "--all", "--service", "referral")
    ).stdout == "no dead letters\n"


async def test_a_parked_event_is_listed_with_where_it_is_and_why(cli: Cli, parked: UUID) -> None:
    """In whichever service it is, as a table and as JSON."""
    line = (await cli("dead-letters", "list")).stdout.splitlines()[-1]
    assert line.split()[:5] == [str(parked), "referral", "parked", "partner.referral_made.v1", "malformed"]
    facts = json.loads((await cli("dead-letters", "list", "--json")).stdout)
    assert [(fact["id"], fact["topic"], fact["attempts"]) for fact in facts] == [
        (str(parked), "partner-events", 1)
    ]
    assert (await cli("dead-letters", "list", "--state", "waiting")).stdout == "no dead letters\n"


@pytest.mark.parametrize("form", [(), ("--json",)])
async def test_what_a_partner_wrote_is_shown_only_on_demand(
    cli: Cli, referral: Bench, form: tuple[str, ...]
) -> None:
    """Value, key and foreign headers may hold personal data by mistake; `--value` shows them."""
    record = referral.record(referral_made())
    headers = (*record.headers, ("child", b"Alice Header"))
    await referral.delivery.deliver([record._replace(value=PERSONAL, key=b"Alice Key", headers=headers)])
    ((letter,),) = await referral.rows("SELECT dead_letter_id FROM dead_letters")
    shown = (await cli("dead-letters", "show", str(letter), *form)).stdout
    assert "partner.referral_made.v1" in shown
    assert "Alice" not in shown
    whole = (await cli("dead-letters", "show", str(letter), "--value", *form)).stdout
    for word in ("Alice Example", "Alice Key", "Alice Header"):
        assert word in whole


async def test_a_replay_that_fails_again_is_code_1_and_counted(
    cli: Cli, parked: UUID, referral: Bench
) -> None:
    """The letter stays parked; one by one and with --all."""
    assert "failed again" in (await cli("dead-letters", "replay", str(parked), code=1)).stdout
    assert "1 tried, 1 failed again" in (await cli("dead-letters", "replay", "--all", code=1)).stdout
    assert await referral.rows("SELECT state, attempts FROM dead_letters") == [("parked", 3)]


async def test_a_letter_is_discarded_only_after_a_yes(cli: Cli, parked: UUID, referral: Bench) -> None:
    """Without it nothing changes; with it, who decided is kept, and it cannot be replayed any more."""
    command = ("dead-letters", "discard", str(parked), "--by", "A. Operator")
    await cli(*command, answer="n\n", code=1)
    assert await referral.rows("SELECT state FROM dead_letters") == [("parked",)]
    await cli(*command, answer="y\n")
    assert await referral.rows("SELECT state, settled_by FROM dead_letters") == [("discarded", "A. Operator")]
    again = await cli("dead-letters", "replay", str(parked), code=1)
    assert again.stderr == "This dead letter is already discarded.\n"


async def test_an_unknown_letter_is_one_sentence(cli: Cli) -> None:
    """Wherever it is looked for."""
    result = await cli("dead-letters", "show", UNKNOWN, code=1)
    assert result.stderr == f"There is no dead letter {UNKNOWN} in any service.\n"


async def test_a_replay_releases_what_waits_behind_in_order(cli: Cli, assessment: Bench) -> None:
    """The parked one first, then the waiting one; both have their effect and who did it is kept."""
    await set_aside_too_large(assessment, accepted(1), accepted(1, referral=2))
    shown = await cli("dead-letters", "list", "--service", "assessment", "--json")
    first, second = json.loads(shown.stdout)
    assert (first["state"], second["state"]) == ("parked", "waiting")
    told = (await cli("dead-letters", "replay", first["id"], "--by", "op")).stdout.splitlines()
    assert [line.split()[:2] for line in told] == [["replayed", first["id"]], ["replayed", second["id"]]]
    assert await assessment.rows("SELECT DISTINCT state, settled_by FROM dead_letters") == [
        ("replayed", "op")
    ]
    assert "assessment.started.v1" in await assessment.journal_types()


@pytest.mark.parametrize("form", ["last", "--all"])
async def test_what_waits_for_a_letter_that_is_settled_is_released_in_order(
    cli: Cli, assessment: Bench, form: str
) -> None:
    """Whichever of them is named, the case goes on with its first; nothing waits any more."""
    await set_aside_too_large(assessment, *(accepted(1, referral=number) for number in (1, 2, 3)))
    async with assessment.engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET state = 'discarded' WHERE state = 'parked'"))
    rows = await assessment.rows("SELECT dead_letter_id FROM dead_letters ORDER BY arrived")
    _, first, last = (str(row[0]) for row in rows)
    command = ("dead-letters", "replay", "--service", "assessment", last if form == "last" else form)
    told = (await cli(*command)).stdout.splitlines()
    assert [line.split()[:2] for line in told[:2]] == [["replayed", first], ["replayed", last]]
    assert await assessment.rows("SELECT 1 FROM dead_letters WHERE state IN ('parked', 'waiting')") == []
    assert "assessment.started.v1" in await assessment.journal_types()


async def test_letters_are_listed_page_by_page_while_they_are_settled(
    cli: Cli, referral: Bench, assessment: Bench
) -> None:
    """Of all services, the oldest first; each once, and none is passed over for those that leave the list."""
    for number in range(1, 5):
        broken = referral.record(referral_made(a_child(number)))._replace(value=PERSONAL)
        await referral.delivery.deliver([broken, broken._replace(key=b"another", offset=90 + number)])
        assessment.clock.move(timedelta(minutes=1))
        referral.clock.move(timedelta(minutes=1))
        await assessment.delivery.deliver([assessment.record(accepted(number))._replace(value=b"{}")])
    everything = json.loads((await cli("dead-letters", "list", "--json")).stdout)
    assert [fact["parked_at"] for fact in everything] == sorted(fact["parked_at"] for fact in everything)
    assert {fact["service"] for fact in everything} == {"referral", "assessment"}
    seen: list[dict[str, object]] = []
    after: tuple[str, ...] = ()
    while True:
        page = await cli("dead-letters", "list", "--json", "--limit", "3", *after)
        shown = json.loads(page.stdout)
        seen += shown
        for bench in (referral, assessment):
            ids = [fact["id"] for fact in shown if fact["service"] == bench.service.name]
            async with bench.engine.begin() as connection:
                await connection.execute(DISCARD, {"ids": ids})
        cursor = NEXT_CURSOR.search(page.stderr)
        if cursor is None:
            break
        after = ("--after", cursor[1])
    assert seen == everything
    assert (await cli("dead-letters", "list")).stdout == "no dead letters\n"


async def test_replaying_all_takes_every_letter_however_many_there_are(
    cli: Cli, assessment: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read page by page."""
    monkeypatch.setattr(dead_letters, "PAGE", 2)
    for number in range(1, 6):
        await set_aside_too_large(assessment, accepted(number))
    told = (await cli("dead-letters", "replay", "--all", "--service", "assessment")).stdout
    assert "5 tried, 0 failed again" in told


async def test_deadlines_are_listed_page_by_page_while_some_are_met(
    cli: Cli, referral: Bench, assessment: Bench
) -> None:
    """Of all services, the earliest first; those that stay open come once."""
    await referral.deliver(*[referral_made(a_child(number)) for number in range(1, 6)])
    await assessment.deliver(*[accepted(number) for number in range(1, 4)])
    everything = json.loads((await cli("deadlines", "--json")).stdout)
    first = await cli("deadlines", "--json", "--limit", "3")
    shown = json.loads(first.stdout)
    async with referral.engine.begin() as connection:
        met = text("UPDATE deadlines SET state = 'met' WHERE about = ANY(CAST(:ids AS uuid[]))")
        await connection.execute(met, {"ids": [fact["about"] for fact in shown]})
    cursor = NEXT_CURSOR.search(first.stderr)
    assert cursor is not None
    rest = await cli("deadlines", "--json", "--limit", "500", "--after", cursor[1])
    assert shown + json.loads(rest.stdout) == everything
    assert "There are more" not in rest.stderr
    other = await cli("deadlines", "--service", "referral", "--after", cursor[1], code=2)
    assert "belongs to another list" in " ".join(other.stderr.split())


async def test_what_waits_with_reason_is_refused(cli: Cli, assessment: Bench) -> None:
    """The parked event of its case comes first."""
    await set_aside_too_large(assessment, accepted(1), accepted(1, referral=2))
    ((waits,),) = await assessment.rows("SELECT dead_letter_id FROM dead_letters WHERE state = 'waiting'")
    refused = await cli("dead-letters", "replay", str(waits), code=1)
    assert refused.stderr == "This event waits behind a parked one of its case: settle that one first.\n"


async def test_replaying_all_leaves_a_case_alone_after_its_first_failure(cli: Cli, assessment: Bench) -> None:
    """What comes later in the case of a failing event is not tried; other cases are."""
    broken = [assessment.record(accepted(1, referral=n))._replace(value=b"{}") for n in (1, 2)]
    await assessment.delivery.deliver(broken)
    async with assessment.engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET state = 'parked'"))
    await set_aside_too_large(assessment, accepted(2))
    told = (await cli("dead-letters", "replay", "--all", "--service", "assessment", code=1)).stdout
    assert "2 tried, 1 failed again" in told
    assert "1 left alone" in told
    states = await assessment.rows("SELECT state, attempts FROM dead_letters ORDER BY arrived")
    assert states == [("parked", 2), ("parked", 1), ("replayed", 1)]


async def test_a_replayed_journal_waits_for_a_relay_and_says_so(
    cli: Cli, referral: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no worker runs the events stay in the outbox, and the command does not wait for ever."""
    monkeypatch.setattr(journal, "PATIENCE_SECONDS", 0.5)
    await referral.deliver(referral_made())
    async with referral.engine.begin() as connection:
        await connection.execute(text("DELETE FROM outbox"))
    told = await cli("journal", "replay", "referral", "--since", "2", answer="y\n", code=1)
    assert "1 event of the referral service will go on the bus again" in told.stdout
    assert "no relay runs" in told.stderr
    assert await referral.rows("SELECT position FROM outbox") == [(2,)]


async def test_a_replayed_journal_goes_out_when_a_worker_runs(
    cli: Cli, topics: Engines, referral: Bench
) -> None:
    """The running worker's relay empties the outbox and the command reports the end."""
    await referral.deliver(referral_made())
    # On the bench's Monday, so that no deadline passes and adds events of its own.
    with worker(topics, "referral", LEADLINE_CLOCK_START=MONDAY.isoformat()):
        async with asyncio.timeout(60):  # a process starts, on a busy machine not at once
            while await referral.rows("SELECT position FROM outbox"):
                await asyncio.sleep(0.05)
        told = await cli("journal", "replay", "referral", "--yes")
    assert told.stdout == "2 events on the bus again\n"
    assert await referral.rows("SELECT position FROM outbox") == []


async def test_an_empty_journal_is_said_in_words(cli: Cli, referral: Bench) -> None:
    """Nothing to show, nothing to publish."""
    assert (await cli("journal", "show", "referral")).stdout == "no events\n"
    assert (await cli("journal", "replay", "referral", "--yes")).stdout == "no events\n"


async def test_the_journal_is_shown_in_order_and_by_child_and_type(cli: Cli, referral: Bench) -> None:
    """Each filter narrows it; a page has as many rows as asked for and says that there is more."""
    await referral.deliver(referral_made(a_child(1)), referral_made(a_child(2)))

    async def shown(*options: str) -> list[tuple[int, str, str]]:
        lines = json.loads((await cli("journal", "show", "referral", "--json", *options)).stdout)
        return [(line["position"], line["type"], line["child_id"]) for line in lines]

    everything = await shown()
    assert [line[0] for line in everything] == [1, 2, 3, 4]
    child = str(UUID(int=2))
    assert await shown("--child", child) == [line for line in everything if line[2] == child]
    received = ("--type", "referral.received.v1")
    assert {line[1] for line in await shown(*received)} == {"referral.received.v1"}
    assert await shown("--limit", "1", "--after", "2") == everything[2:3]
    page = await cli("journal", "show", "referral", "--limit", "1")
    assert len(page.stdout.splitlines()) == 2
    assert "add --after 1," in page.stderr


async def test_open_deadlines_come_earliest_first_and_overdue_ones_are_marked(
    cli: Cli, referral: Bench, tmp_path: Path
) -> None:
    """Monday's referral is due on Tuesday evening in London, Tuesday's a day later."""
    await referral.deliver(referral_made(a_child(1)))
    referral.clock.move(timedelta(days=1))
    await referral.deliver(referral_made(a_child(2)))
    referral.clock.move(MONDAY + timedelta(days=1, hours=18))
    await referral.scan()
    lines = (await cli("deadlines", "--service", "referral")).stdout.splitlines()[1:]
    assert [line[:10] for line in lines] == sorted(line[:10] for line in lines)
    assert ["OVERDUE" in line for line in lines] == [True, False]
    late = json.loads((await cli("deadlines", "--state", "overdue", "--json")).stdout)
    assert [(line["service"], line["kind"]) for line in late] == [("referral", "triage_decision")]
    unknown = await cli("deadlines", "--kind", "nonsense", code=2)
    assert "There are: " in unknown.stderr
    assert "triage_decision" in unknown.stderr
    assert (await cli("deadlines", "--kind", "exit_interview")).stdout == "no open deadlines\n"


async def test_a_service_without_a_store_is_named_and_the_others_answer(
    cli: Cli, topics: Engines, parked: UUID
) -> None:
    """A database that does not exist is no reason to hide the other services' letters."""
    elsewhere = topics.database_url.replace("{service}", "nowhere_{service}")
    result = await cli("dead-letters", "list", LEADLINE_DATABASE=elsewhere)
    assert result.stdout == "no dead letters\n"
    assert "The referral service has no store yet: `leadline worker referral` creates it." in result.stderr


@pytest.fixture
async def missing_topic(topics: Engines) -> AsyncIterator[str]:
    """A declared topic that somebody has deleted; it is there again at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.kafka)
    await admin.start()
    try:
        await admin.delete_topics(["notify-events"])
        for _ in range(600):
            if "notify-events" not in await admin.list_topics():
                break
            await asyncio.sleep(0.05)
        yield "notify-events"
        await Cli(topics)("topics", "apply")
    finally:
        await admin.close()


async def test_the_doctor_and_the_list_find_a_missing_topic_and_apply_mends_it(
    cli: Cli, missing_topic: str
) -> None:
    """A problem with what to do, which then helps."""
    found = (await cli("doctor", code=1)).stdout
    assert f"{missing_topic} is missing" in found
    assert "leadline topics apply" in found
    await cli("topics", "list", code=1)
    assert (await cli("topics", "apply")).stdout == f"created: {missing_topic}\n"
    assert (await cli("topics", "apply")).stdout == "nothing to do: every topic exists\n"
    listed = (await cli("topics", "list")).stdout
    assert missing_topic in listed


async def test_the_doctor_sees_broker_stores_outbox_letters_and_lag(cli: Cli, parked: UUID) -> None:
    """A parked event and an event that nobody publishes are warnings: code 0, each with what to do."""
    found = {check["name"]: check for check in json.loads((await cli("doctor", "--json")).stdout)}
    assert found["broker"]["state"] == "ok"
    assert "cluster" in found["broker"]["words"]
    for name in ("referral", "assessment", "placement", "notify"):
        assert found[f"store of {name}"]["words"] == "reachable, tables up to date"
        assert found[f"lag of {name}"]["words"].endswith(("event", "events"))
    letters = found["dead letters of referral"]
    assert (letters["state"], letters["words"]) == ("warning", "1 parked, 0 waiting")
    assert "leadline dead-letters list --service referral" in letters["advice"]
    # What waits is the parked event's own alarm, written at the bench's Monday.
    assert found["outbox of referral"]["words"].startswith(
        "1 event not on the bus yet, the oldest since 2026-09-07 10:00"
    )


async def test_the_doctor_finds_a_store_that_was_never_migrated(cli: Cli, topics: Engines) -> None:
    """The tables are made by the worker, and the advice says so."""
    elsewhere = topics.database_url.replace("{service}", "nowhere_{service}")
    found = (await cli("doctor", code=1, LEADLINE_DATABASE=elsewhere)).stdout
    assert "The referral service has no store yet: `leadline worker referral` creates it." in found


async def test_lag_is_shown_for_every_service_and_topic(cli: Cli) -> None:
    """Each service with each topic that it reads."""
    lines = (await cli("topics", "lag")).stdout.splitlines()[1:]
    shown = {(service, topic) for service, topic, _ in map(str.split, lines)}
    assert shown == {(reader, topic.name) for topic in TOPICS for reader in topic.readers}
    assert all(line.split()[2].isdigit() for line in lines)


async def test_an_import_says_what_it_did_and_keeps_every_refusal(
    cli: Cli, topics: Engines, tmp_path: Path
) -> None:
    """One good and one impossible episode: one is taken, the other told on screen and in the file."""
    header = "CHILD,SEX,DOB,ETHNIC,UPN,MOTHER,MC_DOB\n"
    (tmp_path / "2021-header.csv").write_text(header + "1,1,05/05/2010,WBRI,X1,,\n", encoding="utf-8")
    columns = (
        "CHILD,DECOM,RNE,LS,CIN,PLACE,PLACE_PROVIDER,DEC,REC,REASON_PLACE_CHANGE,HOME_POST,PL_POST,URN\n"
    )
    rows = "1,01/06/2020,S,C2,N1,U4,PR1,,,,,,\n1,31/02/2020,S,C2,N1,U4,PR1,,,,,,\n"
    (tmp_path / "2021-episodes.csv").write_text(columns + rows, encoding="utf-8")
    report = tmp_path / "refused.csv"
    with worker(topics, "placement"):
        told = await cli("import-ssda903", str(tmp_path), "--report", str(report))
    assert "2 of 3 rows taken, 1 refused" in told.stdout
    assert report.read_text(encoding="utf-8").startswith("file,line,reason\n2021-episodes.csv,3,")


async def test_an_import_that_leaves_a_file_out_names_it_and_is_no_success(
    cli: Cli, topics: Engines, tmp_path: Path
) -> None:
    """What can be read is imported all the same; what to do stands on screen and in the report."""
    (tmp_path / "SSDA903_2026_reviews.csv").write_text(
        "CHILD;DOB;REVIEW;REVIEW_CODE\n1;;10/06/2025;PN1\n;;;\n", encoding="utf-8"
    )
    (tmp_path / "2026-episodes.xlsx").write_bytes(b"PK\x03\x04")
    (tmp_path / "2026-uasc.csv").write_text("CHILD,SEX,DOB,DUC\n", encoding="utf-8")
    report = tmp_path / "refused.csv"
    with worker(topics, "placement"):
        told = await cli("import-ssda903", str(tmp_path), "--report", str(report), code=1)
    assert "1 of 1 row taken, 0 refused" in told.stdout
    reason = "it is an Excel workbook: save its sheet as CSV UTF-8, under a name like 2026-episodes.csv"
    assert f"2026-episodes.xlsx was not read: {reason}\n" in told.stdout
    assert "other files that were not read: 2026-uasc.csv\n" in told.stdout
    assert told.stderr.strip().splitlines()[-1] == (
        "Not read, though they look like part of the return: 2026-episodes.xlsx."
        " Put them right and import again."
    )
    with report.open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream))[1:] == [["2026-episodes.xlsx", "", reason]]


ODD = ("'; DROP TABLE journal; --", "St Mary's \u2603", "%s $1 :key \\", "x" * 400)


@pytest.mark.parametrize("text_", ODD, ids=["sql", "unicode", "placeholders", "long"])
async def test_odd_text_reaches_a_store_as_text_or_is_refused_in_words(cli: Cli, text_: str) -> None:
    """What a store could take is looked up and not there; nothing of it is a statement."""
    assert (
        "There is no agency with a key"
        in (await cli("agency-keys", "list", "--agency", text_, code=2)).stderr
    )
    assert "No such key is in use" in (await cli("agency-keys", "revoke", text_, code=1)).stderr
    assert "There is no kind of deadline" in (await cli("deadlines", "--kind", text_, code=2)).stderr
    await cli("dead-letters", "replay", UNKNOWN, "--by", text_, code=1)
    await cli("agency-keys", "issue", text_, code=2)


async def test_positions_at_the_far_end_are_answers(cli: Cli, referral: Bench) -> None:
    """The largest that a store knows; one more is wrong usage."""
    await referral.deliver(referral_made())
    far = str(2**63 - 1)
    assert (await cli("journal", "replay", "referral", "--since", far, "--yes")).stdout == "no events\n"
    await cli("journal", "replay", "referral", "--since", str(2**63), "--yes", code=2)
    assert (await cli("journal", "show", "referral", "--after", far)).stdout == "no events\n"
