"""All pages of notify's, in the order in which their addresses are looked up."""

from pathlib import Path

from fastapi import APIRouter

from services.kernel.processing.commands import CommandExecutor
from services.kernel.web.pages.shell import Shell
from services.notify.book import NotifyBook
from services.notify.pages import absences, alert, board, chronology, inbox, live, preferences
from services.notify.pages.context import PageContext, inbox_address
from services.notify.pages.demo_users import DemoUsers
from services.notify.pages.navigation import WORDS, navigation
from services.notify.store.batch import NotifyStore

HERE = Path(__file__).parent


def pages(executor: CommandExecutor[NotifyBook, NotifyStore], shell: Shell) -> APIRouter:
    """Return the routes of the pages, and give the shell what is notify's."""
    store = executor.service.store
    extend(shell)
    if shell.is_demo:
        shell.extend(identity=DemoUsers(store.pack, executor.engine))
    context = PageContext(shell, executor, store.pack, store.channels)
    routes = shell.router()
    live.add(routes, context)
    # Before the list: an inbox's id may hold slashes, and would take an alert's address for its own.
    alert.add(routes, context)
    inbox.add(routes, context)
    chronology.add(routes, context)
    board.add(routes, context)
    preferences.add(routes, context)
    absences.add(routes, context)
    return routes


def extend(shell: Shell) -> None:
    """Give the shell what the pages need of it."""
    shell.extend(
        navigation=navigation,
        words=WORDS,
        templates=HERE / "templates",
        functions={"inbox_address": inbox_address},
        files=HERE / "static",
    )
