"""The table: fits 80 columns, names are shown as they are, and only what differs is ranked."""

import io

import pytest
from rich.console import Console

from manifoldflow.evaluation import Evaluation
from manifoldflow.report import print_table
from manifoldflow.report.findings import findings
from manifoldflow.report.table import rows_to_csv, rows_to_markdown, table_notes

from ..evaluations import edited, evaluation, model, profile, row

VMF, DIRICHLET = "von Mises-Fisher", "Dirichlet"
SLERP, FISHER_RAO = "slerp (geodesic)", "Fisher-Rao geodesic"


def compared(worst_steps=200, shift=3.0):
    """Two models; the second one's path is `shift` further away in every resampling."""
    draws = [7.0 + 0.1 * (i % 3) for i in range(30)]
    return evaluation(
        {
            VMF: [profile(VMF, SLERP, frechet_draws=draws)],
            DIRICHLET: [
                profile(DIRICHLET, FISHER_RAO, frechet_draws=[x + shift + 0.1 * (i % 2) for i, x in enumerate(draws)])
            ],
        },
        models=[model(VMF, 2.2), model(DIRICHLET, 2.4, steps=worst_steps)],
        rows=[
            row(VMF, SLERP, frechet=7.0),
            row(VMF, SLERP, "0.5", z_score=1.0),
            row(DIRICHLET, FISHER_RAO),
        ],
    )


def test_table_fits_80_columns():
    text = io.StringIO()
    print_table(compared(), Console(file=text, width=80))
    assert "…" not in text.getvalue()
    for word in (
        "von Mises-Fisher",
        "Fisher-Rao geodesic",
        "10.25±0.20",
        "after 200 training steps",
        "-13.5",
        "110.0",
        "not comparable",
    ):
        assert word in text.getvalue()


def test_findings_say_which_is_lowest_whichever_it_is():
    far, near, distance, likelihood = findings(compared())
    assert "lowest with the base von Mises-Fisher 2.200 ± 0.010" in likelihood
    assert "after 200 training steps" in likelihood
    assert "Dirichlet with Fisher-Rao geodesic (-13.5)" in far
    assert "von Mises-Fisher with slerp (geodesic) (+1.0)" in near
    assert "von Mises-Fisher with slerp (geodesic) (7.000 ± 0.200) has the smallest" in distance
    assert "further away by more than the pairs' spread explains: Dirichlet with Fisher-Rao geodesic" in distance


def test_paths_are_not_blamed_for_what_their_ends_do():
    halfway = [row(VMF, SLERP), row(VMF, SLERP, "0.5", z_score=11.0)]
    for first, last, blamed in ((10.0, 8.0, True), (0.3, 8.0, False)):
        path = profile(VMF, SLERP, z_score=[first, 11.0, 11.0, 11.0, last])
        one = evaluation({VMF: [path]}, models=[model(VMF, 2.2)], rows=halfway)
        assert any("the flow, and not the path, is to blame" in said for said in findings(one)) == blamed


def test_distances_that_the_pairs_do_not_tell_apart_are_not_ranked():
    distance = findings(compared(shift=0.0))[2]
    assert "not told apart from it by these pairs: Dirichlet with Fisher-Rao geodesic" in distance
    assert "further away" not in distance


def test_models_trained_differently_are_not_ranked():
    result = compared(worst_steps=100)
    text = " ".join(findings(result))
    assert "trained differently (steps run), so they are not ranked" in text
    assert "lowest" not in text
    assert "further away" not in text
    assert "not ranked" in table_notes(result)
    assert "not ranked" not in table_notes(compared())
    printed = io.StringIO()
    print_table(result, Console(file=printed, width=80))
    assert "not ranked" in " ".join(printed.getvalue().split())


def test_markup_and_formulas_in_names_are_shown_as_they_are():
    name = "[/x] <b>=1+1|"
    result = edited(compared(), data={"name": name, "shape": [1, 8, 8], "levels": 17})
    printed = io.StringIO()
    print_table(result, Console(file=printed, width=80))
    assert name in " ".join(printed.getvalue().split())
    markdown = rows_to_markdown([{"name": name, "value": 0.5}])
    assert "[/x] &lt;b&gt;=1+1\\|" in markdown
    assert "<b>" not in table_notes(edited(compared(), extractor={"name": name, "features": 2, "accuracy": None}))
    assert rows_to_csv([{"name": "=1+1", "value": -0.5}, {"name": "digits", "value": 1}]).splitlines() == [
        "name,value",
        "'=1+1,-0.5",
        "digits,1",
    ]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"rows": []}, "expected the row of the real images first"),
        ({"rows": [row("Dirichlet", "x")]}, "expected the row of the real images first"),
        ({"models": []}, "models, profiles: expected at least one"),
        ({"profiles": [profile("another", "x")]}, "'another' is the base of no model"),
        ({"profiles": [profile(DIRICHLET, "x")]}, "expected a row of 'Dirichlet', 'x' at time 'all', found none"),
        ({"reference_images": "many"}, "reference_images: expected an integer, got 'many'"),
        ({"reference_images": True}, "reference_images: expected an integer, got True"),
        ({"nearest_training_of_real": float("nan")}, "expected a finite number, got nan"),
        ({"pair_labels": [[1]]}, r"pair_labels\[0\]: expected tuple"),
        ({"data": {"name": "x", "levels": 2}}, "data.shape: missing"),
    ],
)
def test_an_evaluation_that_is_not_one_is_refused(edit, message):
    content = compared().to_json()
    assert Evaluation.from_json(content) == compared()
    with pytest.raises(ValueError, match=message):
        Evaluation.from_json({**content, **edit})
