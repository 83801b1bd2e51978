"""The words of a site's pages, and the navigation between them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.kernel.pack.people import Person


@dataclass(frozen=True, slots=True)
class Link:
    """One of our addresses and its link text."""

    href: str
    text: str


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One entry of the navigation."""

    text: str
    href: str
    current: bool = False
    """Whether this is the current page."""
    active: bool = False
    """Whether the current page belongs to it."""


Navigation = Callable[[Person, str], Iterable[NavigationItem]]
"""Returns a service's navigation entries for a person on the page with this path."""


@dataclass(frozen=True, slots=True)
class SiteWords:
    """The site's words on pages of the shell. Each service may change its own."""

    name: str = "Leadline"
    home: Link = Link("/", "Go to the start page")
    """The start page of a person's work."""
    footer: str = "Times are London times."
    who_sees_what: str = "You see the pages that belong to your work."
    """Shown where access to a page is refused, and on the sign-in page."""
    saved: str = "What you had saved is safe: go back and try again."
    """Shown where the fault is ours."""
    missing: str = "If you typed the address, check that it is correct."
    """Help for a person who has followed a dead link."""
