"""Row operations: values and derivatives against mpmath, at zero too; blocks against the whole."""

import mpmath
import pytest
import torch

from manifoldflow.manifolds import rows

F64 = torch.float64


def derivatives(function, x, count):
    """Value and derivatives of a function of one number, by autograd."""
    point = torch.tensor(x, dtype=F64, requires_grad=True)
    found = [function(point)]
    for _ in range(count):
        found.append(torch.autograd.grad(found[-1], point, create_graph=True)[0])
    return [float(v.detach()) for v in found]


# the series ends at 0.01 and at 0.1
@pytest.mark.parametrize("x", [0.0, 1e-20, 1e-4, 0.0099, 0.0101, 0.0999, 0.1001, 0.7, 2.0, 40.0])
def test_smooth_factors_and_two_derivatives(x):
    def exact(function):
        with mpmath.workdps(60):
            at = mpmath.mpf(x) or mpmath.mpf(10) ** -20  # their series have no jump there
            return [float(v * mpmath.factorial(k)) for k, v in enumerate(mpmath.taylor(function, at, 2))]

    root = mpmath.sqrt
    for ours, theirs in (
        (rows.arctan_ratio, lambda z: mpmath.atan(root(z)) / root(z)),
        (lambda z: rows.cos_sinc(z)[0], lambda z: mpmath.cos(root(z))),
        (lambda z: rows.cos_sinc(z)[1], lambda z: mpmath.sin(root(z)) / root(z)),
    ):
        wanted = exact(theirs)
        value, first, second = derivatives(ours, x, 2)
        assert value == pytest.approx(wanted[0], rel=4e-16)
        assert first == pytest.approx(wanted[1], rel=1e-11)
        assert second == pytest.approx(wanted[2], rel=1e-8)
        assert float(ours(torch.tensor(x, dtype=F64))) == pytest.approx(wanted[0], rel=4e-16)
        single = ours(torch.tensor(x, requires_grad=True))
        assert float(single.detach()) == pytest.approx(wanted[0], rel=3e-7, abs=1e-7)


def test_the_root_has_no_infinite_slope():
    x = torch.tensor([0.0, 4.0, torch.nan], requires_grad=True)
    value = rows.safe_sqrt(x)
    value.sum().backward()
    assert value[:2].tolist() == [0, 2]
    assert value[2].isnan()
    assert x.grad[:2].tolist() == [0, 0.25]
    assert rows.safe_sqrt(x.detach())[:2].tolist() == [0, 2]


@pytest.mark.parametrize("n", [1, 63, 64, 65])
def test_dot_and_combine(n):
    x, y = torch.randn(2, 3, n, dtype=F64)
    close = torch.testing.assert_close
    close(rows.dot(x, y), torch.einsum("ij,ij->i", x, y)[:, None])
    close(rows.dot(x, y.clone().requires_grad_()), torch.einsum("ij,ij->i", x, y)[:, None])
    a, b = torch.randn(2, 3, 1, dtype=F64)
    close(rows.combine(a, x, b, y), a * x + b * y)
    close(rows.combine(a[:1], x[:1], b, y), a[:1] * x[:1] + b * y)  # broadcasting enlarges the first
    own = x.clone()
    assert rows.add_product(own, y, b) is own
    close(own, x + b * y)


@pytest.mark.parametrize(
    "shapes", [((7, 3), (7, 3)), ((7, 3), (1, 3)), ((3,), (7, 3)), ((2, 7, 3), (7, 3)), ((3,), (3,))]
)
@pytest.mark.parametrize("block", [1, 6, 9, 1000])
def test_blocks_are_the_whole(shapes, block, monkeypatch):
    x, y = (torch.randn(shape, dtype=F64) for shape in shapes)
    sizes = []

    def kernel(x, y):
        sizes.append((x + y).numel())
        return x + y, (x * y).sum(-1)

    whole = kernel(x, y)
    assert all(torch.equal(a, b) for a, b in zip(rows.in_blocks(kernel, x, y), whole))
    assert len(sizes) == 2  # small arrays are one block
    monkeypatch.setattr(rows, "_WHOLE", 1)
    monkeypatch.setattr(rows, "_BLOCK", block)
    sizes.clear()
    found = rows.in_blocks(kernel, x, y)
    assert all(torch.equal(a, b) for a, b in zip(found, whole))
    if shapes == ((7, 3), (7, 3)):
        assert max(sizes) == min(max(3, block // 3 * 3), 21)
        assert sum(sizes) == 21
    y.requires_grad_()
    sizes.clear()
    rows.in_blocks(kernel, x, y)
    assert len(sizes) == 1  # derivatives go through the whole
