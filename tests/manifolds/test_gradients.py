"""Derivatives: right wherever they exist, finite and as documented where they do not."""

import math

import mpmath
import pytest
import torch
from mpmath import mp
from torch.autograd import gradcheck, gradgradcheck

from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex

from ..strategies import stereographic
from . import references as ref

SPHERE = Hypersphere(4)
METRIC = SPHERE.metric
WELL_SEPARATED = [1e-2, 0.1, 1.0, math.pi / 2, 3.0, math.pi - 1e-2]


def unit(v):
    return v / v.norm(dim=-1, keepdim=True)


def tangent(v, x):
    return v - (v * x).sum(-1, keepdim=True) * x


def operations(metric):
    """Every operation as a function of free vectors, through v -> v/|v| and the tangent projection."""
    t = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    return {
        "dist": lambda a, b: metric.dist(unit(a), unit(b)),
        "squared_dist": lambda a, b: metric.squared_dist(unit(a), unit(b)),
        "log": lambda a, b: metric.log(unit(b), unit(a)),
        "exp": lambda a, b: metric.exp(tangent(b, unit(a)), unit(a)),
        "geodesic": lambda a, b: metric.geodesic(unit(a), unit(b))(t),
        "transport to": lambda a, b: metric.parallel_transport(
            tangent(a + 2 * b.flip(-1), unit(a)), unit(a), None, unit(b)
        ),
        "transport along": lambda a, b: metric.parallel_transport(
            tangent(a.flip(-1), unit(a)), unit(a), tangent(b, unit(a))
        ),
        "norm": lambda a, b: metric.norm(metric.log(unit(b), unit(a)), unit(a)),
    }


@pytest.mark.parametrize("theta", WELL_SEPARATED)
@pytest.mark.parametrize("name", operations(METRIC))
def test_first_and_second_derivatives_of_the_sphere(name, theta):
    x, y = ref.pair_at(theta, 5, torch.float64, 2, sparse=False)
    # lengths other than 1, so that the projections count
    inputs = ((1.5 * x).requires_grad_(), (0.7 * y).requires_grad_())
    function = operations(METRIC)[name]
    room = min(theta, math.pi - theta)
    assert gradcheck(function, inputs, eps=1e-4 * min(1, room), atol=1e-5 / room, rtol=1e-4)
    if room > 0.05:
        assert gradgradcheck(function, inputs, eps=1e-5, atol=1e-4 / room, rtol=1e-3)
    else:
        assert gradgradcheck(function, inputs, eps=1e-6, atol=2e-2, rtol=1e-2)


