"""The pages: rendered on the server, so that they work without JavaScript, on a telephone and on paper.

| module | page or part |
|---|---|
| `inbox`, `alert`, `chronology`, `board`, `preferences`, `sign_in` | one page each, with its forms |
| `live` | tells open pages that something has changed |
| `visiting` | who visits, with which form, and the page for what is wrong |
| `people`, `identity`, `session` | who may see what; signing in; the cookie |
| `deeds`, `putting_off`, `words` | what forms do; for how long; how alerts and events read |
| `rendering`, `assets` | templates, headers, files |

Templates are under `templates/`, files for browsers under `static/`; `assets/` builds what comes from npm.
"""

from services.notify.pages.router import pages

__all__ = ["pages"]
