"""Each word of the two condition languages, by itself."""

from typing import Any

import pytest

from schemas.events.codes import AgencyKind, Concern, NeedDomain
from services.assessment.conditions import ThresholdCondition
from services.assessment.conditions import matches as needs_match
from services.referral.conditions import ReferralFacts, TriageCondition
from services.referral.conditions import matches as facts_match

FACTS = ReferralFacts(
    agency=AgencyKind.POLICE,
    concerns=(Concern.ABUSE_OR_NEGLECT, Concern.LOW_INCOME),
    immediate_risk=True,
)
NEEDS = {NeedDomain.SAFETY: 3, NeedDomain.HEALTH: 2, NeedDomain.EDUCATION: 1}


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        ({"any_concern": ["N1", "N2"]}, {"any_concern": ["N2", "N3"]}),
        ({"all_concerns": ["N1", "N7"]}, {"all_concerns": ["N1", "N2"]}),
        ({"concerns_at_least": 2}, {"concerns_at_least": 3}),
        ({"agency": ["school", "police"]}, {"agency": ["school"]}),
        ({"immediate_risk": True}, {"immediate_risk": False}),
        ({"information_only": False}, {"information_only": True}),
        (
            {"any_of": [{"agency": ["school"]}, {"any_concern": ["N1"]}]},
            {"any_of": [{"agency": ["school"]}, {"any_concern": ["N2"]}]},
        ),
        (
            {"any_concern": ["N1"], "agency": ["police"]},
            {"any_concern": ["N1"], "agency": ["school"]},
        ),
    ],
)
def test_a_triage_condition_holds_when_all_it_states_holds(
    holds: dict[str, Any], fails: dict[str, Any]
) -> None:
    """One example that holds and its nearest that does not."""
    assert facts_match(TriageCondition(**holds), FACTS)
    assert not facts_match(TriageCondition(**fails), FACTS)


def test_a_concern_that_is_reported_twice_counts_once() -> None:
    """Different concerns are counted, not reports of them."""
    twice = ReferralFacts(agency=AgencyKind.GP, concerns=(Concern.LOW_INCOME, Concern.LOW_INCOME))
    assert not facts_match(TriageCondition(concerns_at_least=2), twice)


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        ({"at_least": {"domains": 2, "level": 2}}, {"at_least": {"domains": 2, "level": 3}}),
        ({"domain": "safety", "level": 3}, {"domain": "safety", "level": 4}),
        ({"domain": "safety", "level": 2}, {"domain": "autism", "level": 1}),
        ({"highest_level": 3}, {"highest_level": 2}),
        (
            {"any_of": [{"highest_level": 4}, {"domain": "health", "level": 2}]},
            {"any_of": [{"highest_level": 4}, {"domain": "health", "level": 3}]},
        ),
        (
            {"highest_level": 3, "domain": "health", "level": 2},
            {"highest_level": 3, "domain": "health", "level": 3},
        ),
    ],
)
def test_a_threshold_condition_holds_when_all_it_states_holds(
    holds: dict[str, Any], fails: dict[str, Any]
) -> None:
    """One example that holds and its nearest that does not."""
    assert needs_match(ThresholdCondition(**holds), NEEDS)
    assert not needs_match(ThresholdCondition(**fails), NEEDS)


def test_no_needs_match_no_statement_about_needs() -> None:
    """A child in whom nothing was found meets no condition."""
    for states in ({"at_least": {"domains": 1, "level": 1}}, {"highest_level": 1}):
        assert not needs_match(ThresholdCondition.model_validate(states), {})
