"""The one error of embedded mode."""


class EngineError(Exception):
    """An engine cannot serve. The message is one sentence for a person: what happened and what to do."""


class AlreadyRunningError(EngineError):
    """Another live process owns this run directory."""
