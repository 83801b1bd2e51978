"""The four councils' packs: valid, complete, different, and saying what they should."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.codes import AgencyKind, Concern, NeedDomain, Role
from schemas.topics import DEADLINES, TOPICS
from services.assessment.conditions import ThresholdCondition
from services.assessment.pack import AssessmentPack
from services.kernel.deadlines.rules import DeadlineRule
from services.kernel.pack.model import Pack, PackError, load_pack
from services.notify.pack.model import NotifyPack
from services.placement.pack import PlacementPack
from services.referral.conditions import ReferralFacts, TriageCondition
from services.referral.pack import ReferralPack

FOLDER = Path(__file__).parents[2] / "deploy" / "policies"
COUNCILS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
DEADLINE_NAMES = sorted(event.name for event in DEADLINES)
OTHER_NAMES = sorted(
    {event.name for topic in TOPICS if topic.owner != "partners" for event in topic.events}
    - set(DEADLINE_NAMES)
)
SERVICES: tuple[type[Pack], ...] = (ReferralPack, AssessmentPack, PlacementPack, NotifyPack)
LEAD, MANAGER, REFERRER = Role.LEAD_PROFESSIONAL, Role.TEAM_MANAGER, Role.REFERRER

councils = pytest.mark.parametrize("council", COUNCILS)


@cache
def _load(council: str, model: type[Pack]) -> Pack:
    return load_pack(FOLDER / f"{council}.yaml", model)


def referral(council: str) -> ReferralPack:
    """Return what the referral service reads."""
    pack = _load(council, ReferralPack)
    assert isinstance(pack, ReferralPack)
    return pack


def assessment(council: str) -> AssessmentPack:
    """Return what the assessment service reads."""
    pack = _load(council, AssessmentPack)
    assert isinstance(pack, AssessmentPack)
    return pack


def notify(council: str) -> NotifyPack:
    """Return what the notify service reads."""
    pack = _load(council, NotifyPack)
    assert isinstance(pack, NotifyPack)
    return pack


def told(council: str, name: str, kind: str | None = None) -> set[Role]:
    """Return every role that an event alerts."""
    rules = notify(council).alerts_for(name, kind)
    assert rules is not None
    return {role for rule in rules for role in rule.to}


def test_the_four_councils_of_the_sources_ship() -> None:
    """Each source's council has its pack."""
    assert COUNCILS == ["cambridgeshire", "devon", "oxfordshire", "stockton-on-tees"]


@councils
@pytest.mark.parametrize("model", SERVICES)
def test_every_service_can_read_every_pack(council: str, model: type[Pack]) -> None:
    """The file's name is the council's code, and the version begins with it."""
    pack = _load(council, model)
    assert pack.pack.council == council
    assert pack.pack.version.startswith(f"{council}-")
    assert set(pack.labels.levels) == {1, 2, 3, 4}


def test_councils_differ_in_data_and_not_only_in_name() -> None:
    """Localities, teams, level names, rules and deadlines are each council's own."""
    packs = [assessment(council) for council in COUNCILS]
    assert [len(pack.localities) for pack in packs] == [14, 12, 22, 6]
    assert [len(pack.teams) for pack in packs] == [14, 4, 22, 1]
    assert len({tuple(pack.labels.levels.values()) for pack in packs}) == 4
    assert len({pack.deadlines.plan_review.code for pack in packs}) == 4
    assert len({pack.threshold.model_dump_json() for pack in packs}) == 4
    assert len({referral(council).triage.model_dump_json() for council in COUNCILS}) == 4


def test_a_cambridgeshire_team_has_a_manager_and_three_to_five_others() -> None:
    """Nobody leads a case who has no points for it."""
    pack = assessment("cambridgeshire")
    for team in pack.teams:
        others = [p.id for p in pack.practitioners if p.team == team.code and p.id != team.manager]
        assert 3 <= len(others) <= 5, team.code
        assert all(pack.points_of[worker] > 0 for worker in others)
        assert pack.points_of[team.manager] == 0


def test_a_role_leads_cases_with_its_share_of_the_capacity() -> None:
    """A senior social worker of Cambridgeshire has 24 points and half of the time for cases."""
    points = assessment("cambridgeshire").points_of
    assert points["W-0111"] == 12
    assert points["W-0101"] == 24


