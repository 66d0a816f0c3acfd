"""The tables of an experiment, with the published figures beside, and the sentences that state what they show."""

from collections.abc import Iterable
from math import hypot, sqrt
from statistics import mean, stdev
from typing import Any

from ...evaluation import Evaluation, PathProfile, Published, Row, published_for
from ...report.table import markdown_table, steps_text

__all__ = ["experiment_findings", "experiment_tables", "tables_to_markdown"]

_SERIES = ("z_score", "ks", "pixel_speed", "nearer_end", "nearest_training", "nearest_training_features")


def _spread(values: Iterable[float]) -> dict[str, float | None]:
    """Mean and standard deviation over seeds; None for a single seed."""
    values = list(values)
    return {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else None}


def experiment_tables(results: list[Evaluation], priors: list[str], *, name: str) -> dict[str, Any]:
    """Tables of evaluations that differ only in their training seeds.

    Args:
        results: What `evaluate_step` returned for each seed, the models in the order of `priors`.
        priors: Names as in `PRIORS`.
        name: Of the data set; tells whether the paper reports it.

    Returns:
        "models" (a row for each prior), "paths" (a row for each path), "series" (figures over time for each path),
        what they were measured with, at how many training steps, and in what the trainings differ, if they do.
    """
    published = published_for(name)
    models, paths, series = [], [], []
    for number, prior in enumerate(priors):
        models.append(_model_row(results, number, prior, published))
        base = results[0].models[number].base
        for index, profile in enumerate(results[0].profiles):
            if profile.base == base:
                paths.append(_path_row(results, number, profile, prior, published))
                same = [result.profiles[index] for result in results]
                values = {key: [_spread(at) for at in zip(*(getattr(p, key) for p in same))] for key in _SERIES}
                times = list(profile.times)
                series.append({"prior": prior, "base": base, "path": profile.path, "times": times, **values})
    first = results[0]
    return {
        "data": first.data.to_json(),
        "extractor": first.extractor.to_json(),
        "reference_images": first.reference_images,
        "pairs": first.floor.count,
        "floor": {"frechet": first.floor.frechet, "nearest_training": first.nearest_training_of_real},
        "compared": steps_text(first),
        "training_differences": sorted({name for result in results for name in result.training_differences()}),
        "models": models,
        "paths": paths,
        "series": series,
    }


_Published = dict[tuple[str, str], Published]


def _model_row(results: list[Evaluation], number: int, prior: str, published: _Published) -> dict[str, Any]:
    models = [result.models[number] for result in results]
    samples = [result.row(model.base, "samples", "") for result, model in zip(results, models)]
    return {
        "prior": prior,
        "base": models[0].base,
        "seeds": len(results),
        **_columns("test_bpd", (model.result.test_bpd for model in models)),
        **_columns("sample_frechet", (row.frechet for row in samples)),
        **_published_columns(published.get((prior, "samples"))),
    }


def _path_row(
    results: list[Evaluation], number: int, profile: PathProfile, prior: str, published: _Published
) -> dict[str, Any]:
    bases = [result.models[number].base for result in results]
    every = [result.row(base, profile.path, "all") for result, base in zip(results, bases)]
    middle = [result.row(base, profile.path, "0.5") for result, base in zip(results, bases)]
    of_all = ("bpd", "frechet", "kernel", "pixel_length", "feature_length")
    columns = {key: value for name in of_all for key, value in _columns(name, _values(every, name)).items()}
    for name in ("frechet", "z_score", "typicality", "ks"):
        columns |= _columns(f"{name}_middle", _values(middle, name))
    published_columns = _published_columns(published.get((prior, profile.method)))
    return {"prior": prior, "path": profile.path, "seeds": len(results), **columns, **published_columns}


def _values(rows: list[Row], name: str) -> list[float]:
    return [getattr(row, name) for row in rows]


def _columns(name: str, values: Iterable[float]) -> dict[str, float | None]:
    spread = _spread(values)
    return {name: spread["mean"], f"{name}_sd": spread["sd"]}


def _published_columns(published: Published | None) -> dict[str, float | None]:
    bpd, frechet = published or ((None, None), (None, None))
    return {
        "published_bpd": bpd[0],
        "published_bpd_sd": bpd[1],
        "published_frechet": frechet[0],
        "published_frechet_sd": frechet[1],
    }


