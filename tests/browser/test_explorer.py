"""The explorer shows the images and the numbers of the evaluation, whichever way it is moved."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from manifoldflow.report.explorer import explorer_data

pytestmark = pytest.mark.browser


def card(page, number):
    return page.locator(f".card[data-method='{number}']")


def shown_methods(page):
    return [int(one.get_attribute("data-method")) for one in page.locator(".card:visible").all()]


def image_in(canvas):
    picture = base64.b64decode(canvas.evaluate("canvas => canvas.toDataURL()").split(",")[1])
    with Image.open(io.BytesIO(picture)) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[..., 3] == 255).all()
    return pixels[..., :3]


def expected_image(one, number, pair, step, width):
    image = one.strip(number, pair)[step]
    x = np.round(image.astype(np.float64) * 255 / (one.result["data"]["levels"] - 1)).astype(np.uint8)
    x = np.broadcast_to(x, (3, *x.shape[1:])).transpose(1, 2, 0)
    factor = width // x.shape[1]
    return x.repeat(factor, 0).repeat(factor, 1)


def figure(value):
    """As the page writes a share."""
    if not np.isfinite(value):
        return "n/a"
    if value < 0.0005:
        return "< 0.001"
    return "> 0.999" if value > 0.9995 else f"{value:.3f}"


def check_cards(page, one, pair, step):
    """Every card that is shown has the picture and the numbers of this pair and time."""
    assert page.locator("#now").text_content() == f"t = {one.result['profiles'][0]['times'][step]:.2f}"
    for number in shown_methods(page):
        image = image_in(card(page, number).locator("canvas"))
        np.testing.assert_array_equal(image, expected_image(one, number, pair, step, image.shape[1]))
        for quantity in ("typicality", "realism"):
            value = one.result["profiles"][number]["shown_pairs"][quantity][pair][step]
            shown = card(page, number).locator(f"[data-quantity={quantity}]")
            assert shown.text_content() == figure(value)
            if np.isfinite(value):
                assert float(shown.get_attribute("value")) == value
                dot = card(page, number).locator(f"[data-meter={quantity}]")
                assert float(dot.get_attribute("cx").rstrip("%")) == pytest.approx(100 * value)


def legend(page):
    """Name and value of every entry of the visible legends, in order."""
    entries = page.locator(".legend:visible li").all()
    return [tuple(one.evaluate("li => [li.childNodes[1], li.lastChild].map(n => n.textContent)")) for one in entries]


def stopped_clock(page):
    """Time stands, and passes only in `page.clock.run_for`."""
    page.clock.install(time=0)
    page.reload()
    page.locator("#explorer").wait_for()
    page.clock.pause_at(100)


def test_opens_halfway_with_the_first_and_last_path_of_each_base(show, demo):
    page = show(demo)
    profiles = demo.result["profiles"]
    bases = [p["base"] for p in profiles]
    ends = {i for b in bases for i in (bases.index(b), len(bases) - 1 - bases[::-1].index(b))}
    assert shown_methods(page) == sorted(ends)
    check_cards(page, demo, pair=0, step=len(profiles[0]["times"]) // 2)


def test_the_keyboard_moves_the_slider(show, demo):
    page = show(demo)
    last = len(demo.result["profiles"][0]["times"]) - 1
    slider = page.locator("#time")
    slider.focus()
    page.keyboard.press("Home")
    check_cards(page, demo, 0, 0)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    check_cards(page, demo, 0, 2)
    page.keyboard.press("ArrowLeft")
    check_cards(page, demo, 0, 1)
    page.keyboard.press("End")
    check_cards(page, demo, 0, last)
    assert slider.get_attribute("aria-valuetext") == "t = 1.00"


def test_the_mouse_moves_the_slider(show, demo):
    page = show(demo)
    slider = page.locator("#time")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + 3, y)
    check_cards(page, demo, 0, 0)
    page.mouse.move(box["x"] + 3, y)
    page.mouse.down()
    page.mouse.move(x, y)
    check_cards(page, demo, 0, len(demo.result["profiles"][0]["times"]) // 2)
    page.mouse.up()


def test_pairs_turn_by_list_and_buttons(show, demo):
    page = show(demo)
    count, step = len(demo.result["pair_labels"]), len(demo.result["profiles"][0]["times"]) // 2
    start, end = demo.result["pair_labels"][3]
    page.select_option("#pair", label=f"Pair 4: class {start} to class {end}")
    check_cards(page, demo, 3, step)
    page.get_by_role("button", name="Next pair").click()
    check_cards(page, demo, 4, step)
    page.get_by_role("button", name="Previous pair").click()
    page.get_by_role("button", name="Previous pair").click()
    check_cards(page, demo, 2, step)
    page.select_option("#pair", index=0)
    page.get_by_role("button", name="Previous pair").click()
    check_cards(page, demo, count - 1, step)
    page.get_by_role("button", name="Next pair").click()
    check_cards(page, demo, 0, step)


def test_check_boxes_choose_the_paths(show, demo):
    page = show(demo)
    everything = range(len(demo.result["profiles"]))
    for number in everything:
        page.locator(f"[name=method][value='{number}']").check()
    assert shown_methods(page) == list(everything)
    check_cards(page, demo, 0, 5)
    page.get_by_role("checkbox", name="Gaussian, slerp", exact=True).uncheck()
    assert 2 not in shown_methods(page)
    assert "Gaussian, slerp" not in dict(legend(page))
    for number in everything:
        page.locator(f"[name=method][value='{number}']").uncheck()
    assert shown_methods(page) == []
    assert page.get_by_text("No path is chosen").is_visible()
    assert page.locator(".panel:visible").count() == 0
    page.locator("[name=method][value='1']").check()
    assert shown_methods(page) == [1]
    assert not page.get_by_text("No path is chosen").is_visible()


@pytest.mark.parametrize("quantity", ["typicality", "realism"])
def test_pointing_at_the_chart_moves_t_and_tells_the_values(show, demo, quantity):
    page = show(demo)
    page.locator(f"[name=quantity][value={quantity}]").check()
    chart = page.locator(".chart:visible")
    chart.scroll_into_view_if_needed()
    box, times = chart.bounding_box(), demo.result["profiles"][0]["times"]
    y = box["y"] + 80
    cursor = chart.locator(".cursor")
    for step, act in ((2, page.mouse.move), (8, page.mouse.click)):
        x = step_position(page, box, step, len(times))
        act(x, y)
        check_cards(page, demo, 0, step)
        assert float(cursor.get_attribute("x1")) == pytest.approx(x - box["x"], abs=0.5)
        values = {
            f"{p['base']}, {p['path']}": figure(p["shown_pairs"][quantity][0][step]) for p in demo.result["profiles"]
        }
        *named, (grey, _) = legend(page)
        assert named == [(name, values[name]) for name, _ in named]
        assert len(named) == len(shown_methods(page))
        assert grey == "90 % of draws"


def test_scrolling_past_the_chart_leaves_t_alone(show, demo):
    page = show(demo)
    chart = page.locator(".chart:visible")
    chart.evaluate("chart => scrollTo(0, chart.getBoundingClientRect().bottom + scrollY)")
    before = page.evaluate("scrollY")
    page.mouse.move(200, 300)
    for _ in range(4):
        page.mouse.wheel(0, -100)
        page.wait_for_timeout(100)
    page.wait_for_function("before => scrollY < before - 300", arg=before)
    box = chart.bounding_box()
    assert box["y"] < 300 < box["y"] + box["height"]
    check_cards(page, demo, 0, 5)


def step_position(page, box, step, count):
    """Where the chart's own axis has this step: its first and last tick labels stand below t = 0 and t = 1."""
    ticks = page.locator(".chart:visible").first.locator("text").all()
    at = {one.text_content(): float(one.get_attribute("x")) for one in ticks if one.get_attribute("y") == "203"}
    return box["x"] + at["0"] + (at["1"] - at["0"]) * step / (count - 1)