# --- alerts


@councils
@pytest.mark.parametrize("name", OTHER_NAMES)
def test_every_published_event_alerts_somebody_or_is_silent_on_purpose(council: str, name: str) -> None:
    """A new event type fails here until somebody has decided whom it concerns."""
    assert notify(council).alerts_for(name) is not None


@councils
@pytest.mark.parametrize("name", DEADLINE_NAMES)
def test_every_state_of_every_deadline_alerts_somebody_or_is_silent_on_purpose(
    council: str, name: str
) -> None:
    """Also for kinds that nobody has thought of yet."""
    pack = notify(council)
    for kind in (*pack.deadlines.by_kind, "a_kind_of_tomorrow"):
        assert pack.alerts_for(name, kind) is not None, kind


def test_an_event_that_the_pack_does_not_mention_is_not_mistaken_for_a_silent_one() -> None:
    """None means undecided, empty means silent."""
    pack = notify("cambridgeshire")
    assert pack.alerts_for("moon.landed") is None
    assert pack.alerts_for("alert.raised") == ()


@councils
@pytest.mark.parametrize(
    "name",
    [
        "referral.received",
        "referral.accepted",
        "referral.redirected",
        "referral.closed",
        "lead_professional.assigned",
    ],
)
def test_the_referrer_hears_of_every_step(council: str, name: str) -> None:
    """The loop to the referrer is closed."""
    assert REFERRER in told(council, name)


@councils
@pytest.mark.parametrize(
    "name",
    [
        "assessment.started",
        "lead_professional.assigned",
        "assessment.completed",
        "threshold.met",
        "threshold.not_met",
        "plan.reviewed",
        "case.closed",
        "placement.started",
        "placement.reviewed",
        "placement.ended",
        "exit_interview.due",
        "exit_interview.completed",
    ],
)
def test_the_lead_professional_hears_of_everything_in_the_case(council: str, name: str) -> None:
    """Every step of a case alerts its lead professional."""
    assert LEAD in told(council, name)


@councils
def test_the_lead_hears_before_the_day_and_the_manager_when_it_has_passed(council: str) -> None:
    """Due soon and due: the lead. Overdue: the manager as well, urgently."""
    assert told(council, "deadline.due_soon", "assessment") == {LEAD}
    assert told(council, "deadline.due", "assessment") == {LEAD}
    assert told(council, "deadline.overdue", "assessment") == {LEAD, MANAGER}
    assert told(council, "exit_interview.overdue") == {LEAD, MANAGER}
    (rule,) = notify(council).alerts_for("deadline.overdue", "assessment") or ()
    assert rule.urgency == "urgent"
    assert rule.without_lead is Role.DUTY_INBOX


@councils
def test_an_entry_for_one_kind_wins_over_the_one_for_all(council: str) -> None:
    """A referral has no lead yet: its deadline goes to the duty inbox, and is silent the day before."""
    assert told(council, "deadline.overdue", "triage_decision") == {MANAGER, Role.DUTY_INBOX}
    assert told(council, "deadline.due_soon", "triage_decision") == set()


@councils
def test_a_parked_event_goes_to_operations(council: str) -> None:
    """Whatever it was about, those who run the system look at it."""
    assert told(council, "event.parked") == {Role.OPERATIONS}


@councils
def test_every_text_can_be_filled_in(council: str) -> None:
    """No brace is left, and what was filled in is there where it is asked for."""
    for rule in notify(council).alerts:
        text = rule.text(deadline="Conclude the assessment", due_on="6 May 2026")
        assert "{" not in text
        if rule.on.startswith("deadline."):
            assert "Conclude the assessment" in text


# --- deadlines


@councils
def test_every_deadline_names_its_source(council: str) -> None:
    """A limit that nobody can trace is not shipped; a local one says so."""
    rules = _load(council, PlacementPack)
    assert isinstance(rules, PlacementPack)
    for kind, rule in rules.deadlines.by_kind.items():
        read = "regulation" in rule.source.lower() or " rule" in rule.source
        assert read or rule.confidence != "H", f"{kind}: the text that was read is not named"
        unread = "no source" in rule.source or "no statute" in rule.source or "not read" in rule.source
        assert not unread or rule.confidence in ("L", "M"), f"{kind}: nothing was read to be sure of"
    assert "no statute found" in rules.deadlines.exit_interview.source
    assert rules.deadlines.exit_interview.confidence == "L"


