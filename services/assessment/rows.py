"""A case as a row of its table."""

import json
from typing import Any

from schemas.events import DomainNeed, RuleFired
from services.assessment.model import Case, CaseStatus
from services.kernel.postgres.bulk import Columns
from services.kernel.postgres.connection import Row

COLUMNS = Columns(
    case_id="uuid",
    version="integer",
    status="text",
    child_id="uuid",
    family_id="uuid",
    referral_id="uuid",
    locality="text",
    team="text",
    lead_professional_id="text",
    level="integer",
    points="integer",
    needs="jsonb",
    rules="jsonb",
    policy_version="text",
    reviews="integer",
    started_at="timestamptz",
    completed_at="timestamptz",
    reviewed_at="timestamptz",
    closed_at="timestamptz",
    close_reason="text",
)


def case_of(row: Row) -> Case:
    """Return the case that a row with all COLUMNS holds."""
    return Case(
        case_id=row.case_id,
        version=row.version,
        status=CaseStatus(row.status),
        child_id=row.child_id,
        family_id=row.family_id,
        referral_id=row.referral_id,
        locality=row.locality,
        team=row.team,
        lead_professional_id=row.lead_professional_id,
        level=row.level,
        points=row.points,
        needs=tuple(DomainNeed.model_validate(need) for need in _json(row.needs)),
        rules=tuple(RuleFired.model_validate(rule) for rule in _json(row.rules)),
        policy_version=row.policy_version,
        reviews=row.reviews,
        started_at=row.started_at,
        completed_at=row.completed_at,
        reviewed_at=row.reviewed_at,
        closed_at=row.closed_at,
        close_reason=row.close_reason,
    )


def _json(column: Any) -> Any:
    """Return a json column's content: a plain-text statement may return it as text."""
    return json.loads(column) if isinstance(column, str) else column
