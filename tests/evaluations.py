"""Made-up evaluations for the tests of what is written about them."""

from manifoldflow.evaluation import Evaluation

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)


def row(base, path, time="all", **values):
    """A row of the table as stored, with these values."""
    figures = {"count": 300, "bpd": 1.5, "frechet": 10.25, "kernel": 0.11, "kernel_sd": 0.05}
    if time not in ("",):
        figures |= {"z_score": -13.5, "typicality": 0.1, "ks": 0.5}
    if time == "all":
        figures |= {"pixel_length": 4.0, "feature_length": 9.0, "frechet_sd": 0.2}
    return {"base": base, "path": path, "time": time, **figures, **values}


def profile(base, path, **values):
    """A path over time as stored."""
    m = 5
    flat = ("z_score", "typicality", "ks", "nearer_end", "nearest_training", "nearest_training_features")
    return {
        "base": base,
        "path": path,
        "method": path,
        "statistic": "norm |z|",
        "times": [0.0, 0.25, 0.5, 0.75, 1.0],
        "path_quantiles": [[0.0] * m, [1.0] * m, [2.0] * m],
        "base_quantiles": [6.0, 8.0, 9.0],
        **{name: [1.0] * m for name in flat},
        "pixel_speed": [1.0] * (m - 1),
        "feature_speed": [1.0] * (m - 1),
        "shown_pairs": {name: [[0.5] * m, [0.5] * m] for name in ("statistic", "realism", "typicality")},
        "frechet_draws": [],
        **values,
    }


def model(base, test_bpd=2.0, *, training=None, **result):
    """What a training recorded, as stored."""
    figures = {
        "test_bpd": test_bpd,
        "test_bpd_standard_error": 0.01,
        "validation_bpd": test_bpd,
        "epochs": 5,
        "best_epoch": 4,
        "stopped_by": "epochs",
        "seconds": 9.0,
        "images_per_second": 700.0,
        "steps": 200,
    }
    settings = {
        "data": {"source": "digits"},
        "flow": {"base": base, "levels": 2},
        "training": training or {"epochs": 5},
    }
    return {
        "base": base,
        "name": base.lower().replace(" ", "-"),
        "settings": settings,
        "images": {"train": 1258, "validation": 179, "test": 360},
        "fingerprints": {"train": "a", "test": "b"},
        "versions": {"python": "3"},
        "result": {**figures, **result},
    }


def stored(paths, *, models=None, rows=(), **fields):
    """The content of an evaluation.json.

    Args:
        paths: For each base the profiles of its paths, or their names.
        models: Instead of one made-up model for each base.
        rows: Instead of the made-up rows with the same base, path and time.
        fields: Further fields.
    """
    profiles = [p if isinstance(p, dict) else profile(base, p) for base, group in paths.items() for p in group]
    made = [row("real images", "starts v. training", "", bpd=None, frechet=0.1)]
    for base in paths:
        made.append(row(base, "samples", "", bpd=None))
        names = [p["path"] for p in profiles if p["base"] == base]
        made += [row(base, name, time) for name in names for time in (*map(str, TIMES), "all")]
    given = {(one["base"], one["path"], one["time"]): one for one in rows}
    return {
        "settings": {"interpolations": [f"../{base}" for base in paths], "seed": 0},
        "versions": {"python": "3"},
        "data": {"name": "digits", "shape": [1, 8, 8], "levels": 17},
        "extractor": {"name": "classifier trained on digits", "features": 32, "accuracy": 0.99},
        "reference_images": 1258,
        "nearest_training_of_real": 1.5,
        "pair_labels": [[4, 5], [0, 1]],
        "pairs_from": None,
        "models": models or [model(base) for base in paths],
        "profiles": profiles,
        "rows": [given.get((one["base"], one["path"], one["time"]), one) for one in made],
        **fields,
    }


def evaluation(paths, **options):
    """The same as an `Evaluation`."""
    return Evaluation.from_json(stored(paths, **options))


def edited(result, **fields):
    """An evaluation with stored fields replaced."""
    return Evaluation.from_json({**result.to_json(), **fields})