def test_cambridgeshire_has_the_expected_limits() -> None:
    """The limits of the list of deadlines, as codes."""
    codes = {kind: rule.code for kind, rule in referral("cambridgeshire").deadlines.by_kind.items()}
    assert (
        codes
        | {
            "triage_decision": "1:working_days:next_day",
            "assessment": "45:working_days:same_day",
            "child_protection_conference": "15:working_days:same_day",
            "placement_review_first": "20:working_days:next_day",
            "placement_review_second": "3:months:next_day:previous_working_day",
            "placement_review_later": "6:months:next_day:previous_working_day",
            "return_interview": "72:hours:same_day",
            "education_health_care_plan": "20:weeks:next_day:previous_working_day",
        }
        == codes
    )


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        (0, "placement_review_first"),
        (1, "placement_review_second"),
        (2, "placement_review_later"),
        (9, "placement_review_later"),
    ],
)
def test_reviews_follow_one_another(held: int, kind: str) -> None:
    """First, second, then all later ones alike."""
    pack = _load("cambridgeshire", PlacementPack)
    assert isinstance(pack, PlacementPack)
    assert pack.deadlines.review_after(held) == (kind, pack.deadlines[kind])


# --- triage and threshold

FACTS = st.builds(
    ReferralFacts,
    agency=st.sampled_from(AgencyKind),
    concerns=st.lists(st.sampled_from(Concern), min_size=1, max_size=4, unique=True).map(tuple),
    immediate_risk=st.booleans(),
    information_only=st.booleans(),
)
NEEDS = st.dictionaries(st.sampled_from(NeedDomain), st.integers(1, 4))


@councils
@given(facts=FACTS)
def test_immediate_risk_is_accepted_at_the_highest_level_whatever_else_is_said(
    council: str, facts: ReferralFacts
) -> None:
    """No other rule stands before it; without risk, a mere information is closed."""
    advice = referral(council).triage.advise(facts)
    if facts.immediate_risk:
        assert (advice.recommend, advice.level) == ("accept", 4)
    elif facts.information_only:
        assert (advice.recommend, advice.reason) == ("close", "information_only")
    else:
        assert advice.level < 4 or len(facts.concerns) > 1


@councils
@given(facts=FACTS)
def test_reported_abuse_is_never_sent_away(council: str, facts: ReferralFacts) -> None:
    """Abuse or neglect, reported as more than information, is accepted."""
    if Concern.ABUSE_OR_NEGLECT in facts.concerns and not facts.information_only:
        assert referral(council).triage.advise(facts).recommend == "accept"


@pytest.mark.parametrize(
    ("agency", "concerns", "code", "recommend"),
    [
        ("school", ["N6"], "early-help-can-meet-it", "redirect"),
        ("school", ["N6", "N7"], "two-concerns", "accept"),
        ("school", ["N3", "N6", "N7"], "three-concerns", "accept"),
        ("school", ["N1"], "abuse-or-neglect", "accept"),
        ("police", ["N4"], "family-under-stress", "accept"),
        ("school", ["N4"], "early-help-can-meet-it", "redirect"),
        ("hospital", ["N2"], "disability-or-absent-parenting", "accept"),
    ],
)
def test_cambridgeshire_advises_by_its_first_matching_rule(
    agency: str, concerns: list[str], code: str, recommend: str
) -> None:
    """The advice carries the rule's code and words."""
    facts = ReferralFacts(AgencyKind(agency), tuple(Concern(c) for c in concerns))
    advice = referral("cambridgeshire").triage.advise(facts)
    assert (advice.code, advice.recommend) == (code, recommend)
    assert advice.fired.words == advice.words


def level_of(council: str, needs: dict[NeedDomain, int]) -> int:
    """Return the highest level whose threshold is met; 0 for none."""
    met = assessment(council).threshold.met_by(needs)
    assert list(met) == sorted(met, key=lambda rule: -rule.level)
    return met[0].level if met else 0


