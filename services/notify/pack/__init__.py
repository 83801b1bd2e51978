"""What the notify service reads of a policy pack."""
