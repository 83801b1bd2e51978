"""The pages of alerts: rendered on the server, so that they work without JavaScript and on paper.

| module | page or part |
|---|---|
| `inbox`, `alert`, `chronology`, `board`, `preferences`, `absences` | one page each, with its forms |
| `live` | tells open pages that something has changed |
| `context`, `navigation`, `demo_users` | what pages are made with; what leads to them; who may sign in |
| `deeds`, `reminders`, `words` | what forms do; when somebody is reminded; how alerts and events read |

Templates are under `templates/`, a script under `static/`; the shell around them is
`services.kernel.web.pages`.
"""

from services.notify.pages.router import pages

__all__ = ["pages"]
