"""An act of a practitioner: one request."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Doing(StrEnum):
    """Kinds of requests, and which events of the system count them."""

    DECISION = "decision"
    ASSESSMENT = "assessment"
    PLAN_REVIEW = "plan_review"
    PLACEMENT_REQUEST = "placement_request"
    PLACEMENT_START = "placement_start"
    PLACEMENT_REVIEW = "placement_review"
    PLACEMENT_END = "placement_end"
    EXIT_INTERVIEW = "exit_interview"
    ACKNOWLEDGEMENT = "acknowledgement"


@dataclass(frozen=True, slots=True)
class Act:
    """One request. Its key names what is done to what, so that sending it twice does it once."""

    doing: Doing
    path: str
    key: str
    body: dict[str, Any]
