"""Notify: the right person, at once, with proof.

An event of another service becomes alerts (`alert.*`); an alert is always in its recipient's inbox, and a
rule, the recipient's preferences and the hour decide on which channels it leaves it: each is a delivery
(`notification.*`). Record 0016 says why these are two things.

| module | owns |
|---|---|
| `model` | frozen types and commands: alerts, and the people they go to |
| `arrangements`, `deliveries` | the same of what people have arranged, and of deliveries |
| `pack` | what a policy pack says: routing rules, channels, hours, escalation |
| `policy` | who is told of what: routing, learning, the life of an alert |
| `telling` | on which channels an alert leaves the inbox, and when: preferences, quiet hours, digest |
| `escalation` | what follows when nobody acknowledges; whom open alerts move to |
| `hours` | working hours, quiet hours and digests as arithmetic |
| `book`, `handlers` | what one batch touches; which event or command leads to which decision |
| `store`, `writing` | alerts and people of a batch: load and save |
| `arranging` | SQL: preferences, quiet hours, delegations, subscriptions |
| `queue` | SQL of `deliveries`: claim, settle with their events, release what was held, gather digests |
| `duework` | what time alone brings: escalations, absences that begin, held deliveries; claimed once |
| `rates` | alerts per worker and week by kind: read model and metrics |
| `reading` | SQL behind lists and pages |
| `app`, `web`, `inbox_pages`, `wording` | wiring, HTTP API, pages, words |
| `mailer`, `postbox`, `letter` | the channel `email` over SMTP, a customer of `queue` |
"""