def test_curves_run_through_the_values(show, demo):
    page = show(demo)
    page.locator("[name=quantity][value=realism]").check()
    values = demo.result["profiles"][0]["shown_pairs"]["realism"][0]
    path = page.locator(".chart:visible .curve").first.get_attribute("d")
    y = np.array([float(point.split()[1]) for point in path.replace("M", "L").split("L")[1:]])
    labels = {one.text_content(): float(one.get_attribute("y")) - 4 for one in page.locator(".chart text").all()}
    np.testing.assert_allclose((y - labels["0.0"]) / (labels["1.0"] - labels["0.0"]), values, atol=1e-4)


def test_the_statistic_has_a_chart_for_each_base_with_its_band(show, demo):
    page = show(demo)
    page.locator("[name=quantity][value=statistic]").check()
    bases = list(dict.fromkeys(p["base"] for p in demo.result["profiles"]))
    assert page.locator(".panel:visible").count() == len(bases)
    for base, panel in zip(bases, page.locator(".panel:visible").all()):
        profiles = [p for p in demo.result["profiles"] if p["base"] == base]
        low, _, high = profiles[0]["base_quantiles"]
        assert panel.locator("figcaption").text_content() == f"{base}: {profiles[0]['statistic']}"
        texts = panel.locator(".value").all_text_contents()
        wanted = [f"{p['shown_pairs']['statistic'][0][5]:.3f}" for p in (profiles[0], profiles[-1])]
        assert texts == [*wanted, f"{low:.3f} to {high:.3f}"]
    page.locator("[name=quantity][value=realism]").check()
    assert page.locator(".panel:visible").count() == 1


