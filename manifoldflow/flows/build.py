"""A flow from its description: plain JSON values in, a ManifoldFlow out. Loading runs no code of a file."""

from dataclasses import asdict, dataclass
from typing import Any

from ..checks import check_choice, check_integer, check_kind, check_number
from .bases import BASES, make_base
from .flow import ManifoldFlow
from .glow import PREPROCESSING, Glow, Logit, Preprocessed

__all__ = ["FlowDescription", "build_flow"]

_LARGEST_SIDE = 4096
_LARGEST = {"levels": 12, "steps": 1000, "hidden": 100_000}
"""What a description may ask for; twelve levels halve 4096 pixels to one."""


@dataclass(frozen=True)
class FlowDescription:
    """Everything that fixes the architecture of a flow of images; its weights come on top.

    Args:
        shape: (c, h, w) of the images.
        base: A name in `BASES`.
        base_parameter: The base's parameter, None for its default.
        levels, steps, hidden: Glow's L, K and hidden channels.
        preprocess: "centred" (x - 1/2, the first thing that Glow does) or "logit" (before Glow).

    Raises:
        ValueError: A field is out of range or of the wrong kind.

    >>> FlowDescription((1, 8, 8), base="vmf").dim
    64
    """

    shape: tuple[int, int, int]
    base: str = "gaussian"
    base_parameter: float | None = None
    levels: int = 2
    steps: int = 8
    hidden: int = 64
    preprocess: str = "centred"

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple | list) or len(self.shape) != 3:
            raise ValueError(f"shape: expected (c, h, w), got {self.shape!r:.100}")
        shape = tuple(check_integer(f"shape[{i}]", n, 1, _LARGEST_SIDE) for i, n in enumerate(self.shape))
        object.__setattr__(self, "shape", shape)
        check_choice("base", self.base, BASES)
        if self.base_parameter is not None:
            check_number("base_parameter", self.base_parameter, positive=True)
        for name, most in _LARGEST.items():
            object.__setattr__(self, name, check_integer(name, getattr(self, name), 1, most))  # of numpy, too
        check_choice("preprocess", self.preprocess, PREPROCESSING)

    @property
    def dim(self) -> int:
        """d = c h w."""
        c, h, w = self.shape
        return c * h * w

    @property
    def least_parameters(self) -> int:
        """Fewer than the flow's weights are: those of the couplings' middle convolutions and of the mixings."""
        channels, count = self.shape[0], 0
        for _ in range(self.levels):
            channels *= 4
            count += self.steps * (self.hidden**2 + channels**2)
            channels -= channels // 2
        return count

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_json(cls, fields: Any) -> "FlowDescription":
        """The inverse of `to_json`.

        Raises:
            ValueError: A field is missing, unknown or of the wrong kind.
        """
        names = set(cls.__dataclass_fields__)
        if isinstance(fields, dict):
            fields = {"preprocess": "centred", **fields}  # older files lack it
        if not isinstance(fields, dict) or set(fields) != names:
            raise ValueError(f"flow description: expected the fields {sorted(names)}, got {fields!r:.200}")
        try:
            return cls(**fields)
        except ValueError as error:
            raise ValueError(f"flow description: {error}") from error


def build_flow(description: FlowDescription) -> ManifoldFlow:
    """A freshly initialised flow; torch's generator decides the rotations and the couplings.

    Raises:
        ValueError: The description asks for something that there is not, or that does not suit its shape.
    """
    check_kind("description", description, FlowDescription)
    chart, base, _ = make_base(description.base, description.dim, description.base_parameter)
    glow = Glow(description.shape, levels=description.levels, steps=description.steps, hidden=description.hidden)
    transform = Preprocessed(Logit(), glow) if description.preprocess == "logit" else glow
    return ManifoldFlow(transform, chart, base)
