"""Notify: the right person, at once, with proof.

An event of another service becomes alerts (`alert.*`); an alert is always in its recipient's inbox. A
rule, the recipient's preferences and the hour decide by which channels it also leaves the inbox: each of
those is a delivery (`notification.*`). Record 0016 says why the two are separate.

| module | contents |
|---|---|
| `app`, `handlers`, `book`, `store`, `recall`, `web` | what every service has |
| `alerts` | who is around a child and who is alerted about what; an alert's life cycle; escalation |
| `delivery` | by which channels an alert leaves the inbox; senders, channels, receipts, subscriptions |
| `preferences` | people's own settings; working hours, quiet hours, digest times |
| `referrers` | what agencies are told about their own referrals, and their keys |
| `chronology` | every event received about a child |
| `due_scanner` | what falls due: escalations, absences that begin, held deliveries; each once |
| `pack` | routing rules, words, channels, hours and escalation of a policy pack |
| `api`, `pages` | HTTP for programs, and for people |
| `queries`, `metrics`, `wording` | what lists and boards read; metrics; times and codes in words |
"""
