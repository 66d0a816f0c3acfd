"""Small pages about points of each kind of space, made of known laws."""

import numpy as np
import torch

import manifoldflow as mf
from manifoldflow.distributions import SphericalUniform
from manifoldflow.evaluation.certify import Certificate, Estimate
from manifoldflow.report import ModelShown, PathShown, PointsPage, density_shade


def certificate(name, nll, error=0.1, **changes):
    whole = {
        "nll_without_copies": Estimate(nll + 0.5, error),
        "copies": 0.0,
        "held_out": 40,
        "mass": Estimate(1.0, 1e-6),
        "mass_by": "quadrature",
        "split": "0123456789ab",
        "control": None,
        "control_name": "control",
        "tolerance": None,
        "tolerance_effect": None,
        "seconds": 0.25,
        "parameters": 1234,
    }
    return Certificate(name=name, nll=Estimate(nll, error), **(whole | changes))


def model(name, nll, law, train, **changes):
    options = {"two_sample_p": 0.4, "calibration": ((0.5, Estimate(0.48, 0.02)),)} | changes
    samples = law.sample((50,)).numpy()
    return ModelShown(certificate(name, nll), samples, density_shade(law, train, draws=200), **options)


def sphere_page(**changes):
    """Two models of 60 points, two kinds of paths between two pairs; the geodesics have known places."""
    torch.manual_seed(0)
    law = mf.VonMisesFisher(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(5.0))
    train, held_out = law.sample((60,)).numpy(), law.sample((40,)).numpy()
    models = (
        model("uniform", 2.53, SphericalUniform(2), train, is_control=True),
        model("von Mises-Fisher", 1.25, law, train),
    )
    quarter = torch.eye(3)[[0, 1]]  # along the equator, from longitude 0 to 90
    start, end = torch.stack([quarter[0], torch.eye(3)[2]]), torch.stack([quarter[1], quarter[0]])
    points = mf.interpolate(start, end, method="geodesic", space=mf.Hypersphere(2), steps=11).numpy()
    rise = np.linspace(0.0, 1.0, 11)
    paths = (
        PathShown("geodesic", points, np.stack([rise, rise[::-1]]), "von Mises-Fisher"),
        PathShown("there and back", points[:, ::-1], np.stack([rise**2, rise]), "von Mises-Fisher"),
    )
    whole = {"paths": paths, "pair_titles": ("along the equator", "from the pole"), "land": True}
    return PointsPage("directions", mf.Hypersphere(2), train, held_out, models, **(whole | changes))


def page_on(space, law, **changes):
    """One model, and straight paths between the first held-out points."""
    torch.manual_seed(1)
    train, held_out = law.sample((80,)).numpy(), law.sample((20,)).numpy()
    share = np.linspace(0, 1, 5)[:, None]
    paths = (PathShown("straight", held_out[:3, None] * (1 - share) + held_out[3:6, None] * share),)
    models = (model("the law", 1.0, law, train),)
    return PointsPage("points", space, train, held_out, models, **({"paths": paths} | changes))
