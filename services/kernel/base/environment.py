"""Reads a process's settings, and reports wrong variables in words."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from services.kernel.base.complaints import complaint
from services.kernel.base.settings import Settings

PREFIX = str(Settings.model_config["env_prefix"])


class WrongSettings(ValueError):  # noqa: N818 - an answer to the person who set them, not a fault of ours
    """Unusable variables. `problems` has one sentence each, without values: some are secret."""

    def __init__(self, *problems: str) -> None:
        """Keep the sentences; the error's text is all of them, one per line."""
        super().__init__("\n".join(problems))
        self.problems = problems


def read_settings(**given: object) -> Settings:
    """Return the settings from the environment, overridden by `given`. Raises WrongSettings."""
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by the model
    except ValidationError as error:
        raise WrongSettings(*map(_sentence, error.errors(include_url=False, include_input=False))) from None
    except SettingsError as error:
        # A variable that holds JSON; the library names it only in its message.
        wrong = [name for name in Settings.model_fields if f'"{name}"' in str(error)]
        raise WrongSettings(*(f"{variable(name)} must be valid JSON." for name in wrong)) from None


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def _sentence(details: ErrorDetails) -> str:
    words = complaint(details)
    if not details["loc"]:  # about several variables: the message names them
        return f"{words.removeprefix('is wrong: ')}."
    field, *inside = map(str, details["loc"])
    place = variable(field) + "".join(f", {step}," for step in inside)
    return f"{place} {words}."
