"""The shell of all pages: the parts they share, whichever service they come from. No business terms.

| module | what it provides | |---|---| | `shell` | the visitor, the layout around a page, and error pages | |
`identity`, `session`, `sign_in` | a person's identity; the cookie; signing in and out | | `forms`, `dates`,
`lists` | form data; dates in three fields; lists page by page | | `rendering`, `assets` | templates and their
security headers; files for browsers |

A service adds its pages with `pages(executor, shell)` in its `web` module: its routes come from
`Shell.router`, its templates extend `layout.html` and use the macros of `parts.html`. `npm/` builds the files
from govuk-frontend into `static/govuk/`.
"""
