"""The kernels as torch functions: transforms, compilation, broadcasting, dtypes, memory."""

import pytest
import torch
from packaging.version import Version

import manifoldflow.manifolds.rows as rows
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Simplex, Torus, frechet_mean

from ..strategies import MANIFOLDS, RIEMANNIAN, random_points, stereographic

T = torch.tensor([0.0, 0.25, 1.0])


def pair(space, shape_x=(4,), shape_y=(4,), dtype=torch.float32):
    rng = torch.Generator().manual_seed(1)

    def draw(shape):
        n = int(torch.Size(shape).numel())
        return random_points(space, n, dtype=dtype, generator=rng).reshape(*shape, *space.shape)

    return draw(shape_x), draw(shape_y)


def operations(space):
    metric = space.metric
    return {
        "dist": lambda x, y: metric.dist(x, y),
        "squared_dist": lambda x, y: metric.squared_dist(x, y),
        "log": lambda x, y: metric.log(y, x),
        "exp": lambda x, y: metric.exp(metric.log(y, x), x),
        "geodesic": lambda x, y: metric.geodesic(x, y)(T.to(x)),
        "transport": lambda x, y: metric.parallel_transport(metric.log(y, x), x, end_point=y),
        "transport along": lambda x, y: metric.parallel_transport(metric.log(y, x), x, direction=metric.log(y, x)),
        "norm": lambda x, y: metric.norm(metric.log(y, x), x),
    }


