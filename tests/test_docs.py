"""The reference has every public name and no other, and every figure of the gallery has its command."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import manifoldflow as mf

DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = DOCS / "reference"
# The command line explains itself, `files` is internal; `errors` is a module of public names, not a folder.
ROOMS = sorted({room.name for room in pkgutil.iter_modules(mf.__path__) if room.ispkg} - {"cli", "files"} | {"errors"})
DIRECTIVE = re.compile(r"^\.\. (?:auto(?:class|function|data|module)|py:data):: (\S+)", flags=re.MULTILINE)


def referenced(room):
    """The names that a page of the reference describes, without the page's own module."""
    names = DIRECTIVE.findall((REFERENCE / f"{room}.rst").read_text(encoding="utf-8"))
    prefix = f"manifoldflow.{room}"
    return [name.removeprefix(f"{prefix}.") for name in names if name != prefix]


@pytest.mark.parametrize("room", ROOMS)
def test_reference_has_every_public_name_once(room):
    public, names = set(importlib.import_module(f"manifoldflow.{room}").__all__), referenced(room)
    assert public - set(names) == set(), f"missing in docs/reference/{room}.rst"
    assert set(names) - public == set(), f"in docs/reference/{room}.rst, but not public"
    assert len(names) == len(public), f"twice in docs/reference/{room}.rst"


def test_every_room_has_a_page_that_the_index_lists():
    pages = {page.stem for page in REFERENCE.glob("*.rst")}
    assert pages == set(ROOMS)
    listed = re.findall(r"^\w+$", (REFERENCE / "index.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(listed) == ROOMS


def test_names_of_the_package_itself_are_listed():
    text = (REFERENCE / "index.md").read_text(encoding="utf-8")
    short = set(mf.__all__) - set(ROOMS)
    assert short
    assert all(f"`{name}`" in text for name in short)


@pytest.mark.parametrize("page", ["geometry", "realism"])
def test_python_of_the_pages_that_are_not_executed_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, f"{page}.md", "exec"), {})


def test_every_figure_of_the_gallery_is_shown_with_its_command():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    scripts = {path.name for path in (DOCS / "gallery").glob("*.py")}
    assert set(re.findall(r"%run -i gallery/(\w+\.py)", page)) == scripts
    assert set(re.findall(r"`python docs/gallery/(\w+\.py) FIGURE.png`", page)) == scripts


def test_every_extension_is_shown_in_under_forty_lines():
    page = (DOCS / "extending.md").read_text(encoding="utf-8")
    cells = [cell for cell in re.findall(r"```{code-cell}\n(.*?)```", page, flags=re.DOTALL) if "class " in cell]
    assert len(cells) == 4
    assert max(sum(bool(line.strip()) for line in cell.splitlines()) for cell in cells) < 40
