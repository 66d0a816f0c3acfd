"""The contract for input: a wrong argument ends in a ValueError or TypeError that names it, never in torch's own error.

Each room has a table of its public functions, each with an argument that is accepted and a call that takes it. Every
call is tried with every wrong value below; it may also succeed, where the value happens to be right. Results that are
not finite are allowed only for input that is not, and only in the calls that say so in their documentation. A room
joins by adding its table to `ROOMS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from manifoldflow import charts as c
from manifoldflow import manifolds as m
from manifoldflow import special as s


@dataclass(frozen=True)
class Call:
    """A public function of one argument, the others fixed.

    Attributes:
        function: Takes the argument.
        good: A value that it accepts.
        names: One of these stands in the message.
        passes: Whether a NaN or an infinity in the argument may give one in the result, as documented.
    """

    function: Callable[[Any], Any]
    good: Any
    names: tuple[str, ...]
    passes: bool = False


NAN, INF = float("nan"), float("inf")
TENSORS = {
    "a number in a tensor": torch.tensor(1.0),
    "an empty batch": torch.zeros(0, 3),
    "a wrong last dimension": torch.ones(2, 5),
    "an empty last dimension": torch.ones(2, 0),
    "another batch": torch.ones(7, 3) / 3,
    "integers": torch.ones(2, 3, dtype=torch.int64),
    "booleans": torch.ones(2, 3, dtype=torch.bool),
    "complex numbers": torch.ones(2, 3, dtype=torch.complex64),
    "half precision": torch.ones(2, 3).half() / 3,
    "NaN": torch.full((2, 3), NAN),
    "infinity": torch.tensor([[INF, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    "zeros": torch.zeros(2, 3),
    "no values": torch.ones(2, 3, device="meta"),
}
OBJECTS = {
    "a numpy array": np.ones((2, 3)),
    "a big-endian array": np.ones((2, 3), dtype=">f8"),
    "a reversed array": np.ones((2, 3))[::-1],
    "a list": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    "a ragged list": [[1.0, 0.0], [1.0]],
    "text": "x",
    "None": None,
    "an object": object(),
}
NUMBERS = {
    "text": "x",
    "None": None,
    "a boolean": True,
    "NaN": NAN,
    "infinity": INF,
    "a negative number": -1,
    "a fraction": 2.5,
    "a complex number": 1j,
    "a list": [1],
    "numpy's integer": np.int64(3),
    "a tensor": torch.ones(2),
    "an object": object(),
}
ROWS = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float32)


def geometry(space: m.Space, rows: Tensor, other: Tensor) -> dict[str, Call]:
    """Every operation of a space and its metric, in each of its arguments."""
    metric, name = space.metric, repr(space)
    u = space.to_tangent(0.1 * torch.randn(rows.shape, generator=torch.Generator().manual_seed(0)), rows)
    t = torch.linspace(0, 1, 3)

    def row(function: Callable[[Any], Any], good: Any, *names: str) -> Call:
        return Call(function, good, names, passes=True)

    calls = {
        "exp of a vector": row(lambda x: metric.exp(x, rows), u, "tangent_vec"),
        "exp at a point": row(lambda x: metric.exp(u, base_point=x), rows, "base_point"),
        "log of a point": row(lambda x: metric.log(x, rows), other, "point"),
        "log at a point": row(lambda x: metric.log(other, x), rows, "point"),
        "dist": row(lambda x: metric.dist(x, rows), other, "point_a"),
        "dist to": row(lambda x: metric.dist(rows, point_b=x), other, "point_b"),
        "squared_dist": row(lambda x: metric.squared_dist(x, rows), other, "point_a"),
        "inner_product": row(lambda x: metric.inner_product(x, u, rows), u, "tangent_vec_a"),
        "inner_product with": row(lambda x: metric.inner_product(u, x, rows), u, "tangent_vec_b"),
        "inner_product at": row(lambda x: metric.inner_product(u, u, x), rows, "base_point"),
        "norm": row(lambda x: metric.norm(x, rows), u, "vector"),
        "norm at": row(lambda x: metric.norm(u, x), rows, "vector", "base_point"),
        "squared_norm": row(lambda x: metric.squared_norm(x, rows), u, "vector"),
        "geodesic from": row(lambda x: metric.geodesic(x, other)(t), rows, "initial_point"),
        "geodesic to": row(lambda x: metric.geodesic(rows, x)(t), other, "end_point"),
        "geodesic along": row(lambda x: metric.geodesic(rows, initial_tangent_vec=x)(t), u, "initial_tangent_vec"),
        "geodesic at times": row(lambda x: metric.geodesic(rows, other)(x), t, "t"),
        "transport": row(lambda x: metric.parallel_transport(x, rows, end_point=other), u, "tangent_vec"),
        "transport from": row(lambda x: metric.parallel_transport(u, x, end_point=other), rows, "base_point"),
        "transport to": row(
            lambda x: metric.parallel_transport(u, rows, end_point=x), other, "end_point", "tangent_vec"
        ),
        "transport along": row(lambda x: metric.parallel_transport(u, rows, direction=x), u, "direction"),
        "curvature": row(lambda x: metric.curvature(x, u, u, rows), u, "tangent_vec_a"),
        "metric_matrix": row(metric.metric_matrix, rows, "base_point"),
        "log_volume_form": row(metric.log_volume_form, rows, "point"),
        "injectivity_radius": row(lambda x: torch.as_tensor(-metric.injectivity_radius(x)).exp(), rows, "base_point"),
        "belongs": row(space.belongs, rows, "point"),
        "is_tangent": row(lambda x: space.is_tangent(x, rows), u, "vector"),
        "is_tangent at": row(lambda x: space.is_tangent(u, x), rows, "base_point"),
        "projection": row(space.projection, rows, "point"),
        "to_tangent": row(lambda x: space.to_tangent(x, rows), u, "vector"),
        "to_tangent at": row(lambda x: space.to_tangent(u, x), rows, "base_point"),
        "random_tangent_vec": row(space.random_tangent_vec, rows, "base_point"),
        "frechet_mean": Call(lambda x: m.frechet_mean(space, x), rows, ("points",)),
        "frechet_mean's weights": Call(lambda x: m.frechet_mean(space, rows, x), torch.ones(2), ("weights",)),
        "check_points": Call(lambda x: m.check_points(space, here=x), rows, ("here",)),
        "check_tangent": Call(lambda x: m.check_tangent(space, rows, here=x), u, ("here",)),
        "check_tangent at": Call(lambda x: m.check_tangent(space, x, here=u), rows, ("base_point", "here")),
        "TangentPCA.fit": Call(lambda x: m.TangentPCA(space, 1).fit(x), rows, ("X", "point")),
    }
    return {f"{name}: {key}": call for key, call in calls.items()}


def of_manifolds() -> dict[str, Call]:
    sphere = m.Hypersphere(2)
    spaces = [sphere, m.Simplex(2), m.Simplex(2, metric="aitchison"), m.Simplex(2, metric="euclidean"), m.Euclidean(3)]
    spaces += [
        m.Torus(3),
        m.Product([m.Simplex(1), m.Euclidean(1)]),
        m.Pullback(m.Euclidean(3), torch.sinh, inverse=torch.asinh),
    ]
    calls: dict[str, Call] = {}
    for space in spaces:
        rows = space.projection(ROWS)
        calls |= geometry(space, rows, space.projection(ROWS.flip(0) + torch.tensor([0.2, 0.0, 0.0])))
    return calls


def of_charts() -> dict[str, Call]:
    kinds = [c.Identity(3), c.Stereographic(3), c.AdditiveLogRatio(3), c.IsometricLogRatio(3), c.StickBreaking(3)]
    calls: dict[str, Call] = {}
    for chart in kinds:
        calls[f"{chart!r}"] = Call(chart, ROWS, ("z",), passes=True)
        calls[f"{chart!r}.log_volume"] = Call(chart.log_volume, ROWS, ("z",), passes=True)
    for small in (c.Identity(3), c.Stereographic(2), c.AdditiveLogRatio(2), c.IsometricLogRatio(2), c.StickBreaking(2)):
        calls[f"{small!r}.inv"] = Call(small.inv, ROWS, ("s",), passes=True)
    return calls


def of_special() -> dict[str, Call]:
    positive = torch.tensor([0.5, 2.0])
    vmf = {name: getattr(s, name) for name in s.__all__ if name.startswith("vmf_") and name != "vmf_concentration"}
    calls = {name: Call(lambda x, f=f: f(x, 3), positive, ("kappa",), passes=True) for name, f in vmf.items()}
    calls["vmf_concentration"] = Call(lambda x: s.vmf_concentration(x, 3), positive / 4, ("length",), passes=True)
    for name in ("log_gammainc", "log_gammaincc", "gammaincinv", "gammainccinv"):
        f = getattr(s, name)
        second = {"gammaincinv": "p", "gammainccinv": "q"}.get(name, "x")
        calls[name] = Call(lambda x, f=f: f(x, positive / 4), positive, ("a",), passes=True)
        calls[f"{name} at"] = Call(lambda x, f=f: f(positive, x), positive / 4, (second,), passes=True)
    for name in ("log_gamma_ratio", "digamma_difference"):
        f = getattr(s, name)
        calls[name] = Call(lambda x, f=f: f(x, positive), positive, ("a",), passes=True)
        calls[f"{name} by"] = Call(lambda x, f=f: f(positive, x), positive, ("b",), passes=True)
    calls["log1mexp"] = Call(s.log1mexp, -positive, ("x",), passes=True)
    calls["log_ndtri"] = Call(s.log_ndtri, -positive, ("log_p",), passes=True)
    return calls


def numbers() -> dict[str, Call]:
    """Arguments that are a number, a name or a space."""
    kappa, sphere = torch.ones(2), m.Hypersphere(2)
    calls = {f"{k.__name__}(dim)": Call(k, 3, ("dim",)) for k in (m.Euclidean, m.Hypersphere, m.Simplex, m.Torus)}
    kinds = (c.Identity, c.Stereographic, c.AdditiveLogRatio, c.IsometricLogRatio, c.StickBreaking)
    calls |= {f"{k.__name__}(dim)": Call(k, 3, ("dim",)) for k in kinds}
    calls |= {
        "Simplex(metric)": Call(lambda x: m.Simplex(2, metric=x), "aitchison", ("metric",)),
        "Product(factors)": Call(lambda x: m.Product(x), [sphere], ("factors", "space")),
        "Product(weights)": Call(lambda x: m.Product([sphere], x), [2.0], ("weights",)),
        "Pullback(space)": Call(lambda x: m.Pullback(x, torch.sin), m.Euclidean(2), ("space",)),
        "Pullback(map)": Call(lambda x: m.Pullback(m.Euclidean(2), x), torch.sin, ("map",)),
        "Pullback(steps)": Call(lambda x: m.Pullback(m.Euclidean(2), torch.sin, steps=x), 4, ("steps",)),
        "Stereographic(scale)": Call(lambda x: c.Stereographic(2, x), 2.0, ("scale",)),
        "random_point(n_samples)": Call(sphere.random_point, 3, ("n_samples",)),
        "random_point(dtype)": Call(lambda x: sphere.random_point(dtype=x), torch.float64, ("dtype",)),
        "random_point(device)": Call(lambda x: sphere.random_point(device=x), "cpu", ("device",)),
        "broadcasting(metric)": Call(m.broadcasting, sphere.metric, ("metric",)),
        "frechet_mean(space)": Call(lambda x: m.frechet_mean(x, torch.eye(3)), sphere, ("space",)),
        "frechet_mean(max_steps)": Call(lambda x: m.frechet_mean(sphere, torch.eye(3), max_steps=x), 9, ("max_steps",)),
        "frechet_mean(atol)": Call(lambda x: m.frechet_mean(sphere, torch.eye(3), atol=x), 1e-3, ("atol",)),
        "frechet_mean(starts)": Call(lambda x: m.frechet_mean(sphere, torch.eye(3), starts=x), 2, ("starts",)),
        "check_points(space)": Call(lambda x: m.check_points(x, here=torch.eye(3)), sphere, ("space",)),
        "TangentPCA(space)": Call(m.TangentPCA, sphere, ("space",)),
        "default_chart(space)": Call(c.default_chart, sphere, ("space",)),
        "cut_locus": Call(lambda x: sphere.metric.log(ROWS, ROWS, cut_locus=x), "choose", ("cut_locus",)),
        "log_sphere_area(n)": Call(s.log_sphere_area, 3, ("n",)),
        "vmf_mean_length(n)": Call(lambda x: s.vmf_mean_length(kappa, x), 3, ("n",)),
        "vmf_concentration(n)": Call(lambda x: s.vmf_concentration(kappa / 2, x), 3, ("n",)),
    }
    return calls


ROOMS = {"manifolds": (of_manifolds(), TENSORS | OBJECTS)}
ROOMS["charts"] = (of_charts(), TENSORS | OBJECTS)
ROOMS["special"] = (of_special(), TENSORS | OBJECTS)
ROOMS["numbers"] = (numbers(), NUMBERS)
CASES = [(room, name) for room, (calls, _) in ROOMS.items() for name in calls]


@pytest.mark.parametrize(("room", "name"), CASES, ids=[f"{room}-{name}" for room, name in CASES])
def test_wrong_arguments_are_named(room, name):
    calls, values = ROOMS[room]
    call = calls[name]
    finite(call.function(call.good))
    for label, value in values.items():
        try:
            result = call.function(value)
        except (ValueError, TypeError) as error:
            message = str(error)
        except Exception as error:
            pytest.fail(f"{label}: {type(error).__name__}: {error}")
        else:
            if not call.passes:
                finite(result)
            continue
        assert any(argument in message for argument in call.names), (label, message)


def finite(result: Any) -> None:
    if isinstance(result, Tensor) and result.is_floating_point() and not result.is_meta:
        assert result.isfinite().all()