def test_playing_runs_to_the_end_and_can_be_paused(show, demo):
    page = show(demo)
    stopped_clock(page)
    play = page.locator("#play")
    play.click()
    assert play.text_content() == "Pause"
    page.clock.run_for(650)
    check_cards(page, demo, 0, 7)
    play.click()
    page.clock.run_for(2000)
    check_cards(page, demo, 0, 7)
    play.click()
    page.clock.run_for(5000)
    check_cards(page, demo, 0, 10)
    assert play.text_content() == "Play"
    play.click()
    page.clock.run_for(350)
    check_cards(page, demo, 0, 1)
    page.locator("#time").press("ArrowRight")  # taking the slider stops the animation
    page.clock.run_for(2000)
    check_cards(page, demo, 0, 2)


def test_nothing_moves_by_itself_where_motion_is_unwanted(show, demo):
    page = show(demo, reduced_motion="reduce")
    step = page.get_by_role("button", name="Step")
    step.click()
    check_cards(page, demo, 0, 6)
    page.wait_for_timeout(700)
    check_cards(page, demo, 0, 6)
    for _ in range(5):
        step.click()
    check_cards(page, demo, 0, 0)


def test_values_are_spoken_once_a_change_has_come_to_rest(show, demo):
    page = show(demo)
    stopped_clock(page)
    spoken = page.locator("#spoken")
    slider = page.locator("#time")
    page.clock.run_for(1000)
    before = spoken.text_content()
    for _ in range(3):
        slider.press("ArrowRight")
        page.clock.run_for(300)
        assert spoken.text_content() == before
    page.clock.run_for(1000)
    value = figure(demo.result["profiles"][0]["shown_pairs"]["typicality"][0][8])
    assert spoken.text_content().startswith(f"typicality at t = 0.80. Gaussian, linear: {value};")


def test_one_path_in_colour_with_a_value_that_is_not_finite(show, lone):
    page = show(lone)
    assert shown_methods(page) == [0]
    check_cards(page, lone, 0, 5)
    page.locator("#time").press("Home")
    check_cards(page, lone, 0, 0)
    assert card(page, 0).locator("[data-meter=typicality]").get_attribute("visibility") == "hidden"
    assert page.locator(".chart:visible .curve").get_attribute("d").count("L") == 9
    page.locator("[name=quantity][value=statistic]").check()
    assert page.locator(".panel:visible").count() == 1


def test_the_page_holds_each_strip_once(demo):
    text = demo.page.read_text(encoding="utf-8")
    data = explorer_data(demo.result)
    assert text.count('id="strip-') == len(data["pairs"]) * len(data["methods"])
    assert "data:image" not in text.split('id="explorer-data"')[1].split("</script>")[0]
