"""Rules told as given, when, then: what has happened, what comes, what follows.

RULES = Rules(Referral(REFERRAL), evolve=evolve, decide=decide)

def test_a_referral_is_decided_once() -> None:
    RULES.given(referral_received(), referral_accepted()).when(DECIDE).then_refused("already accepted")
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Concatenate, Generic, ParamSpec, TypeVar

from services.kernel.messages.faults import InvalidMessage, Refused
from services.kernel.processing.service import Produced

State = TypeVar("State")
Happened = TypeVar("Happened")
Asked = TypeVar("Asked")
Circumstances = ParamSpec("Circumstances")


class Like:
    """Equal to everything of a class whose named attributes are these; `like` makes it."""

    __hash__ = None  # type: ignore[assignment]  # it equals things that differ, so it has no hash

    def __init__(self, kind: type, facts: dict[str, object]) -> None:
        self._kind, self._facts = kind, facts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self._kind) and all(
            getattr(other, name) == value for name, value in self._facts.items()
        )

    def __repr__(self) -> str:
        facts = "".join(f", {name}={value!r}" for name, value in self._facts.items())
        return f"like({self._kind.__name__}{facts})"


def like(kind: type, /, **facts: object) -> Like:
    """Return what stands for anything of a class with these attributes, whatever the others are.

    An attribute that the class does not have is an error, not a difference.
    """
    return Like(kind, facts)


class Then:
    """What a decision came to. Each test asks for one of: events, nothing, a refusal, a parked event."""

    def __init__(self, decide: Callable[[], Sequence[Produced]]) -> None:
        self._produced: Sequence[Produced] = ()
        self._fault: Refused | InvalidMessage | None = None
        try:
            self._produced = decide()
        except (Refused, InvalidMessage) as fault:
            self._fault = fault

    @property
    def produced(self) -> list[Produced]:
        """Return what followed; a refusal is raised."""
        if self._fault is not None:
            raise self._fault
        return [*self._produced]

    def then(self, *expected: Produced | Like) -> None:
        """Expect exactly these events and intents, in this order."""
        assert self.produced == [*expected]

    def then_nothing_happened(self) -> None:
        """Expect neither an event nor a refusal."""
        assert self.produced == []

    def then_refused(self, part: str, *, missing: bool = False) -> None:
        """Expect a refusal whose sentence has this part; `missing`: what was spoken of does not exist."""
        assert isinstance(self._fault, Refused), f"not refused: {self._fault or self._produced}"
        assert part in self._fault.sentence
        assert self._fault.missing == missing

    def then_parked(self, part: str) -> None:
        """Expect that the event is set aside for a reason whose words have this part."""
        assert isinstance(self._fault, InvalidMessage), f"not parked: {self._fault or self._produced}"
        assert part in self._fault.words


@dataclass(frozen=True)
class Given(Generic[State, Asked, Circumstances]):
    """An aggregate after its history."""

    state: State
    decide: Callable[Concatenate[State, Asked, Circumstances], Sequence[Produced]]

    def when(self, asked: Asked, *circumstances: Circumstances.args, **named: Circumstances.kwargs) -> Then:
        """Decide on a command or an event. An error that is neither a refusal nor a parking comes out."""
        return Then(lambda: self.decide(self.state, asked, *circumstances, **named))


@dataclass(frozen=True)
class Rules(Generic[State, Happened, Asked, Circumstances]):
    """The rules of one kind of aggregate: where it begins, how it evolves and how it decides."""

    beginning: State
    evolve: Callable[[State, Happened], State]
    decide: Callable[Concatenate[State, Asked, Circumstances], Sequence[Produced]]

    def given(self, *history: Happened) -> Given[State, Asked, Circumstances]:
        """Let an aggregate have this history; none means that it does not exist."""
        return Given(reduce(self.evolve, history, self.beginning), self.decide)
