"""The channels by which alerts leave the inbox, behind one protocol, `carrier.Carrier`.

| module | owns |
|---|---|
| `carrier` | the protocol, and the possible outcomes of a message |
| `breaker` | when a sender pauses because its far side fails; pure |
| `addresses` | where somebody's emails and texts go |
| `content` | what may be said outside: codes, a case reference, a date, a link |
| `smtp` | emails over SMTP |
| `govuk_notify` | emails and texts through GOV.UK Notify, with its official client |
| `signing` | signatures of webhooks |
| `webhook` | signed webhooks to partners, and messages to Teams and Slack |
| `configured` | which carrier each channel has under the settings |
"""
