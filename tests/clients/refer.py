"""Refers a child with the client that openapi-python-client makes."""

import sys
from uuid import UUID

from leadline import Client  # type: ignore[import-not-found] # is made by the test
from leadline.api.referral import referral_refer  # type: ignore[import-not-found] # is made by the test
from leadline.models import (  # type: ignore[import-not-found] # is made by the test
    AgencyKind,
    Concern,
    ReceiveReferral,
    ShownReferral,
)

site, reference = sys.argv[1:]
answer = referral_refer.sync(
    client=Client(base_url=site, raise_on_unexpected_status=True),
    body=ReceiveReferral(
        child_id=UUID("3d6f4c0e-8a52-4f0b-9c1d-5e7a90b1c2d3"),
        agency=AgencyKind.SCHOOL,
        agency_id="ladybrook-primary",
        agency_reference=reference,
        locality="huntingdon",
        concerns=[Concern.N4],
    ),
    idempotency_key=f"python-{reference}",
)
assert isinstance(answer, ShownReferral), answer
sys.stdout.write(f"{answer.referral_id} {answer.status.value} {answer.advice.recommend.value}\n")