@pytest.mark.parametrize("theta", [1e-12, 1e-9, 1e-6, 1e-4, 1e-3, *(math.pi - a for a in (1e-6, 1e-4, 1e-3))])
def test_tangential_gradients_near_coincidence_and_near_antipodes(theta):
    """Derivatives along the circle of x and y, and across it, against 50 digits.

    On this circle, with a moving y by da along and db across it: d theta = da, and log_x(y) = theta e changes by
    da e + (theta / sin theta) db f.
    """
    x, e, f = torch.eye(5, dtype=torch.float64)[:3]
    big = mp.mpf(theta) if theta < 3 else mp.pi - mp.mpf(math.pi - theta)
    sin, cos = (float(g(big)) for g in (mpmath.sin, mpmath.cos))
    y = (cos * x + sin * e).requires_grad_()
    along, across = (-sin * x + cos * e), f
    xs, ys = ref.exact(x), ref.exact(y.detach())
    actual = ref.angle(xs, ys)
    ratio = float(actual / mpmath.sin(actual))
    room = min(float(actual), float(mp.pi - actual))
    slack = 1e-13 + 8 * torch.finfo(torch.float64).eps / room

    gradient = torch.autograd.grad(METRIC.dist(x, y), y)[0]
    assert abs(gradient @ along - 1) <= slack
    assert abs(gradient @ across) <= slack
    gradient = torch.autograd.grad(METRIC.squared_dist(x, y), y)[0]
    assert abs(gradient @ along / (2 * float(actual)) - 1) <= slack
    jacobian = torch.func.jacrev(lambda y: METRIC.log(y, x))(y.detach())
    jacobian = jacobian - torch.outer(x, x @ jacobian)  # the tangential part
    torch.testing.assert_close(jacobian @ along, e, atol=slack, rtol=0)
    torch.testing.assert_close(jacobian @ across, ratio * f, atol=ratio * slack, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_at_coincident_points(dtype):
    """dist: 0, where none exists. squared_dist: 0, Hessian 2 P. log: P in y. exp: I in v at v = 0."""
    rng = torch.Generator().manual_seed(0)
    x = SPHERE.random_point(dtype=dtype, generator=rng)
    p = torch.eye(5, dtype=dtype) - torch.outer(x, x)
    tol = {"atol": 8 * torch.finfo(dtype).eps, "rtol": 0}
    dist, squared, log = METRIC.dist, METRIC.squared_dist, METRIC.log
    jac, hess = torch.func.jacrev, torch.func.hessian
    assert (jac(lambda y: dist(x, y))(x) == 0).all()
    assert (jac(lambda y: squared(x, y))(x) == 0).all()
    torch.testing.assert_close(p @ hess(lambda y: squared(x, y))(x) @ p, 2 * p, **tol)
    torch.testing.assert_close(jac(lambda y: log(y, x))(x) @ p, p, **tol)
    torch.testing.assert_close(jac(lambda x_: log(x, x_))(x) @ p, -p, **tol)
    torch.testing.assert_close(jac(lambda v: METRIC.exp(v, x))(torch.zeros_like(x)) @ p, p, **tol)
    moved = jac(lambda y: METRIC.parallel_transport(p[0], x, end_point=y))(x)
    assert moved.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_at_antipodes_are_zero_where_none_exist(dtype):
    x = torch.tensor([0.6, 0.0, 0.8], dtype=dtype)
    metric = Hypersphere(2).metric
    t = torch.tensor([0.5], dtype=dtype)
    y = (-x).requires_grad_()
    for value in (
        metric.dist(x, y),
        metric.log(y, x, cut_locus="choose"),
        metric.geodesic(x, y, cut_locus="choose")(t),
        metric.parallel_transport(torch.tensor([0.0, 1.0, 0.0], dtype=dtype), x, None, y, cut_locus="choose"),
    ):
        assert (torch.autograd.grad(value.sum(), y)[0] == 0).all()


INNER = [Simplex(3), Simplex(3, metric="euclidean"), Simplex(3, metric="aitchison")]
OTHERS = [*INNER, Euclidean(3), Product([Hypersphere(2), Simplex(1)], weights=[2.0, 0.5]), stereographic(2)]


@pytest.mark.parametrize("space", OTHERS, ids=repr)
def test_first_and_second_derivatives_of_the_other_spaces(space):
    rng = torch.Generator().manual_seed(4)
    x, y = (space.random_point(dtype=torch.float64, generator=rng).requires_grad_() for _ in range(2))
    metric, t = space.metric, torch.tensor([0.2, 1.0], dtype=torch.float64)

    def onto(a):  # a smooth retraction onto the space, so that finite differences stay on it
        if isinstance(space, Simplex):
            return a / a.sum(-1, keepdim=True)
        return (
            space.join([unit(s) if i == 0 else s / s.sum() for i, s in enumerate(space.split(a))])
            if (isinstance(space, Product))
            else a
        )

    functions = [
        lambda a, b: metric.dist(onto(a), onto(b)),
        lambda a, b: metric.squared_dist(onto(a), onto(b)),
        lambda a, b: metric.log(onto(b), onto(a)),
        lambda a, b: metric.exp(0.5 * metric.log(onto(b), onto(a)), onto(a)),
        lambda a, b: metric.geodesic(onto(a), onto(b))(t),
        lambda a, b: metric.parallel_transport(metric.log(onto(b), onto(a)), onto(a), None, onto(b)),
    ]
    for function in functions:
        assert gradcheck(function, (x, y))
        assert gradgradcheck(function, (x, y), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_on_the_boundary_of_the_simplex_are_finite(dtype):
    """With respect to a zero coordinate the derivative of a root is infinite: 0 is returned."""
    metric = Simplex(2).metric
    p = torch.tensor([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], dtype=dtype).requires_grad_()
    q = torch.tensor([[0.3, 0.3, 0.4], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]], dtype=dtype).requires_grad_()
    t = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)
    for value in (
        metric.dist(p, q),
        metric.squared_dist(p, q),
        metric.geodesic(p, q)(t),
        metric.log(p, q, cut_locus="choose"),
        metric.log(q, p, cut_locus="choose"),
        metric.parallel_transport(metric.log(p, q, cut_locus="choose"), q, None, p, cut_locus="choose"),
    ):
        for g in torch.autograd.grad(value.sum(), [p, q], allow_unused=True):
            assert g is None or g.isfinite().all()
    gradient = torch.autograd.grad(metric.dist(p, q).sum(), p)[0]
    assert gradient[0, 0] == 0
    assert gradient[2].eq(0).all()


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 1e-25), (torch.float64, 1e-200)])
def test_aitchison_derivatives_are_right_at_tiny_coordinates(dtype, least):
    """Their squares are beyond the dtype: d |clr q - clr p|^2 = -2 (clr q - clr p) / p dp, centred already."""
    metric = Simplex(2, metric="aitchison").metric
    p = torch.tensor([least, 0.4, 0.6], dtype=dtype).requires_grad_()
    q = torch.tensor([0.3, 0.3, 0.4], dtype=dtype).requires_grad_()
    ratio = (q / q.log().mean().exp()).log() - (p / p.log().mean().exp()).log()
    for one, other in ((p, q), (q, p)):
        grad_p, grad_q = torch.autograd.grad(metric.squared_dist(one, other), [p, q])
        torch.testing.assert_close(grad_p, -2 * ratio / p)
        torch.testing.assert_close(grad_q, 2 * ratio / q)