def spread_text(row: dict[str, Any], name: str, digits: int) -> str | None:
    """Mean and standard deviation of a column of `row`."""
    if row[name] is None:
        return None
    sd = row[f"{name}_sd"]
    return f"{row[name]:z.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")


def tables_to_markdown(tables: dict[str, Any]) -> str:
    """Both tables and the figures over time, with what they were measured with."""
    published = any(row["published_bpd"] is not None for row in tables["models"])
    text = _heading(tables, published) + "\n" + "\n".join(f"- {one}" for one in experiment_findings(tables)) + "\n"
    beside = [("published BPD", "published_bpd", 2), ("published Fréchet", "published_frechet", 2)] if published else []
    text += "\n## Priors\n\n" + _spread_table(tables["models"], ["prior"], [*_MODEL_COLUMNS, *beside])
    paths = [
        {**row, **{key: None if row[key] is None else 1000 * row[key] for key in ("kernel", "kernel_sd")}}
        for row in tables["paths"]
    ]
    text += "\n## Paths\n\n" + _spread_table(paths, ["prior", "path"], [*_PATH_COLUMNS, *beside])
    return text + _series_markdown(tables)


_MODEL_COLUMNS = [("test BPD", "test_bpd", 3), ("Fréchet of samples", "sample_frechet", 3)]
_PATH_COLUMNS = [
    ("BPD", "bpd", 3),
    ("Fréchet", "frechet", 3),
    ("Fréchet, t = 1/2", "frechet_middle", 3),
    ("kernel × 1000", "kernel", 1),
    ("z, t = 1/2", "z_score_middle", 2),
    ("KS, t = 1/2", "ks_middle", 2),
    ("length (pixels)", "pixel_length", 2),
    ("length (features)", "feature_length", 2),
]


def _spread_table(rows: list[dict[str, Any]], names: list[str], columns: list[tuple[str, str, int]]) -> str:
    """Mean and standard deviation of the columns (header, key, digits), after what is named by `names`."""
    header = [*names, *(title for title, _, _ in columns)]
    return markdown_table(
        header,
        [
            [*(row[name] for name in names), *(spread_text(row, key, digits) for _, key, digits in columns)]
            for row in rows
        ],
    )


def _heading(tables: dict[str, Any], published: bool) -> str:
    extractor = tables["extractor"]
    seeds = tables["models"][0]["seeds"]
    accuracy = "" if extractor["accuracy"] is None else f", accuracy {extractor['accuracy']:.1%}"
    text = (
        f"# Interpolation in normalizing flows on {tables['data']['name']}, {tables['compared']}\n\n"
        f"{'One seed' if seeds == 1 else f'{seeds} seeds: mean ± standard deviation over them'}; "
        f"{tables['pairs']} pairs of test images. Distances are measured in {extractor['features']} features of the "
        f"{extractor['name']}{accuracy}, to {tables['reference_images']} training images; real images have "
        f"{tables['floor']['frechet']:.3f}. z: base log-density in standard deviations from typical; KS: distance "
        "of its law from that under the base; lengths are Euclidean, of values in [0, 1] and of features.\n"
    )
    if published and "Inception" not in extractor["name"]:
        text += "The published distances are in Inception's features, and not comparable with ours.\n"
    return text


def _series_markdown(tables: dict[str, Any]) -> str:
    """Distance to the nearer end and to the nearest training image over time."""
    times = tables["series"][0]["times"]
    half = [i for i, t in enumerate(times) if t <= 0.5 + 1e-6]
    text = ""
    for key, what in {
        "nearer_end": "Distance to the nearer end point (pixels in [0, 1])",
        "nearest_training": "Distance to the nearest training image (pixels in [0, 1])",
    }.items():
        rows = [[one["prior"], one["path"], *(f"{one[key][i]['mean']:.3f}" for i in half)] for one in tables["series"]]
        text += f"\n## {what}\n\n" + markdown_table(["prior", "path", *(f"t = {times[i]:g}" for i in half)], rows)
    return text + (
        f"\nReal test images are {tables['floor']['nearest_training']:.3f} from their nearest training image.\n"
    )


_EARLY = (0.1, 0.2, 0.3)


