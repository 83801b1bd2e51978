"""`python -m tests.load`: thousands of alerts while some far sides hang, fail and refuse."""
