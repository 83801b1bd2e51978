"""Examples in the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict


def example(fields: Mapping[str, Any], **more: Any) -> ConfigDict:
    """Return the setting by which the OpenAPI document shows an example of a model."""
    return ConfigDict(json_schema_extra={"examples": [{**fields, **more}]})