def experiment_findings(tables: dict[str, Any]) -> list[str]:
    """Statements on likelihood, distances, typicality and the bias of norm correction, each with its figures."""
    differing = tables["training_differences"]
    if differing:
        statements = [f"The models were trained differently ({', '.join(differing)}), so the priors are not ranked."]
    else:
        statements = [_likelihood(tables["models"]), _distance(tables)]
    gaussian = {row["path"]: row for row in tables["paths"] if row["prior"] == "gaussian"}
    if {"norm-corrected", "slerp"} <= set(gaussian):
        statements.append(_control(gaussian["norm-corrected"], gaussian["slerp"]))
        series = {one["path"]: one for one in tables["series"] if one["prior"] == "gaussian"}
        statements.append(_bias(series["norm-corrected"], series["slerp"]))
        statements.append(_nearest(series["norm-corrected"], series["slerp"]))
    return statements


def _difference(a: tuple[float, float | None], b: tuple[float, float | None], seeds: int, digits: int) -> str:
    """a - b with its standard error over seeds, and whether that tells them apart."""
    value = a[0] - b[0]
    text = f"{value:+.{digits}f}"
    if a[1] is None or b[1] is None:
        return f"{text}, one seed"
    error = hypot(a[1], b[1]) / sqrt(seeds)
    verdict = "more" if abs(value) > 2 * error else "not more"
    return f"{text}, standard error {error:.{digits}f}: {verdict} than the spread over seeds explains"


def _of(row: dict[str, Any], name: str) -> tuple[float, float | None]:
    return row[name], row[f"{name}_sd"]


def _likelihood(models: list[dict[str, Any]]) -> str:
    ordered = sorted(models, key=lambda row: row["test_bpd"])
    best, worst = ordered[0], ordered[-1]
    if best is worst:
        return f"Test bits per dimension with the prior {best['prior']}: {best['test_bpd']:.3f}."
    difference = _difference(_of(worst, "test_bpd"), _of(best, "test_bpd"), best["seeds"], 3)
    return (
        f"Test bits per dimension are lowest with {best['prior']} ({best['test_bpd']:.3f}) and highest with "
        f"{worst['prior']} ({worst['test_bpd']:.3f}; {difference})."
    )


def _distance(tables: dict[str, Any]) -> str:
    ordered = sorted(tables["paths"], key=lambda row: row["frechet"])
    best, worst = ordered[0], ordered[-1]
    return (
        f"Over all times, {best['prior']} with {best['path']} comes closest to real images (Fréchet distance "
        f"{best['frechet']:.3f}; real images {tables['floor']['frechet']:.3f}), {worst['prior']} with {worst['path']} "
        f"stays furthest away ({worst['frechet']:.3f})."
    )


def _control(corrected: dict[str, Any], slerp: dict[str, Any]) -> str:
    difference = _difference(_of(corrected, "frechet"), _of(slerp, "frechet"), slerp["seeds"], 3)
    middle = _difference(_of(corrected, "frechet_middle"), _of(slerp, "frechet_middle"), slerp["seeds"], 3)
    return (
        "Gaussian prior, norm-corrected minus slerp (the control that the published tables lack), Fréchet distance: "
        f"over all times {difference}; midpoints only {middle}."
    )


def _at(one: dict[str, Any], key: str, time: float) -> tuple[float, float | None]:
    column = min(range(len(one["times"])), key=lambda i: abs(one["times"][i] - time))
    return one[key][column]["mean"], one[key][column]["sd"]


def _bias(corrected: dict[str, Any], slerp: dict[str, Any]) -> str:
    """Norm correction goes along the same great circle as slerp, but slowly at the ends and fast in the middle."""
    parts = []
    for time in _EARLY:
        a, b = _at(corrected, "nearer_end", time), _at(slerp, "nearer_end", time)
        parts.append(f"t = {time:g}: {a[0]:.3f} v. {b[0]:.3f} ({100 * (a[0] / b[0] - 1):+.0f} %)")
    nearer = all(_at(corrected, "nearer_end", t)[0] < _at(slerp, "nearer_end", t)[0] for t in _EARLY)
    verdict = "is" if nearer else "is not throughout"
    return (
        f"Norm correction {verdict} biased towards the end points: distance in pixels to the nearer end, "
        "norm-corrected v. slerp, " + "; ".join(parts) + "."
    )


def _nearest(corrected: dict[str, Any], slerp: dict[str, Any]) -> str:
    parts = []
    for time in (0.3, 0.5):
        a, b = _at(corrected, "nearest_training", time), _at(slerp, "nearest_training", time)
        parts.append(f"t = {time:g}: {a[0]:.3f} v. {b[0]:.3f}")
    return "Distance to the nearest training image, norm-corrected v. slerp: " + "; ".join(parts) + "."
