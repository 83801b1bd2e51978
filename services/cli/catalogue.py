"""The catalogue of services. No other module names them all."""

from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.kernel.base.settings import Settings
    from services.kernel.processing.service import Service
    from services.kernel.web.site import Served
    from services.kernel.worker.process import Build, Extras


class ServiceName(StrEnum):
    """A service, in the order of a child's journey."""

    REFERRAL = "referral"
    ASSESSMENT = "assessment"
    PLACEMENT = "placement"
    NOTIFY = "notify"


SERVICES: tuple[ServiceName, ...] = tuple(ServiceName)


def build_of(name: ServiceName) -> "Build":
    """Return the function that wires a service."""
    build: Build = import_module(f"services.{name}.app").build
    return build


def extras_of(name: ServiceName) -> "Extras | None":
    """Return what a service's worker runs besides the kernel's parts, if anything."""
    extras: Extras | None = getattr(import_module(f"services.{name}.app"), "extras", None)
    return extras


def service_of(name: ServiceName, settings: "Settings") -> "Service[Any, Any]":
    """Return a service, wired with the settings' policy pack. Raises PackError."""
    return build_of(name)(settings)


def served(name: ServiceName, settings: "Settings") -> "Served":
    """Return a service with its routes, and its pages if it has any. Raises PackError."""
    from services.kernel.web.site import Served  # noqa: PLC0415 - a worker starts sooner without a web framework

    web = import_module(f"services.{name}.web")
    # Routes that need settings, such as a token, are built from them.
    under = getattr(web, "router_under", None)
    return Served(
        service_of(name, settings),
        web.router if under is None else under(settings),
        getattr(web, "pages", None),
    )
