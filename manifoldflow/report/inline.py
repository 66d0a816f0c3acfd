"""Styles and scripts inside the page, and a policy under which it runs these and loads nothing."""

import base64
import hashlib
from importlib.resources import files

from markupsafe import Markup

__all__ = ["content_policy", "inlined"]


def inlined(*names: str) -> Markup:
    """The text of the package's style sheets or scripts of these names, one after the other."""
    return Markup("".join((files(__package__) / name).read_text(encoding="utf-8") for name in names))


def content_policy(style: str, script: str) -> str:
    """A Content-Security-Policy that allows pictures as data, this one style sheet and this one script, no more."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_digest(style)}",
            f"script-src {_digest(script)}",
            "require-trusted-types-for 'script'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
