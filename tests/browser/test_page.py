"""The page in a browser: alone on the network, legible in both colour schemes and on a phone, usable by keyboard."""

from itertools import pairwise
from pathlib import Path

import pytest

from .conftest import HOSTILE

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text(encoding="utf-8")
REFUSED = """
() => new Promise(resolve => {
  document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
  fetch("https://example.org/").catch(() => null);
})
"""
OVERFLOWING = """
() => [...document.querySelectorAll("main *")]
  .filter(one => one.checkVisibility() && !one.closest(".scroll, pre, .unseen, svg"))
  .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)
  .map(one => one.outerHTML.slice(0, 200))
"""
UNNAMED = """
() => [...document.querySelectorAll("input, select, button")]
  .filter(one => !(one.labels?.length ? [...one.labels] : [one]).some(name => name.textContent.trim()))
  .map(one => one.outerHTML)
"""


def test_the_policy_lets_nothing_out_and_no_markup_in(chromium, demo):
    page = chromium.new_page()
    page.goto(demo.page.as_uri())
    assert page.evaluate(REFUSED) == "connect-src"
    assert page.evaluate("() => { try { document.body.innerHTML = '<b>' } catch (e) { return e.name } }") == "TypeError"
    page.close()


def test_without_scripts_the_strips_remain_and_a_note_says_so(show, demo):
    page = show(demo, scripts=False)
    assert page.locator("noscript p").is_visible()
    assert not page.locator("#explorer").is_visible()
    strips = page.locator(".strips img")
    assert strips.count() == len(demo.result["pair_labels"]) * len(demo.result["profiles"])
    assert strips.first.is_visible()


def test_with_scripts_the_note_is_gone(show, demo):
    assert not show(demo).locator("noscript").is_visible()


def test_names_are_text_whatever_they_hold(show, hostile):
    page = show(hostile)
    page.locator("[name=quantity][value=statistic]").check()
    page.locator("#time").press("ArrowRight")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.harmed") is None
    assert page.locator("img[src='x']").count() == 0
    name = HOSTILE.strip()
    title = page.locator("h1").text_content()
    assert name in title
    assert page.locator(".card .of").first.text_content().strip() == name
    assert name in page.locator("#pair option").first.text_content()
    assert name in page.locator("figcaption:visible").first.text_content()
    assert name in page.locator("#spoken").text_content()
    assert name in page.locator(".card canvas").first.get_attribute("aria-label")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("quantity", ["typicality", "statistic"])
def test_contrast(show, demo, scheme, quantity):
    """WCAG 2.2 AA: 4.5 for text (1.4.3), 3 for curves, dots and the borders of controls (1.4.11)."""
    page = show(demo, color_scheme=scheme)
    for box in page.locator("[name=method]").all():
        box.check()
    page.locator(f"[name=quantity][value={quantity}]").check()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 100
    assert {one["kind"] for one in found} == {"text", "curve", "dot", "border"}
    page_is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 26, 33)"
    assert page_is_dark == (scheme == "dark")
    low = [one for one in found if one["ratio"] < (4.5 if one["kind"] == "text" else 3)]
    assert low == []


@pytest.mark.parametrize("which", ["demo", "lone", "hostile"])
@pytest.mark.parametrize("quantity", ["realism", "statistic"])
def test_a_phone_shows_it_without_scrolling_sideways(show, request, which, quantity):
    page = show(request.getfixturevalue(which), **PHONE)
    for box in page.locator("[name=method]").all():
        box.check()
    page.locator(f"[name=quantity][value={quantity}]").check()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(OVERFLOWING) == []


def test_a_finger_moves_the_cursor(show, demo):
    page = show(demo, **PHONE)
    chart = page.locator(".chart:visible")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 16, box["y"] + 80)
    assert page.locator("#now").text_content() == "t = 1.00"


def test_charts_follow_the_width_of_the_window(show, demo):
    page = show(demo)
    page.set_viewport_size({"width": 400, "height": 800})
    band = page.locator(".chart:visible .band")
    page.wait_for_function("document.querySelector('.chart .band').getAttribute('width') < 400")
    chart = page.locator(".chart:visible").bounding_box()
    assert float(band.get_attribute("x")) + float(band.get_attribute("width")) < chart["width"]


def test_tab_reaches_every_control_in_order_and_shows_where_it_is(show, demo):
    page = show(demo)
    page.locator("#pair").focus()
    methods = [f"method {i}" for i in range(len(demo.result["profiles"]))]
    wanted = ["pair", "previous", "next", *methods, "play", "time", "quantity typicality"]
    for name in wanted:
        focus = page.evaluate(
            """() => { const at = document.activeElement; const style = getComputedStyle(at);
            return [at.id || at.name + " " + at.value, style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
        )
        assert focus == [name, "solid", 3]
        page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    assert page.locator("[name=quantity][value=realism]").is_checked()
    page.locator("[name=method][value='1']").press("Space")
    assert page.locator(".card[data-method='1']").is_visible()


def test_controls_and_pictures_have_names(show, demo):
    page = show(demo)
    assert page.evaluate(UNNAMED) == []
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("[role=img]:visible:not([aria-label])").count() == 0
    names = page.locator("[name=method]").evaluate_all("all => all.map(one => one.labels[0].textContent)")
    assert names == [f"{p['base']}, {p['path']}" for p in demo.result["profiles"]]
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert max(b - a for a, b in pairwise(levels)) <= 1
