"""The net: no child whom we know of is without somebody who must act by some day."""

from tests.chaos.evidence import Evidence
from tests.chaos.ledger import Ledger

RUNNING = frozenset({"scheduled", "due_soon", "due", "overdue"})


def net_violations(_ledger: Ledger, evidence: Evidence) -> list[str]:
    """Return a sentence for each open case without lead or running deadline, and each open referral."""
    watched = {row.about for rows in evidence.deadlines.values() for row in rows if row.state in RUNNING}
    found = [
        f"referral {referral.referral_id} is undecided and no deadline runs"
        for referral in evidence.referrals
        if referral.status == "received" and referral.referral_id not in watched
    ]
    for case in evidence.cases:
        if case.status == "closed":
            continue
        if not case.lead:
            found.append(f"case {case.case_id} is open without a lead")
        if case.case_id not in watched:
            found.append(f"case {case.case_id} is open and no deadline runs")
    return found
