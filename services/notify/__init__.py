"""Notify: the right person, at once, with proof.

An event of another service becomes alerts (`alert.*`); an alert is always in its recipient's inbox, and a
rule, the recipient's preferences and the hour decide on which channels it leaves it: each is a delivery
(`notification.*`). Record 0016 says why these are two things.

| module | owns |
|---|---|
| `model` | frozen types and commands: alerts, and the people they go to |
| `arrangements`, `deliveries` | the same of what people have arranged, and of deliveries |
| `pack`, `notifications` | what a policy pack says: routing rules; channels, hours, escalation |
| `council` | what decisions stand on beside the people: pack, arrangements, configured channels |
| `policy`, `routing` | who is told of what; who has a role, and who answers when they are away |
| `learning`, `alert_life` | who is around a child; what becomes of an alert once it is raised |
| `telling` | on which channels an alert leaves the inbox, and when: preferences, quiet hours, digest |
| `escalation` | what follows when nobody acknowledges; whom open alerts move to |
| `hours` | working hours, quiet hours and digests as arithmetic |
| `book`, `handlers` | what one batch touches; which event or command leads to which decision |
| `store`, `people_rows`, `arranging` | SQL: alerts and deliveries of a batch; people; what was arranged |
| `queue` | SQL of `deliveries` for senders: claim, settle with their events, receipts, digests |
| `duework` | what time alone brings: escalations, absences that begin, held deliveries; claimed once |
| `rates`, `metrics` | alerts per worker and week by kind; what is counted |
| `reading` | SQL behind lists and pages |
| `chronology` | every event that was read, kept in its transaction; `chronicle` reads it |
| `referrers`, `referrer_rows` | what agencies see of their own referrals: the rule, and its SQL by position |
| `referrer_api`, `agency_keys` | the API that agencies poll, and the keys that open it |
| `app`, `web`, `arrangements_web`, `wording` | wiring, HTTP API, words |
| `web_pages/` with `boards`, `chronicle`, `watching` | the pages, and the SQL that only they need |
| `channels` | the ways out: SMTP, GOV.UK Notify, webhooks and chats behind one protocol |
| `lanes`, `endpoints` | SQL of the senders: claims, one lane per endpoint; where a subscription leads |
| `lane`, `sending` | claim, send, record; one task per lane, so that none waits for another |
| `receipts`, `receipts_web` | what GOV.UK Notify says became of a message: asked, and called back |
| `letter` | what an e-mail says |
"""
