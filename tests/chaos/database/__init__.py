"""`make chaos STORM=database`: what each trouble of the database costs a worker under a full backlog.

Throughput is read off the inbox afterwards: every transaction notes the moment at which it began, so what a
batch took lies between its own beginning and the next one's, and nobody has to ask a database in trouble.

- the baseline is the median of all windows of WINDOW_SECONDS in the BASELINE_SECONDS before the fault; the
  lowest and the highest tenth of them are its normal spread, on a machine that is shared;
- a fault is healed when it is taken away; where the server itself has ended, when it accepts connections;
- throughput is back at the end of the first window after the healing that reaches 95 % of the baseline, if
  it stays: the median of the windows in the CONFIRM_SECONDS that follow must do so, too, or lie within the
  normal spread. The window is part of the time;
- a control without any trouble shows what the figures are worth on this machine at this time.
"""
