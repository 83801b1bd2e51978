"""The interface for signing in, implemented by a list of demo users or a provider."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.kernel.pack.people import Person


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of a list of people to sign in as."""

    person_id: str
    role: str
    waiting: int = 0
    """The number of items they have to do."""


@dataclass(frozen=True, slots=True)
class ChoiceGroup:
    """A team, or another group, of the list."""

    words: str
    choices: tuple[Choice, ...]


class Identity(Protocol):
    """Says who a visitor is. Each page asks what they may see, whichever way they signed in.

    OpenID Connect will return no `choices` and send the browser to its provider.
    """

    async def choices(self, *, now: datetime) -> tuple[ChoiceGroup, ...]:
        """Return the people whom a visitor may choose to be; none if a provider does the signing in."""
        ...

    async def prove(self, claim: str) -> Person | None:
        """Return the person whom a visitor's claim proves; None when it proves no one."""
        ...

    async def find(self, person_id: str) -> Person | None:
        """Return the person named by a session; None when they are no longer known here."""
        ...


class Nobody:
    """No sign-in is set up: the pages stay shut."""

    async def choices(self, *, now: datetime) -> tuple[ChoiceGroup, ...]:  # noqa: ARG002 - there is nobody
        """Return nobody."""
        return ()

    async def prove(self, claim: str) -> Person | None:  # noqa: ARG002 - it proves nothing
        """Return nobody."""
        return None

    async def find(self, person_id: str) -> Person | None:  # noqa: ARG002 - nobody is found
        """Return nobody."""
        return None