@councils
@given(needs=NEEDS, domain=st.sampled_from(NeedDomain), level=st.integers(1, 4))
def test_greater_need_never_meets_a_lower_level(
    council: str, needs: dict[NeedDomain, int], domain: NeedDomain, level: int
) -> None:
    """Raising one domain, or adding one, keeps the level or raises it."""
    worse = needs | {domain: max(level, needs.get(domain, 0))}
    assert level_of(council, worse) >= level_of(council, needs)


@councils
def test_the_ends_of_the_scale(council: str) -> None:
    """Severe need anywhere is level 4; emerging needs alone meet no threshold."""
    assert level_of(council, {NeedDomain.EDUCATION: 4}) == 4
    assert level_of(council, dict.fromkeys(NeedDomain, 1)) == 0
    assert level_of(council, {}) == 0


@pytest.mark.parametrize(
    ("needs", "level", "codes"),
    [
        ({"health": 2}, 0, []),
        ({"health": 2, "semh": 2}, 2, ["additional-in-two-domains"]),
        ({"health": 3}, 2, ["complex-in-one-domain"]),
        ({"safety": 3}, 3, ["complex-safety", "complex-in-one-domain"]),
        (
            {"health": 3, "semh": 3},
            3,
            ["complex-in-two-domains", "complex-in-one-domain", "additional-in-two-domains"],
        ),
    ],
)
def test_cambridgeshire_names_every_rule_that_is_met(
    needs: dict[str, int], level: int, codes: list[str]
) -> None:
    """The highest level counts, and the decision can show all that speaks for it."""
    found = {NeedDomain(domain): need for domain, need in needs.items()}
    assert level_of("cambridgeshire", found) == level
    assert [rule.code for rule in assessment("cambridgeshire").threshold.met_by(found)] == codes


def test_complex_safety_beside_another_complex_need_is_protection() -> None:
    """All parts of one condition must hold together."""
    assert level_of("cambridgeshire", {NeedDomain.SAFETY: 3, NeedDomain.HEALTH: 3}) == 4
    assert level_of("cambridgeshire", {NeedDomain.SAFETY: 3, NeedDomain.HEALTH: 2}) == 3


# --- what is refused


