"""Chromium, and report pages of a tiny real run and of odd variants of it."""

import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from manifoldflow.evaluation import Evaluation
from manifoldflow.files import read_npz
from manifoldflow.report import write_report
from manifoldflow.steps import DemoSize, run_demo
from manifoldflow.training import TrainSettings

HOSTILE = """</script><script>window.harmed = 1</script><img src=x onerror="window.harmed = 2"> & 'quoted' "name" """


@dataclass
class Written:
    """An evaluation, its images, and the page made of them."""

    result: dict
    images: dict
    page: Path

    def strip(self, number, pair):
        """Images (m, c, h, w) of a path by its number."""
        profile = self.result.profiles[number]
        (model,) = (m for m in self.result.models if m.base == profile.base)
        return self.images[f"strips/{model.name}/{profile.method}"][pair]


def written(result, images, folder):
    histories = {model.base: [(0, 4.0), (1, 3.5)] for model in result.models}
    write_report(result, images, histories, folder)
    return Written(result, images, folder / "report.html")


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    size = DemoSize(1, 2, 16, 80, TrainSettings(epochs=2, batch_size=64, warmup=5), threads=1, globe=0)
    result = run_demo(folder / "demo", size=size, progress=False)
    page = folder / "page"
    page.mkdir()
    return written(result, read_npz(folder / "demo" / "evaluation" / "images.npz"), page)


@pytest.fixture(scope="session")
def lone(demo, tmp_path_factory):
    """One base, one path, 32 x 32 images in 256 levels of three colours, and a value that is not finite."""
    result = demo.result.to_json()
    del result["models"][1:], result["profiles"][1:]
    (base,) = (model["base"] for model in result["models"])
    kept = {("real images", "starts v. training"), (base, "samples"), (base, result["profiles"][0]["path"])}
    result["rows"] = [row for row in result["rows"] if (row["base"], row["path"]) in kept]
    result["data"] |= {"shape": [3, 32, 32], "levels": 256}
    whole = Evaluation.from_json(result)
    (profile,) = whole.profiles
    shown = profile.shown_pairs
    gap = ((float("nan"), *shown.typicality[0][1:]), *shown.typicality[1:])
    broken = replace(profile, shown_pairs=replace(shown, typicality=gap))
    rng = np.random.default_rng(0)
    images = {
        key: rng.integers(0, 256, (*demo.images[key].shape[:-3], 3, 32, 32), np.uint8)
        for key in ("samples/gaussian", "strips/gaussian/linear")
    }
    return written(replace(whole, profiles=(broken,)), images, tmp_path_factory.mktemp("lone"))


@pytest.fixture(scope="session")
def hostile(demo, tmp_path_factory):
    """Names that are markup, and names without a place to break."""
    result = demo.result.to_json()
    result["data"]["name"] = result["pairs_from"] = HOSTILE
    result["pair_labels"][0] = [HOSTILE, "x" * 200]
    rename = {result["models"][0]["base"]: HOSTILE, result["models"][1]["base"]: "y" * 200}
    for one in [*result["models"], *result["profiles"], *result["rows"]]:
        one["base"] = rename.get(one["base"], one["base"])
    result["profiles"][0]["statistic"] = HOSTILE
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="constrained_layout not applied")  # the plots have no room for these
        return written(Evaluation.from_json(result), demo.images, tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.fail('the browser tests need playwright; install it with: pip install "manifoldflow[browser]"')
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("the browser tests need Chromium, found none on the path; install it: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium):
    """Open a written page; at the end nothing was logged or thrown, and nothing but the page itself was asked for."""
    contexts, noted = [], []

    def open_page(one, *, scripts=True, **options):
        context = chromium.new_context(java_script_enabled=scripts, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        address = one.page.as_uri()
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.on("request", lambda request: noted.append(request.url) if not _inside(request.url, address) else None)
        page.goto(address)
        if scripts:
            page.locator("#explorer").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert noted == []


def _inside(url, address):
    return url == address or url.startswith("data:")
