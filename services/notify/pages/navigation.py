"""The navigation of notify's pages, and its words on pages of the shell. Pure."""

from collections.abc import Iterator

from services.kernel.pack.people import Person
from services.kernel.web.pages.navigation import Link, NavigationItem, SiteWords
from services.notify.pages.context import inbox_address

WORDS = SiteWords(
    home=Link("/inbox", "Go to your alerts"),
    footer="Ids, codes and dates only: no part of Leadline holds names, which stay with the case record."
    " Times are London times.",
    who_sees_what="Everybody sees their own inbox and those they share, managers see the boards of their"
    " teams, a timeline is seen by those around the child, and referring agencies see what has become of"
    " what they referred.",
    saved="Your alerts are safe: go back and try again.",
    missing="If you followed a link in an email, check that the whole address was opened: the case may also"
    " have gone to somebody else.",
)


def navigation(person: Person, here: str) -> Iterator[NavigationItem]:
    """Yield the navigation of a page. Another person's inbox belongs to the team's board."""
    mine = f"/inbox/{person.person_id}"
    shared = (f"/inbox/{inbox}" for inbox in person.inboxes)
    is_own = any(here == inbox or here.startswith(f"{inbox}/alerts/") for inbox in shared)
    yield NavigationItem("My alerts", inbox_address(person.person_id), here == mine, is_own)
    if person.boards:
        of_team = here.startswith("/board") or (here.startswith("/inbox") and not is_own)
        words = "Team board" if len(person.boards) == 1 else "Team boards"
        yield NavigationItem(words, "/board", here == "/board", of_team)
    if person.kind == "practitioner":
        for words, address in (("Preferences", "/preferences"), ("Absences", "/absences")):
            yield NavigationItem(words, address, here == address, here.startswith(address))