@pytest.mark.parametrize(
    ("model", "override", "sentence"),
    [
        (
            AssessmentPack,
            "localities: [{code: a, name: A, team: none}]",
            "localities.0.team: there is no team none.",
        ),
        (
            NotifyPack,
            "teams: [{code: t, name: T, manager: W-9999, duty_inbox: d}]",
            "teams.0.manager: there is no practitioner W-9999.",
        ),
        (
            AssessmentPack,
            "teams: [{code: t, name: T, manager: W-9999, duty_inbox: d}]",
            "teams.0.manager: there is no practitioner W-9999.",
        ),
        (
            AssessmentPack,
            "practitioners: [{id: W-0100, role: wizard, capacity: 1}]",
            "practitioners.0.role: caseload.roles has no wizard.",
        ),
        (
            AssessmentPack,
            "practitioners: [{id: W-1, role: a, capacity: 1}, {id: W-1, role: a, capacity: 2}]",
            "practitioners.1.id: W-1 is already taken by an earlier entry.",
        ),
        (AssessmentPack, "caseload: {weights: {4: 0}}", "caseload.weights.4 must be at least 1 (found 0)"),
        (
            NotifyPack,
            "county_duty: {manager: W-9999}",
            "county_duty.manager: there is no practitioner W-9999.",
        ),
        (
            NotifyPack,
            "county_duty: {commissioner: W-9999}",
            "county_duty.commissioner: there is no practitioner W-9999.",
        ),
        (
            NotifyPack,
            "notifications: {urgent: {escalation: []}}",
            "notifications is wrong: an urgent alert that nobody sees must reach somebody",
        ),
        (
            NotifyPack,
            """notifications: {soon: {escalation: [
                {after_working_hours: 5, to: reminder, next_step: x},
                {after_working_hours: 5, to: duty_inbox, next_step: x}]}}""",
            "notifications.soon is wrong: each step of an escalation comes later than the one before it",
        ),
        (
            NotifyPack,
            "notifications: {working_day: {begins: '17:00'}}",
            "notifications.working_day is wrong: a working day ends after it begins",
        ),
        (
            NotifyPack,
            "notifications: {quiet_hours: {digest_at: '08:30+01:00'}}",
            "notifications.quiet_hours.digest_at is wrong: a time of day is London's and has no offset",
        ),
        (
            NotifyPack,
            "alerts: [{on: notification.failed, to: [operations], urgency: soon, says: x, next_step: x}]",
            "alerts.0.channels: what could not be sent is not told by sending: state channels: [].",
        ),
        (
            NotifyPack,
            """alerts: [{on: case.closed, to: [operations], urgency: soon, says: x, next_step: x,
                settled_by: [moon.landed]}]""",
            "alerts.0.settled_by: no service publishes moon.landed.",
        ),
        (NotifyPack, "silent: [moon.landed]", "silent.0: no service publishes moon.landed."),
        (NotifyPack, "silent: ['deadline.met:moon']", "silent.0: deadlines has no moon."),
        (
            NotifyPack,
            "silent: [deadline.met]",
            "silent.0: a deadline's state, and nothing else, takes a kind",
        ),
        (
            NotifyPack,
            "silent: [case.closed]",
            "silent.0: case.closed is silent here and alerts somebody above.",
        ),
        (
            NotifyPack,
            "alerts: [{on: case.closed, to: [operations], urgency: soon, says: '{name} left', next_step: x}]",
            "alerts.0.says is wrong: {name} is not a placeholder; {deadline} and {due_on} are",
        ),
        (
            ReferralPack,
            "triage: {otherwise: {code: two-concerns}}",
            "triage.otherwise.code: two-concerns is a rule's code.",
        ),
        (
            ReferralPack,
            "triage: {otherwise: {recommend: close}}",
            "triage.otherwise is wrong: state a reason",
        ),
        (
            ReferralPack,
            "triage: {rules: [{code: a, words: A, recommend: accept, level: 1, when: {}}]}",
            "triage.rules.0.when is wrong: a condition that states nothing would always hold",
        ),
        (
            AssessmentPack,
            "threshold: {rules: [{code: a, words: A, level: 1, when: {domain: safety}}]}",
            "threshold.rules.0.when is wrong: domain and level are stated together",
        ),
        (
            AssessmentPack,
            "threshold: {rules: [{code: a, words: A, level: 1, when: {domian: safety}}]}",
            "threshold.rules.0.when.domian is not a known field; did you mean 'domain'?",
        ),
    ],
)
def test_a_pack_that_contradicts_itself_is_refused(
    tmp_path: Path, model: type[Pack], override: str, sentence: str
) -> None:
    """The sentence names the field and what is wrong there."""
    path = tmp_path / "pack.yaml"
    path.write_text(f"extends: {FOLDER / 'cambridgeshire.yaml'}\n{override}\n", encoding="utf-8")
    with pytest.raises(PackError) as caught:
        load_pack(path, model)
    assert any(f": {sentence}" in problem for problem in caught.value.problems), caught.value.problems


def test_a_level_without_a_weight_is_refused(tmp_path: Path) -> None:
    """A case of any level must count for something."""
    text = (FOLDER / "cambridgeshire.yaml").read_text(encoding="utf-8")
    path = tmp_path / "pack.yaml"
    text = text.replace(", 4: 5}", "}").replace("extends: ", f"extends: {FOLDER}/")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PackError, match=r"caseload\.weights: level 4 has no weight\.$"):
        load_pack(path, AssessmentPack)


def test_the_example_of_the_guide_is_a_valid_pack(tmp_path: Path) -> None:
    """What docs/policy-packs.md shows can be loaded as it stands, by every service."""
    guide = (FOLDER.parents[1] / "docs" / "policy-packs.md").read_text(encoding="utf-8")
    example = guide.split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "rutland.yaml"
    path.write_text(example.replace("extends: ", f"extends: {FOLDER}/"), encoding="utf-8")
    for model in SERVICES:
        assert load_pack(path, model).pack.council == "rutland"
    assert load_pack(path, NotifyPack).alerts_for("deadline.extended", "assessment") == ()


def test_the_guide_names_every_word_of_both_condition_languages() -> None:
    """A council can find what it may write."""
    guide = (FOLDER.parents[1] / "docs" / "policy-packs.md").read_text(encoding="utf-8")
    for word in (*TriageCondition.model_fields, *ThresholdCondition.model_fields, *DeadlineRule.model_fields):
        assert f"`{word}" in guide, word
