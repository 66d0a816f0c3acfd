"""The page about points in a browser: the globe turns, the slider moves the marks, names are text, a phone has room."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

import manifoldflow as mf
from manifoldflow.report import write_points_report

from ..report.pages_of_points import certificate, page_on, sphere_page
from .conftest import HOSTILE
from .test_page import CONTRASTS, OVERFLOWING, PHONE, UNNAMED

pytestmark = pytest.mark.browser

COUNT = """
([canvas, name]) => {
  const [r, g, b] = [1, 3, 5].map(at => parseInt(
    getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim().slice(at, at + 2), 16));
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data, width } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0, right = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) > 6) continue;
    count += 1;
    right += (at / 4) % width / width;
  }
  return [count, right / count];
}
"""


@dataclass
class Shown:
    page: Path


@pytest.fixture(scope="module")
def globe(tmp_path_factory):
    return Shown(write_points_report(sphere_page(), tmp_path_factory.mktemp("globe")))


@pytest.fixture(scope="module")
def angles(tmp_path_factory):
    law = mf.distributions.VonMises(torch.zeros(3), torch.tensor(0.5))
    page = page_on(mf.Torus(3), law, names=("first", "second", "third"))
    return Shown(write_points_report(page, tmp_path_factory.mktemp("angles")))


@pytest.fixture(scope="module")
def triangle(tmp_path_factory):
    law = mf.Dirichlet(torch.tensor([2.0, 3.0, 4.0]))
    page = page_on(mf.Simplex(2), law, names=(HOSTILE, "y" * 80, "clay"))
    models = (replace(page.models[0], certificate=certificate(HOSTILE, 1.0)),)
    paths = (replace(page.paths[0], name=HOSTILE),)
    hostile = replace(page, name=HOSTILE, models=models, paths=paths, pair_titles=(HOSTILE, "x" * 200, "third"))
    return Shown(write_points_report(hostile, tmp_path_factory.mktemp("triangle")))


def drawn(page):
    """Let the frame that is waited for be drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pixels(page, name):
    """How many pixels of the map have a colour of the style sheet, and how far to the right they are on average."""
    drawn(page)
    canvas = page.locator("#map").element_handle()
    return page.evaluate(COUNT, [canvas, name])


def only(page, *methods):
    """Show these paths and nothing else."""
    for box in page.locator(".side [type=checkbox]").all():
        box.uncheck()
    for number in methods:
        page.locator(f"[name=method][value='{number}']").check()


def test_layers_and_paths_come_and_go(show, globe):
    page = show(globe, reduced_motion="reduce")
    only(page)
    assert pixels(page, "curve-0")[0] == 0
    assert pixels(page, "dots-0")[0] == 0
    page.locator("[name=method][value='0']").check()
    assert pixels(page, "curve-0")[0] > 200
    page.locator("[name=samples]").check()
    assert pixels(page, "dots-2")[0] > 5
    before = page.locator("#map").screenshot()
    page.locator("[name=shade]").check()
    drawn(page)
    assert page.locator("#map").screenshot() != before


def test_the_slider_moves_the_mark_and_tells_its_place_and_typicality(show, globe):
    page = show(globe, reduced_motion="reduce")
    only(page, 0)
    for key, place, value, t in (
        ("Home", "0.0° N, 0.0° E", "< 0.001", "0.00"),
        ("End", "0.0° N, 90.0° E", "> 0.999", "1.00"),
    ):
        page.locator("#time").press(key)
        assert page.locator(".legend .value").text_content() == f"{place} · {value}"
        assert page.locator("#now").text_content() == f"t = {t}"
    page.locator("#time").press("Home")
    left = pixels(page, "curve-0")[1]
    page.locator("#time").press("End")
    assert pixels(page, "curve-0")[1] > left + 0.01


