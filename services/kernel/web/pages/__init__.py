"""The shell of all pages: what they have in common, whichever service they come from. No business word.

| module | what it gives |
|---|---|
| `shell` | who visits, the page around a page, and the page for what is wrong |
| `identity`, `session`, `sign_in` | who somebody is; the cookie; signing in and out |
| `forms`, `dates`, `lists` | what forms send; dates in three fields; lists page by page |
| `rendering`, `assets` | templates and the headers that protect them; files for browsers |

A service adds its pages with `pages(executor, shell)` in its `web` module: its routes come from
`Shell.router`, its templates extend `layout.html` and use the macros of `parts.html`. `npm/` builds what
comes from govuk-frontend into `static/govuk/`.
"""