NAMES = list(operations(MANIFOLDS[0]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", RIEMANNIAN, ids=repr)
def test_vmap_agrees_with_the_batch(space, name):
    x, y = pair(space)
    function = operations(space)[name]
    torch.testing.assert_close(torch.vmap(function)(x, y), function(x, y), atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(
        torch.vmap(function, in_dims=(None, 0))(x[0], y), function(x[:1], y), atol=2e-5, rtol=2e-5
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", RIEMANNIAN, ids=repr)
def test_forward_and_reverse_jacobians_agree(space, name):
    x, y = pair(space, (), (), torch.float64)
    function = operations(space)[name]
    reverse = torch.func.jacrev(function, argnums=1)(x, y)
    rows.load_forward_mode()
    forward = torch.func.jacfwd(function, argnums=1)(x, y)
    assert reverse.isfinite().all()
    torch.testing.assert_close(forward, reverse)


COMPILED = [
    Hypersphere(3),
    Simplex(3),
    Simplex(3, metric="aitchison"),
    *(pytest.param(s, marks=pytest.mark.slow) for s in (Product([Hypersphere(2), Euclidean(2)]), stereographic(2))),
]


@pytest.mark.skipif(Version(torch.__version__) < Version("2.7"), reason="torch 2.6 does not compile nested functions")
@pytest.mark.parametrize("space", COMPILED, ids=repr)
def test_compiles_to_one_graph(space):
    """All operations at once: one compilation costs much less than eight."""
    x, y = pair(space)

    def every(x, y):
        return {name: function(x, y) for name, function in operations(space).items()}

    torch._dynamo.reset()
    compiled = torch.compile(every, fullgraph=True, backend="aot_eager")
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    for (name, got), expected in zip(compiled(a, y).items(), every(b, y).values()):
        torch.testing.assert_close(got, expected, atol=2e-5, rtol=2e-5, msg=lambda m, name=name: f"{name}: {m}")
        got, expected = (torch.autograd.grad(v.sum(), z, retain_graph=True)[0] for v, z in ((got, a), (expected, b)))
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, inside its compiler
@pytest.mark.parametrize("name", NAMES)
def test_compiles_with_the_default_backend(name):
    x, y = pair(Hypersphere(15), (64,), (64,))
    function = operations(Hypersphere(15))[name]
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True)
    torch.testing.assert_close(compiled(x, y), function(x, y), atol=2e-5, rtol=2e-5)


def test_compiled_code_chooses_at_antipodes_instead_of_raising():
    metric = Hypersphere(2).metric
    x = torch.tensor([[0.0, 0.6, 0.8]])
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, y: metric.log(y, x), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, -x), metric.log(-x, x, cut_locus="choose"))
    torch.testing.assert_close(torch.vmap(lambda x: metric.log(-x, x))(x), metric.log(-x, x, cut_locus="choose"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", RIEMANNIAN, ids=repr)
def test_leading_dimensions_broadcast(space, name):
    x, y = pair(space, (3, 1), (2,))
    function = operations(space)[name]
    whole = function(x, y)
    assert whole.shape[:2] == (3, 2)
    one_by_one = torch.stack([torch.stack([function(x[i, 0], y[j]) for j in range(2)]) for i in range(3)])
    torch.testing.assert_close(whole, one_by_one, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("space", RIEMANNIAN, ids=repr)
def test_empty_batches_dtype_and_arguments_left_alone(space, name, dtype):
    function = operations(space)[name]
    x, y = pair(space, (0,), (0,), dtype)
    assert function(x, y).shape[0] == 0
    x, y = pair(space, (5,), (5,), dtype)
    before = x.clone(), y.clone()
    assert function(x, y).dtype == dtype
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("space", MANIFOLDS, ids=repr)
def test_meta_device_is_kept(space):
    """Nothing is created on another device: on `meta`, mixing devices would raise."""
    x, y = (p.to("meta") for p in pair(space))
    metric, mean = space.metric, torch.func.vmap(lambda a, b: space.metric.dist(a, b))
    assert mean(x, y).device.type == "meta"
    under = torch.func.vmap(lambda a, b: metric.exp(metric.log(b, a), a))
    assert under(x, y).device.type == "meta"
    assert torch.func.vmap(lambda a, b: metric.geodesic(a, b)([0.0, 0.5]))(x, y).device.type == "meta"
    assert space.projection(x).device.type == "meta"


@pytest.mark.parametrize("space", [Hypersphere(6), Simplex(6)], ids=repr)
def test_blocks_change_nothing(space, monkeypatch):
    """Large inputs run in blocks; shrunken, the same code gives what the whole gives."""
    x, y = pair(space, (101,), (101,), torch.float64)
    x[3], y[7], y[8] = y[3], x[7], x[8]  # rows for every branch
    wide = pair(space, (5, 1), (1, 9), torch.float64)
    expected = {k: (f(x, y), f(*wide)) for k, f in operations(space).items()}
    monkeypatch.setattr(rows, "_WHOLE", 1)
    monkeypatch.setattr(rows, "_BLOCK", 64)
    for name, function in operations(space).items():
        for got, whole in zip((function(x, y), function(*wide)), expected[name]):
            torch.testing.assert_close(got, whole, atol=1e-13, rtol=1e-12)
        expanded = x[:1].expand_as(x)
        torch.testing.assert_close(function(expanded, y), function(expanded.contiguous(), y), atol=1e-13, rtol=1e-12)


def test_eager_shortcuts_agree_with_the_recorded_code():
    """Without a gradient, cheaper code runs where it is as accurate."""
    space = Hypersphere(5)
    x, y = pair(space, (500,), (500,), torch.float64)
    for function in operations(space).values():
        recorded = function(x.clone().requires_grad_(), y).detach()
        torch.testing.assert_close(function(x, y), recorded, atol=1e-14, rtol=1e-13)


@pytest.mark.parametrize("name", ["exp", "log", "dist", "slerp", "transport"])
@pytest.mark.parametrize("whole", [True, False])
def test_at_most_three_arrays_of_the_output_size_are_alive(name, whole, monkeypatch):
    """Counted by torch's own allocator events."""
    if not whole:
        monkeypatch.setattr(rows, "_WHOLE", 1)
        monkeypatch.setattr(rows, "_BLOCK", 1 << 14)
    space = Hypersphere(255)
    x, y = pair(space, (2000,), (2000,))
    v = space.metric.log(y, x)
    t = torch.tensor([0.5])
    calls = {
        "exp": lambda: space.metric.exp(v, x),
        "log": lambda: space.metric.log_and_cut(y, x)[0],
        "dist": lambda: space.metric.dist(x, y),
        "slerp": lambda: space.metric.geodesic(x, y)(t),
        "transport": lambda: space.metric.parallel_transport(v, x, end_point=y),
    }
    calls[name]()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as trace:
        calls[name]()
    alive = most = 0
    for event in sorted(
        (e for e in trace.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns()
    ):
        alive += event.nbytes()
        most = max(most, alive)
    rows_alone = 2000 * 4 * 40  # a few dozen numbers a row
    assert 0 < most <= (3 if whole else 1.2) * x.nbytes + rows_alone


def test_frechet_mean_is_differentiable():
    space = Hypersphere(2)
    points = pair(space, (3,), (3,), torch.float64)[0] * 0.2 + torch.tensor([0.0, 0.0, 1.0])
    points = space.projection(points)
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)

    def mean(w):
        return frechet_mean(space, points, w)

    jacobian = torch.autograd.functional.jacobian(mean, weights)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    numeric = torch.stack([(mean(weights + s) - mean(weights - s)) / 2e-6 for s in step], -1)
    torch.testing.assert_close(jacobian, numeric, atol=1e-7, rtol=0)


def test_product_and_pullback_are_in_the_table():
    kinds = {type(s) for s in RIEMANNIAN}
    assert kinds == {Euclidean, Hypersphere, Simplex, Product, Torus, type(stereographic(1))}


@pytest.mark.slow
def test_frechet_mean_is_left_out_of_a_graph():
    from torch._dynamo.testing import CompileCounter  # the compiler takes seconds to import

    torch._dynamo.reset()
    counter = CompileCounter()
    points = Hypersphere(2).metric.exp(0.3 * Hypersphere(2).random_tangent_vec(torch.eye(3)[0], 5), torch.eye(3)[0])
    mean = torch.compile(lambda x: 2 * frechet_mean(Hypersphere(2), x + 0), backend=counter)(points)
    torch.testing.assert_close(mean, 2 * frechet_mean(Hypersphere(2), points))
    assert counter.op_count < 50


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", RIEMANNIAN, ids=repr)
def test_a_row_that_is_not_finite_leaves_the_others_alone(space, name):
    x, y = pair(space, dtype=torch.float64)
    right = operations(space)[name](x, y)
    for bad in (float("nan"), float("inf")):
        wrong = y.clone()
        wrong[2] = bad
        try:
            result = operations(space)[name](x, wrong)
        except ValueError:  # refused, as an infinite distance or a zero is
            continue
        torch.testing.assert_close(result[[0, 1, 3]], right[[0, 1, 3]])
        assert not result[2].isfinite().all()