def test_the_globe_turns_by_keys_by_the_mouse_and_back(show, globe):
    page = show(globe, reduced_motion="reduce")
    only(page, 0)
    at_home = pixels(page, "curve-0")
    canvas = page.locator("#map")
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")  # the eye goes west, the path to the right
    turned = pixels(page, "curve-0")
    assert turned[1] > at_home[1] + 0.1
    page.keyboard.press("Home")
    assert pixels(page, "curve-0") == at_home
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert pixels(page, "curve-0") != at_home
    page.locator("#back").click()
    assert pixels(page, "curve-0") == at_home
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 80, y, steps=4)
    page.mouse.up()
    dragged = pixels(page, "curve-0")
    assert dragged[1] == pytest.approx(at_home[1] - 80 / box["width"], abs=0.06)
    assert page.evaluate("scrollX") == 0


def test_another_pair_is_turned_to_and_playing_ends(show, globe):
    page = show(globe)
    page.clock.install(time=0)
    page.reload()
    page.locator("#explorer").wait_for()
    page.select_option("#pair", label="from the pole")
    page.locator("#time").press("Home")
    assert page.locator(".legend .value").first.text_content().startswith("90.0° N")
    play = page.locator("#play")
    play.click()
    assert play.text_content() == "Pause"
    page.clock.run_for(5000)
    assert page.locator("#now").text_content() == "t = 1.00"
    assert play.text_content() == "Play"
    page.clock.run_for(1000)
    assert page.locator("#spoken").text_content().startswith("t = 1.00. geodesic: 0.0° N, 0.0° E, typicality")


def test_nothing_moves_by_itself_where_motion_is_unwanted(show, globe):
    page = show(globe, reduced_motion="reduce")
    page.get_by_role("button", name="Step").click()
    page.wait_for_timeout(600)
    assert page.locator("#now").text_content() == "t = 0.60"
    page.select_option("#pair", index=1)
    first = pixels(page, "curve-0")
    page.wait_for_timeout(300)
    assert pixels(page, "curve-0") == first


def test_any_two_angles_can_be_chosen(show, angles):
    page = show(angles)
    before = page.locator("#map").screenshot()
    page.select_option("#up", label="third (radians)")
    drawn(page)
    assert page.locator("#map").screenshot() != before
    assert page.locator("[name=shade]").count() == 0


@pytest.mark.parametrize("which", ["globe", "angles", "triangle"])
def test_a_phone_shows_it_without_scrolling_sideways(show, request, which):
    page = show(request.getfixturevalue(which), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(OVERFLOWING) == []


def test_names_are_text_whatever_they_hold(show, triangle):
    page = show(triangle)
    page.locator("#time").press("ArrowRight")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.harmed") is None
    assert page.locator("img[src='x']").count() == 0
    assert HOSTILE.strip() in page.locator("h1").text_content()
    assert HOSTILE.strip() in page.locator("#pair option").first.text_content()
    assert HOSTILE.strip() in page.locator("#spoken").text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(show, globe, scheme):
    """WCAG 2.2 AA: 4.5 for text (1.4.3), 3 for curves, dots and the borders of controls (1.4.11)."""
    page = show(globe, color_scheme=scheme)
    found = page.evaluate(CONTRASTS)
    assert {one["kind"] for one in found} == {"text", "curve", "dot", "border"}
    assert [one for one in found if one["ratio"] < (4.5 if one["kind"] == "text" else 3)] == []


def test_without_scripts_and_in_print_a_picture_stands_in(show, globe):
    page = show(globe, scripts=False)
    assert page.locator(".still img").is_visible()
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#explorer").is_visible()
    page = show(globe)
    assert not page.locator(".still img").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".still img").is_visible()
    assert not page.locator("#explorer").is_visible()


def test_controls_have_names_and_the_map_too(show, globe):
    page = show(globe)
    assert page.evaluate(UNNAMED) == []
    assert "arrow keys" in page.locator("#map").get_attribute("aria-label")
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
