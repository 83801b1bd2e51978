"""The ways out of the inbox. Each module is one of them behind one protocol, `carrier.Carrier`.

| module | owns |
|---|---|
| `carrier` | the protocol, and what can become of a message |
| `breaker` | when a lane is left alone for a while; pure |
| `addresses` | where somebody's emails and texts go |
| `content` | what may be said outside: codes, a case reference, a date, a link |
| `smtp` | emails over SMTP |
| `govuk_notify` | emails and texts through GOV.UK Notify, with its official client |
| `signing` | signatures of webhooks |
| `webhook` | signed webhooks to partners, and messages to Teams and Slack |
| `configured` | which carrier each channel has under the settings |
"""
