"""The Python of the pages runs, the reference has every public name and no other, each figure has its command."""

import importlib
import pkgutil
import re
import runpy

import pytest
import torch

import manifoldflow as mf
from manifoldflow.data import DATA_SETS, POINT_SETS
from manifoldflow.interpolation import METHODS

from .pages import ROOT, blocks, run_python

DOCS = ROOT / "docs"
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


PAGES = {"docs/data.md": 2, "docs/distributions.md": 3, "docs/geometry.md": 1, "docs/realism.md": 1}


@pytest.mark.parametrize(("page", "count"), PAGES.items())
def test_python_of_the_pages_that_are_not_executed_runs(page, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(blocks(page)) == count
    run_python(page)


def test_the_page_on_interpolation_runs():
    names = run_python("docs/interpolation.md")
    assert tuple(names["points"].shape) == (8, 9, 4, 16, 16)
    assert tuple(names["walks"].shape) == (5, 8, 33, 4, 16, 16)


@pytest.mark.slow
def test_the_page_on_latent_directions_runs(capsys):
    names = run_python("docs/tutorials/latent_directions.md", "{code-cell}")
    assert tuple(names["draws"]["middle"].shape) == (100, 3)
    assert names["direction_rhat"](names["chains"]) < 1.1
    assert (names["draws"]["middle"].mean(0) - names["plain"]["middle"].mean(0)).norm() < 0.1
    printed = capsys.readouterr().out
    assert "divergences 0" in printed
    assert "[True, False] for the truth" in printed


@pytest.mark.slow
def test_the_page_on_regression_with_directions_runs():
    names = run_python("docs/tutorials/regression_directions.md", "{code-cell}")
    assert tuple(names["draws"]["s"].shape) == (100, 8, 5, 2)
    assert abs(float(names["degrees"](names["cap"].centre)) - 90) < 20
    slopes = names["draws"]["slope"].mean(0) / 25
    torch.testing.assert_close(slopes, torch.tensor([0.0234, 0.0556, 0.0643]), atol=0.01, rtol=0)  # DirichletReg's


@pytest.mark.parametrize(
    ("page", "names"),
    [("interpolation.md", METHODS), ("data.md", DATA_SETS), ("data.md", POINT_SETS)],
    ids=["methods", "data", "points"],
)
def test_the_tables_list_every_method_and_every_named_data_set(page, names):
    first_cells = re.findall(r"^\| (`.*?) \|", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"`(\S+?)`", " ".join(first_cells))) >= set(names)


def test_the_example_of_latent_diffusion_runs(capsys):
    found = runpy.run_path(str(DOCS / "examples" / "latent_diffusion_interpolation.py"))
    assert tuple(found["path"].shape) == (9, 4, 64, 64)
    assert tuple(found["walks"].shape) == (3, 9, 4, 64, 64)
    assert abs(float(found["norms"].mean()) / 128 - 1) < 0.02
    assert "norm along the path" in capsys.readouterr().out


def test_the_example_of_an_autoencoder_runs(capsys):
    found = runpy.run_path(str(DOCS / "examples" / "torch_vae.py"))
    assert tuple(found["images"].shape) == (100, 9, 8, 8)
    figures = dict(re.findall(r"^(\w+) +typicality halfway ([\d.]+)", capsys.readouterr().out, flags=re.MULTILINE))
    assert float(figures["linear"]) < float(figures["matched"])


def test_the_example_of_a_flow_of_zuko_runs():
    found = runpy.run_path(str(DOCS / "examples" / "zuko_flow.py"))
    ways = {"straight": found["straight"], **found["paths"]}
    with torch.no_grad():
        halfway = {name: float(found["flow"]().log_prob(points[:, 10]).median()) for name, points in ways.items()}
    assert min(halfway["linear"], halfway["matched"]) > halfway["straight"] + 1
    assert float(found["difference"]) < 1e-4


def test_the_example_of_diffusers_makes_its_films(tmp_path):
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    found = runpy.run_path(str(DOCS / "examples" / "diffusion_pipeline.py"))
    films = found["main"](None, str(tmp_path), frames=4, steps=2)
    assert {name: len(film) for name, film in films.items()} == dict.fromkeys(films, 4)
    assert len(films) == len(list(tmp_path.glob("*.png"))) == 5
    spread = {
        name: (film[1:] - film[:-1]).flatten(1).norm(dim=1) for name, film in films.items() if name != "three prompts"
    }
    ratios = {name: float(step.max() / step.min()) for name, step in spread.items()}
    assert ratios["evenly spaced"] < ratios["matched"]


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
