"""Structured logs: one JSON object per line, ids and codes only."""

import logging
import sys
import traceback

import structlog

from services.kernel.base.settings import Settings

PERSONAL = frozenset(
    {"name", "address", "postcode", "date_of_birth", "dob", "phone", "email", "text", "words", "body"}
)
"""Field names that could carry personal data; a log line that uses one loses the value."""


def _without_personal_data(
    _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: "[withheld]" if key in PERSONAL else value for key, value in line.items()}


def _errors_without_words(
    _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep an error's type and place; drop its message, and any library message that quotes it."""
    error = line.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, BaseException):
        error = (type(error), error, error.__traceback__)
    if isinstance(error, tuple) and error[0] is not None:
        line["error"] = error[0].__qualname__
        line["at"] = "".join(traceback.format_tb(error[2]))
        if not line.get("_from_structlog", True):
            line["event"] = f"{line['_record'].name} reports an error"
    return line


def configure_logs(settings: Settings, *, service: str, for_good: bool = True) -> None:
    """Send this process's logs, including those of libraries, to standard error in the chosen format.

    Exceptions are logged with their type and place, but without their message unless it is ours: a database
    or validation message can quote the rejected value. `for_good`: a logger keeps this configuration from its
    first line on, which is faster.
    """
    level = getattr(logging, settings.log_level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_personal_data,
        _errors_without_words,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=for_good,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    for chatty in ("aiokafka", "kafka", "faust", "mode", "sqlalchemy", "httpx", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
