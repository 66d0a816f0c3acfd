"""Checks of arguments at the public doors: each error names the argument, what was expected, what came and the fix.

A door checks its arguments once, with these functions; what lies behind it trusts them. Tensors that are right pass
after a few attribute look-ups. No check looks at the values of a tensor, so that all work under torch.compile, vmap
and the like, except `check_finite`, which says so.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import OffManifoldError

__all__ = [
    "as_path",
    "as_tensor",
    "check_broadcast",
    "check_choice",
    "check_finite",
    "check_integer",
    "check_kind",
    "check_number",
    "check_tensors",
    "check_values",
    "describe",
    "fit",
    "holds",
    "is_eager",
    "one_of",
]


def describe(value: Any) -> str:
    """What a value is, for an error message: "a numpy array of shape (2, 3) and dtype int64"."""
    if isinstance(value, Tensor):
        where = "" if value.device.type == "cpu" else f" on {value.device}"
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}{where}"
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape} and dtype {value.dtype}"
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:37]}..."
    return f"a {type(value).__name__}"


def check_integer(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """The value as an int, numpy's integers included; a ValueError unless it is one from `least` to `most`."""
    try:
        number = None if isinstance(value, (bool, np.bool_, Tensor)) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        span = f">= {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}: expected an integer {span}, got {describe(value)}")
    return number


def check_number(
    name: str, value: Any, least: float = -math.inf, most: float = math.inf, *, positive: bool = False
) -> float:
    """The value as a finite float; a ValueError unless it is one from `least` to `most`, above 0 if `positive`.

    Numpy's numbers and tensors of one element are accepted; booleans and strings are not.
    """
    number = None
    if isinstance(value, (Real, np.number, np.ndarray, Tensor)) and not isinstance(value, (bool, np.bool_)):
        single = not isinstance(value, (np.ndarray, Tensor)) or (value.ndim == 0 and not _is_odd(value))
        number = float(value.detach() if isinstance(value, Tensor) else value) if single else None
    inside = number is not None and math.isfinite(number) and least <= number <= most
    if number is None or not inside or (positive and number <= 0):
        kind = "a positive finite number" if positive else "a finite number"
        low = f" >= {least:g}" if least > -math.inf else ""
        high = f" <= {most:g}" if most < math.inf else ""
        raise ValueError(f"{name}: expected {kind}{low}{' and' if low and high else ''}{high}, got {describe(value)}")
    return number


def _is_odd(value: Any) -> bool:
    """Whether an array is of booleans, complex numbers, objects or text, or has no values to read."""
    if isinstance(value, Tensor):
        return value.dtype == torch.bool or value.is_complex() or value.is_meta
    return value.dtype.kind not in "iuf"


def check_kind(name: str, value: Any, kind: type, article: str = "a") -> None:
    """Raise TypeError unless the value is of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {article} {kind.__name__}, got {describe(value)}")


def as_path(name: str, value: Any) -> Path:
    """The value as a path; TypeError unless it is one, or text."""
    if not isinstance(value, (str, PathLike)):
        raise TypeError(f"{name}: expected a path, got {describe(value)}")
    return Path(value)


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """The value, a ValueError unless it is one of the choices; a typing error gets "did you mean"."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    close = get_close_matches(value, choices, n=1) if isinstance(value, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    names = [repr(c) for c in choices]
    wanted = " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"
    raise ValueError(f"{name}: expected {wanted}, got {describe(value)}{hint}")


def one_of(function: str, **options: Any) -> None:
    """Raise unless exactly one of the named options is given."""
    given = [name for name, value in options.items() if value is not None]
    if len(given) != 1:
        raise ValueError(
            f"{function}: expected exactly one of {' and '.join(options)}, got {' and '.join(given) or 'neither'}"
        )


def check_tensors(
    arrays: Mapping[str, Any], tail: Sequence[int | None] = (), *, of: object = "", broadcast: bool = True
) -> None:
    """Raise unless every value is a floating-point tensor, all of one dtype and device, of shapes that fit.

    Args:
        arrays: Values by the names that the caller gave its arguments.
        tail: What every shape must end in; None stands for any positive size.
        of: What the shape is that of, for a message: "points of Hypersphere(2)", or an object whose repr says it.
        broadcast: Whether the leading dimensions must broadcast.

    Raises:
        TypeError: No tensor, or one of integers, booleans or complex numbers.
        OffManifoldError: A wrong shape, leading dimensions that do not broadcast, mixed dtypes or devices.
    """
    if not tail or not fit(tuple(arrays.values()), tuple(tail)):
        _explain(arrays, tail, of, broadcast)


def fit(arrays: tuple[Any, ...], tail: tuple[int | None, ...]) -> bool:
    """Whether these are plain tensors of one floating-point dtype and one shape with this tail, on the processor.

    That is the usual case, told in a microsecond or two; others may be right too, which takes longer to tell.
    """
    if len(arrays) == 2:  # without a loop, which would take longer than an addition of small tensors
        a, b = arrays
        return (
            type(a) is Tensor
            and type(b) is Tensor
            and a.is_cpu
            and b.is_cpu
            and a.dtype is b.dtype
            and a.is_floating_point()
            and (shape := a.shape) == b.shape
            and (shape[-1] == tail[0] if len(tail) == 1 and shape else shape[-len(tail) :] == tail)
        )
    return len(arrays) > 0 and all(fit((a, arrays[0]), tail) for a in arrays)


