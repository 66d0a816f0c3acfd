"""The printed table fits a terminal of 80 columns without cutting anything off."""

import io

from rich.console import Console

from manifoldflow.report import print_table
from manifoldflow.report.findings import findings


def row(base, path, time="all", **values):
    default = {
        "count": 300,
        "bpd": 1.5,
        "frechet": 10.25,
        "kernel": 0.11,
        "kernel_sd": 0.05,
        "z_score": -13.5,
        "typicality": 0.1,
    }
    return {"base": base, "path": path, "time": time, **default, **values}


RESULT = {
    "data": {"name": "digits"},
    "extractor": {"name": "classifier trained on digits", "features": 32, "accuracy": 0.99},
    "models": [
        {"base": "von Mises-Fisher", "result": {"test_bpd": 2.2, "test_bpd_standard_error": 0.01}},
        {"base": "Dirichlet", "result": {"test_bpd": 2.4, "test_bpd_standard_error": 0.01}},
    ],
    "rows": [
        row("real images", "starts v. training", "", bpd=None, z_score=None),
        row("von Mises-Fisher", "samples", "", bpd=None, z_score=None),
        row("von Mises-Fisher", "slerp (geodesic)", frechet=7.0),
        row("von Mises-Fisher", "slerp (geodesic)", "0.5", z_score=1.0),
        row("Dirichlet", "Fisher-Rao geodesic"),
        row("Dirichlet", "Fisher-Rao geodesic", "0.5"),
    ],
}


def test_table_fits_80_columns():
    text = io.StringIO()
    print_table(RESULT, Console(file=text, width=80))
    assert "…" not in text.getvalue()
    for word in ("von Mises-Fisher", "Fisher-Rao geodesic", "10.250", "-13.5", "110.0", "not comparable"):
        assert word in text.getvalue()


def test_findings_say_which_is_lowest_whichever_it_is():
    first, far, near, distance = findings(RESULT)
    assert "lowest with the base von Mises-Fisher (2.200)" in first
    assert "Dirichlet with Fisher-Rao geodesic (-13.5)" in far
    assert "von Mises-Fisher with slerp (geodesic) (+1.0)" in near
    assert "von Mises-Fisher with slerp (geodesic) comes closest" in distance
    assert "Dirichlet with Fisher-Rao geodesic stays furthest" in distance
