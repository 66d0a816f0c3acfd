"""The code blocks of the documentation's pages, and a runner of their Python."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(page, language="python"):
    """The contents of a page's blocks in that language; `page` as seen from the repository's root."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def run_python(page, language="python"):
    """Run a page's Python, block after block in one namespace, which is returned."""
    names = {}
    for block in blocks(page, language):
        exec(compile(block, page, "exec"), names)
    return names