def _explain(arrays: Mapping[str, Any], tail: Sequence[int | None], of: object, broadcast: bool) -> None:
    first: tuple[str, Tensor] | None = None
    for name, array in arrays.items():
        _check_kind(name, array)
        _check_tail(name, array, tail, of)
        if first is None:
            first = name, array
        elif array.dtype != first[1].dtype:
            raise OffManifoldError(
                f"{name}: expected dtype {first[1].dtype} as of {first[0]}, got {array.dtype}; convert one of them"
            )
        elif array.device != first[1].device:
            raise OffManifoldError(
                f"{name}: expected device {first[1].device} as of {first[0]}, got {array.device}; move one of them"
            )
    if broadcast and len(arrays) > 1:
        check_broadcast({name: a.shape[: a.ndim - len(tail)] for name, a in arrays.items()})


def _check_kind(name: str, array: Any) -> None:
    if not isinstance(array, Tensor):
        fix = "; convert it with torch.as_tensor" if isinstance(array, (np.ndarray, list, tuple, Real)) else ""
        raise TypeError(f"{name}: expected a floating-point tensor, got {describe(array)}{fix}")
    if not array.is_floating_point():
        fix = "take its real part" if array.is_complex() else "convert it with .float() or .double()"
        raise TypeError(f"{name}: expected a floating-point tensor, got {describe(array)}; {fix}")


def _check_tail(name: str, array: Tensor, tail: Sequence[int | None], of: object) -> None:
    given = array.shape[max(0, array.ndim - len(tail)) :]
    if len(given) != len(tail) or any(g != t if t is not None else g == 0 for g, t in zip(given, tail)):
        sizes = ", ".join("n" if t is None else str(t) for t in tail)
        raise OffManifoldError(
            f"{name}: expected shape (*batch, {sizes}){f' for {of}' if of else ''}, got shape {tuple(array.shape)}"
        )


def check_broadcast(shapes: Mapping[str, torch.Size]) -> None:
    """Raise unless the named shapes, of leading dimensions, broadcast."""
    try:
        torch.broadcast_shapes(*shapes.values())
    except RuntimeError:
        listed = ", ".join(f"{tuple(shape)} for {name}" for name, shape in shapes.items())
        raise OffManifoldError(
            f"{' and '.join(shapes)}: expected leading dimensions that broadcast, got {listed}; "
            "insert dimensions of size 1 with unsqueeze"
        ) from None


def as_tensor(
    name: str, value: Any, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Tensor:
    """The value as a floating-point tensor; numpy arrays, numbers and lists of numbers are converted.

    Arrays may be read-only, big-endian or of negative strides. Floats keep their dtype, integers and Python's numbers
    take `dtype`, or torch's default; a list takes its own tensors' or torch's default.

    Raises:
        TypeError: Text, None, complex numbers, booleans or other objects.
        ValueError: A tensor without values (on the meta device).
    """
    if isinstance(value, Tensor):
        value = value if _is_odd(value) or value.is_floating_point() else value.to(dtype or torch.get_default_dtype())
        check_tensors({name: value})
        check_values(**{name: value})
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, Tensor) for v in value):
        try:
            return as_tensor(name, torch.stack(list(value)), dtype=dtype, device=device)
        except RuntimeError as error:
            raise ValueError(f"{name}: expected tensors of one shape, dtype and device, got others ({error})") from None
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name}: expected numbers, got {describe(value)} with rows of different lengths") from None
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and array.dtype.itemsize not in (2, 4, 8)):
        raise TypeError(f"{name}: expected a floating-point tensor or numbers, got {describe(value)}")
    native = np.array(array, dtype=array.dtype.newbyteorder("="))  # torch shares no read-only or reversed memory
    keeps = isinstance(value, (np.ndarray, np.floating)) and array.dtype.kind == "f"
    return torch.from_numpy(native).to(dtype=None if keeps else dtype or torch.get_default_dtype(), device=device)


def is_eager() -> bool:
    """True outside torch.compile, torch.export, torch.jit.trace and the torch.func transforms.

    Under those, branching on a value breaks the graph or raises: kernels then return masks only.
    """
    if torch.compiler.is_compiling() or torch._C._is_tracing():
        return False
    # The only test torch offers for vmap, jvp and jacrev; autograd.Function uses it as well.
    return not torch._C._are_functorch_transforms_active()


def holds(mask: Tensor) -> bool:
    """Whether a mask holds anywhere; False where values cannot be looked at: in a transform, a compiler, on meta."""
    return is_eager() and not mask.is_meta and bool(mask.any())


def check_values(**arrays: Tensor) -> None:
    """Raise unless the named tensors have values, which those on the meta device have not."""
    for name, array in arrays.items():
        if array.is_meta:
            raise ValueError(f"{name}: expected a tensor with values, got {describe(array)}; make it on a real device")


def check_finite(**arrays: Tensor) -> None:
    """Raise unless every value of the named tensors is finite; only call it in eager execution, since it looks."""
    for name, array in arrays.items():
        bad = ~array.detach().isfinite()
        if bool(bad.any()):
            where = tuple(int(i) for i in bad.nonzero()[0])
            at = f" at index {where}" if where else ""
            raise ValueError(f"{name}: expected finite numbers, got {float(array.detach()[bad][0])}{at}")
