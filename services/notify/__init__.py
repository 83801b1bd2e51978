"""Notify: the right person, at once, with proof.

An event of another service becomes alerts (`alert.*`); an alert is always in its recipient's inbox, and a
rule, the recipient's preferences and the hour decide on which channels it leaves it: each is a delivery
(`notification.*`). Record 0016 says why these are two things.

| room | what happens in it |
|---|---|
| `app`, `handlers`, `book`, `store`, `recall`, `web` | what every service has |
| `alerts` | who is around a child and is told of what; an alert's life; escalation |
| `delivery` | on which channels an alert leaves the inbox; senders, channels, receipts, subscriptions |
| `preferences` | what people arrange for themselves; hours as people have them |
| `referrers` | what agencies are told of their own referrals, and their keys |
| `chronology` | every event that was heard about a child |
| `due_scanner` | what time alone brings: escalations, absences that begin, held deliveries; each once |
| `pack` | routing rules, words, channels, hours and escalation of a policy pack |
| `api`, `pages` | HTTP for programs, and for people |
| `queries`, `metrics`, `wording` | what lists and boards read; what is counted; how moments and codes read |
"""
