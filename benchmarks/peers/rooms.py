"""The subjects, in the order of the page."""

from importlib import import_module

from .case import Case, Score, Setting

__all__ = ["ROOMS", "cases_of"]

ROOMS = (
    "geometry",
    "small",
    "distributions",
    "directions",
    "mixtures",
    "bridges",
    "flows",
    "matching",
    "paths",
    "inference",
    "imports",
)


def cases_of(room: str, setting: Setting) -> list[Case | Score]:
    """The comparisons of one subject."""
    found: list[Case | Score] = import_module(f"benchmarks.peers.{room}").cases(setting)
    return found
