"""Docstrings are plain text: outside backticks and formulas, `|h|` and `*batch` mean the characters, not markup."""

import re
from typing import Any

from sphinx.application import Sphinx

# Code in backticks, roles among them, may run over a line's end; a displayed formula runs to the next blank line.
_KEPT = re.compile(r"`[^`]*`|^\s*\.\. math::.*?(?:\n\s*\n|\Z)", flags=re.DOTALL | re.MULTILINE)


def _escape(plain: str) -> str:
    return re.sub(r"(?<!\\)([|*])", r"\\\1", plain)


def escape_markup(text: str) -> str:
    """The text with reStructuredText's emphasis and substitution marks escaped where they are not inside code."""
    parts, end = [], 0
    for kept in _KEPT.finditer(text):
        parts += [_escape(text[end : kept.start()]), kept.group()]
        end = kept.end()
    return "".join([*parts, _escape(text[end:])])


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = escape_markup("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    # Before napoleon (500), which adds markup of its own.
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
