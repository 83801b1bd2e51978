"""The words of a site's pages, and the navigation between them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.kernel.pack.people import Person


@dataclass(frozen=True, slots=True)
class Link:
    """An address of ours and the words that lead there."""

    href: str
    text: str


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One entry of the navigation."""

    text: str
    href: str
    current: bool = False
    """Whether this is the page that is shown."""
    active: bool = False
    """Whether the page that is shown belongs to it."""


Navigation = Callable[[Person, str], Iterable[NavigationItem]]
"""Returns what a service offers to somebody who looks at the page with this path."""


@dataclass(frozen=True, slots=True)
class SiteWords:
    """Words of a site that stand on pages of the shell. Each service may change those that are its own."""

    name: str = "Leadline"
    home: Link = Link("/", "Go to the start page")
    """Where a person's work begins."""
    footer: str = "Times are London times."
    who_sees_what: str = "You see the pages that belong to your work."
    """Stands where somebody was refused a page, and where they sign in."""
    saved: str = "What you had saved is safe: go back and try again."
    """Stands where the fault is ours."""
    missing: str = "If you typed the address, check that it is correct."
    """Helps somebody who has followed a link to nothing."""
