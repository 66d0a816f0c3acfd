"""What the explorer is given: the evaluation's own numbers, as data that no name can break out of."""

import json
import math
import re
from dataclasses import replace

import pytest
from jinja2 import Environment, PackageLoader, StrictUndefined

from manifoldflow.report.explorer import explorer_data, pair_titles
from manifoldflow.report.page import content_policy, inlined

from ..evaluations import evaluation, profile

NAME = """</script><script>alert(1)</script> & "quoted" 'name'"""


def path(base, name):
    shown = {
        "typicality": [[0.25, 0.5, 1e-9], [1.0, 0.5, 0.0]],
        "realism": [[0.125, 0.75, 1.0], [0.5, 0.25, 0.0]],
        "statistic": [[7.0, 6.5, 3.0], [8.0, 8.5, 9.0]],
    }
    return profile(base, name, times=[0.0, 0.5, 1.0], shown_pairs=shown)


def result(paths, labels=((4, 5), (0, 1))):
    return evaluation(
        {base: [path(base, name) for name in names] for base, names in paths.items()},
        pair_labels=[list(pair) for pair in labels],
    )


def test_numbers_are_those_of_the_evaluation_and_gaps_are_null():
    whole = result({"Gaussian": ["linear"]})
    (one,) = whole.profiles
    gaps = replace(
        one.shown_pairs,
        typicality=((math.nan, 0.5, 1e-9), (1.0, 0.5, 0.0)),
        statistic=((7.0, 6.5, 3.0), (8.0, 8.5, math.inf)),
    )
    data = explorer_data(replace(whole, profiles=(replace(one, shown_pairs=gaps),)))
    (method,) = data["methods"]
    assert method["typicality"] == [[None, 0.5, 1e-9], [1.0, 0.5, 0.0]]
    assert method["realism"] == [[0.125, 0.75, 1.0], [0.5, 0.25, 0.0]]
    assert method["statistic"] == [[7.0, 6.5, 3.0], [8.0, 8.5, None]]
    assert method["band"] == [6.0, 8.0, 9.0]
    assert data["times"] == [0.0, 0.5, 1.0]
    json.dumps(data, allow_nan=False)


def test_few_paths_are_all_shown_at_first_of_many_the_first_and_last_of_each_base():
    few = explorer_data(result({"Gaussian": "abcd"}))
    assert [method["shown"] for method in few["methods"]] == [True] * 4
    many = explorer_data(result({"A": "abc", "B": "ab", "C": "a"}))
    assert [method["shown"] for method in many["methods"]] == [True, False, True, True, True, True]
    assert [method["base_number"] for method in many["methods"]] == [0, 0, 0, 1, 1, 2]


def test_titles_of_pairs():
    assert pair_titles(result({"Gaussian": "a"}, labels=[(4, 5), ("a", "b")])) == [
        "Pair 1: class 4 to class 5",
        "Pair 2: class a to class b",
    ]


def test_names_are_escaped_in_the_markup_and_in_the_data():
    data = explorer_data(result({NAME: [NAME]}, labels=[(NAME, 1), (2, 3)]))
    environment = Environment(
        loader=PackageLoader("manifoldflow", "report"), autoescape=True, undefined=StrictUndefined
    )
    markup = environment.get_template("explorer.html").render(explorer=data)
    assert markup.count("<script") == markup.count("</script>") == 1
    (embedded,) = re.findall(r'<script type="application/json" id="explorer-data">(.*?)</script>', markup, re.DOTALL)
    assert json.loads(embedded) == json.loads(json.dumps(data))
    assert NAME not in markup


@pytest.mark.parametrize("names", [("page.css", "explorer.css"), ("chart.js", "explorer.js")])
def test_styles_and_scripts_stay_within_their_element(names):
    text = inlined(*names)
    assert len(text) > 1000
    assert "</" not in text
    assert "http" not in text


def test_policy_names_the_digests_and_allows_no_source_outside():
    policy = dict(part.split(" ", 1) for part in content_policy("", "abc").split("; "))
    # FIPS 180-4's examples: the empty message, and "abc".
    assert policy["style-src"] == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    assert policy["script-src"] == "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='"
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    assert not re.search(r"unsafe|\*|https?:", str(policy))
