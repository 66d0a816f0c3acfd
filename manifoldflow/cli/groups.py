"""Groups of options that several commands share, each with the settings that it fills."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from .app import Data, Output

if TYPE_CHECKING:
    from ..steps import DataChoice
    from ..training import Placement

__all__ = ["DataOptions", "GlowOptions", "PlacementOptions", "TrainingOptions", "grouped"]


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its dataclass parameters as options of their own, for Typer to read."""
    signature = inspect.signature(command)
    flat: list[Parameter] = []
    last: list[Parameter] = []
    groups: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        kind = parameter.annotation
        if is_dataclass(kind):
            groups[parameter.name], hints = kind, get_type_hints(kind, include_extras=True)
            (last if kind is Output else flat).extend(
                Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
                for field in fields(kind)
            )
        else:
            flat.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))

    flat += last

    def run(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    run.__signature__ = signature.replace(parameters=flat)  # type: ignore[attr-defined]
    return run


@dataclass(frozen=True)
class DataOptions:
    """Which data."""

    data: Data = "digits"
    size: Annotated[int, typer.Option(min=2, help="Side in pixels, for CelebA and folders of images.")] = 32
    bits: Annotated[int, typer.Option(min=1, max=8, help="Bits per pixel: the highest of 8, for 8-bit images.")] = 8
    published_test: Annotated[
        bool, typer.Option("--published-test", help="Test on the data's published test part; default: on 20 % of all.")
    ] = False

    def choice(self, seed: int = 0) -> "DataChoice":
        """The data with the seed of its split."""
        from ..steps import DataChoice

        return DataChoice(self.data, size=self.size, seed=seed, bits=self.bits, published_test=self.published_test)


@dataclass(frozen=True)
class GlowOptions:
    """The architecture of a flow."""

    levels: Annotated[int, typer.Option(min=1, help="Glow's levels L.")] = 2
    steps: Annotated[int, typer.Option(min=1, help="Glow's steps K per level.")] = 8
    hidden: Annotated[int, typer.Option(min=1, help="Channels of the hidden convolutions.")] = 64
    preprocess: Annotated[
        str, typer.Option(help="centred (x - 1/2, as Glow) or logit (of 0.05 + 0.9 x, as Real NVP).")
    ] = "centred"


@dataclass(frozen=True)
class TrainingOptions:
    """How a flow is trained."""

    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training data, at most; default: 30, of points 100.")
    ] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images or points per step, over all devices; default: 32, of points 256.")
    ] = None
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 1e-3
    warmup: Annotated[int, typer.Option(min=0, help="Steps of the linear warm-up of the learning rate.")] = 50
    precision: Annotated[
        str, typer.Option(help="32-true, 64-true, or bf16-mixed (networks in bfloat16, log-determinants in float32).")
    ] = "32-true"
    compile_model: Annotated[bool, typer.Option("--compile", help="Use torch.compile; pays on a GPU.")] = False
    recompute: Annotated[
        bool, typer.Option(help="Images: memory that does not grow with --steps, for about half more time.")
    ] = False

    def settings(self, *, epochs: int = 30, batch_size: int = 32) -> dict[str, Any]:
        """As `TrainSettings` takes them, with these where none were given."""
        given = dict(vars(self))
        chosen = {"epochs": self.epochs or epochs, "batch_size": self.batch_size or batch_size}
        return {"compile": given.pop("compile_model"), **given, **chosen}


@dataclass(frozen=True)
class PlacementOptions:
    """Devices and machines, as Lightning takes them."""

    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu ..., as Lightning takes it.")] = "auto"
    devices: Annotated[int, typer.Option(min=1, help="Processes on each machine, which share the work.")] = 1
    num_nodes: Annotated[int, typer.Option(min=1, help="Machines; start the same command on each.")] = 1
    strategy: Annotated[str, typer.Option(help="auto, ddp ..., as Lightning takes it.")] = "auto"

    def placement(self) -> "Placement":
        """The same for the steps."""
        from ..training import Placement

        return Placement(**vars(self))
