"""The experiments of the Realism Index papers (arXiv 1904.03445), rerun: figures 1, 2, 4 to 9, the soap bubble."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data import ImageSet
from ...files import growing_folder, is_sound, locks_out, write_json, write_text
from ...models import DCGAN, WAE
from ...realism import StandardNormalIndex, density_index, semicircle
from ...report.table import markdown_table
from ...steps.record import versions
from ...steps.train import DataChoice
from ...training import TrainSettings, train_autoencoder, train_classifier, train_gan
from ...training.checkpoint import CHECKPOINTS
from ...training.saved import load_weights, save_weights
from .drawings import plane_figure, profile_figure, rows_figure, save_figure, steps_figure
from .measures import (
    SOAP_HEADER,
    PathOptions,
    near_linearity,
    plane,
    profile,
    realism_row,
    soap_bubble,
    solve,
    step_lengths,
)

__all__ = ["GAN_RATE", "RealismSettings", "image_models", "realism_to_markdown", "run_realism"]

_STRIP_TIMES = torch.linspace(0, 1, 11)
_STRIP_PAIRS = 4


@dataclass(frozen=True)
class RealismSettings:
    """What is trained and solved.

    Args:
        data: Images with classes, height and width divisible by 4; the models see the training part of the split.
        training: Of each of the three models.
        dim: Coordinates of a latent.
        channels: Of the models' widest resolution.
        pairs: End points to connect, at least 4.
        paths: How paths are solved.
        classifier_steps: Training steps of the feature extractor.
    """

    data: DataChoice
    training: TrainSettings = TrainSettings(epochs=30, batch_size=64, checkpoint_every=200)  # noqa: RUF009  # frozen
    dim: int = 20
    channels: int = 16
    pairs: int = 16
    paths: PathOptions = PathOptions()  # noqa: RUF009  # frozen
    classifier_steps: int = 600

    def __post_init__(self) -> None:
        if self.pairs < _STRIP_PAIRS or self.dim < 2:
            raise ValueError(f"pairs, dim: expected at least 4 pairs and dim 2, got {self.pairs} and {self.dim}")


@locks_out
def run_realism(
    out: Path,
    settings: RealismSettings,
    *,
    progress: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Train what is not yet there, solve all paths, write tables and figures; return the tables.

    Args:
        out: Folder that grows: models/, then results.json, tables.md and the figures. Interrupted, the same call goes
            on with the training where it stopped.
        settings: What is done.
        progress: Show progress bars of the trainings.
        say: Called with a line before each part.

    Raises:
        ValueError, DataError: A setting or the data is not as expected, or `out` holds something else.
        KeyboardInterrupt: With what was reached.
    """
    settings = RealismSettings(**{**vars(settings), "data": settings.data.resolved()})
    train, _, test = settings.data.load()
    train.require_classes("the feature extractor of the soap-bubble test")
    recorded = asdict(settings)
    out = growing_folder(out, "experiment realism", {**recorded, "training": settings.training.to_json()})
    started = time.perf_counter()
    images = train.images.float() / (train.levels - 1)
    with torch.random.fork_rng(devices=[]):
        models = image_models(
            images,
            out / "models",
            settings.training,
            dim=settings.dim,
            channels=settings.channels,
            progress=progress,
            say=say,
        )
        torch.manual_seed(settings.training.seed)  # not what the trainings left, which a repetition skips
        with torch.no_grad():
            tables = [*_on_priors(models, settings, out, say), *_soap(models, settings, train, test, images, out, say)]
    result = {
        "tables": tables,
        "settings": {**recorded, "training": settings.training.to_json()},
        "this_run_seconds": round(time.perf_counter() - started, 1),
        "versions": versions(),
    }
    write_json(out / "results.json", result)
    write_text(out / "tables.md", realism_to_markdown(result))
    return result


def realism_to_markdown(result: dict[str, Any]) -> str:
    """The tables with their titles."""
    return "\n".join(f"{t['title']}\n\n{markdown_table(t['header'], t['rows'])}" for t in result["tables"])


def _table(title: str, header: tuple[str, ...], rows: list[list[Any]]) -> dict[str, Any]:
    return {"title": title, "header": list(header), "rows": rows}


def _on_priors(
    models: dict[str, DCGAN | WAE], settings: RealismSettings, out: Path, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Figures 1, 2 and 4 to 9: paths between end components of the semicircle, and between normal draws."""
    options, pairs = settings.paths, settings.pairs
    prior = semicircle(settings.dim)
    index = density_index(prior)
    start = prior.sample_given(torch.zeros(pairs, dtype=torch.long))
    end = prior.sample_given(torch.full((pairs,), 2))
    normal = torch.randn(2, pairs, settings.dim)
    problems = {
        "gan-semicircle": ("DCGAN, semicircle prior", index, start, end),
        "gan-normal": ("DCGAN, standard normal prior", StandardNormalIndex(settings.dim), normal[0], normal[1]),
        "wae-semicircle": ("WAE, semicircle prior", index, start, end),
    }
    solved, rows = {}, []
    for name, (title, ranked, a, b) in problems.items():
        say(f"paths: {title}")
        solved[name] = solve(models[name], ranked, a, b, options)
        rows.append([title, *realism_row(solved[name], options)])
        _strips(title, solved[name].images(_STRIP_TIMES, _STRIP_PAIRS), out / f"strips-{name}.png")
    header: tuple[str, ...] = ("model", "linear", "optimised", "length over the line's", "converged")
    yield _table("Figures 2, 5, 7, 8: realism of the curve, exp(-length), median over pairs", header, rows)

    gan = solved["gan-semicircle"]
    times, curves = profile(index, gan)
    save_figure(profile_figure(times, curves), out / "profile.png")
    rows = [[name, v.amin(1).mean().item(), v.mean().item()] for name, v in curves.items()]
    header = ("path", "lowest, mean over pairs", "mean along the path")
    yield _table("Figure 1: realism index along the path (DCGAN, semicircle prior)", header, rows)

    save_figure(plane_figure(*plane(index, gan)), out / "plane.png")

    header = ("largest distance from the line over its length", "decoded length over the line's")
    rows = [near_linearity(solved["wae-semicircle"])]
    yield _table("Figure 4: how near the WAE's optimised paths are to the line, medians over pairs", header, rows)

    say("paths for several eps")
    curves, rows = step_lengths(models["gan-semicircle"], index, start[:8], end[:8], options)
    save_figure(steps_figure(curves), out / "steps.png")
    header = (
        "eps",
        "largest over mean squared step",
        "decoded length over the line's",
        "lowest index on the path",
        "converged",
    )
    yield _table("Figure 9: squared decoded steps, medians over 8 pairs (DCGAN, semicircle prior)", header, rows)


def _strips(title: str, rows: Tensor, path: Path) -> None:
    save_figure(rows_figure(title, rows, ["linear", "optimised"] * (len(rows) // 2), ["t = 0", "0.5", "1"]), path)


def _soap(
    models: dict[str, DCGAN | WAE],
    settings: RealismSettings,
    train: ImageSet,
    test: ImageSet,
    images: Tensor,
    out: Path,
    say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    say("soap-bubble test")
    with torch.enable_grad():
        extractor, accuracy = train_classifier(train, test, seed=0, steps=settings.classifier_steps, folder=out)
    extractor.requires_grad_(False)
    model = models["gan-normal"]
    assert isinstance(model, DCGAN)
    rows, paths, middles = soap_bubble(model, extractor, images, settings.paths)
    labels = ["end", "mirrored in half", "middle", "middle, all mirrored"]
    save_figure(rows_figure("Ends and middles of the soap-bubble test", middles, labels, []), out / "soap-bubble.png")
    for name, solved in paths.items():
        file = name.split(" (")[0].replace(" ", "-")
        _strips(f"Soap bubble, {name} index", solved.images(_STRIP_TIMES, 3), out / f"soap-bubble-{file}.png")
    title = (
        "Soap bubble: mean index where ends mirror each other (DCGAN, standard normal prior; "
        f"features of a classifier of accuracy {accuracy:.3f})"
    )
    yield _table(title, SOAP_HEADER, rows)


GAN_RATE = 4e-4
"""Peak learning rate of the DCGANs: the published 2e-4 on average over the cosine schedule."""


def image_models(
    images: Tensor,
    folder: Path,
    training: TrainSettings,
    *,
    dim: int,
    channels: int,
    progress: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, DCGAN | WAE]:
    """The models by name, trained where `folder` does not hold their weights yet; an unfinished training is continued.

    Args:
        images: `(m, c, h, w)` in [0, 1], height and width divisible by 4.
        folder: Where <name>.safetensors and the logs go.
        training: Of each model; a DCGAN has its own learning rate. Its seed is given to torch's global generator.
        dim: Coordinates of a latent.
        channels: Of the widest resolution.
        progress: Show progress bars.
        say: Called with a line before each training.

    Returns:
        "gan-semicircle", "gan-normal" and "wae-semicircle", in eval mode, without gradients of their parameters.
    """
    shape = (images.shape[1], images.shape[2], images.shape[3])
    torch.manual_seed(training.seed)
    built: dict[str, DCGAN | WAE] = {
        "gan-semicircle": DCGAN(shape, prior=semicircle(dim), channels=channels),
        "gan-normal": DCGAN(shape, dim, channels=channels),
        "wae-semicircle": WAE(shape, prior=semicircle(dim), channels=channels),
    }
    for name, model in built.items():
        weights, log = folder / f"{name}.safetensors", folder / name
        if not is_sound(weights, partial(load_weights, module=model, description="this experiment"), say):
            say(f"training {name}")
            if isinstance(model, DCGAN):
                settings = replace(training, learning_rate=GAN_RATE)
                train_gan(model, images, settings, folder=log, resume=True, progress=progress, title=name)
            else:
                train_autoencoder(model, images, training, folder=log, resume=True, progress=progress, title=name)
            save_weights(weights, model)
            shutil.rmtree(log / CHECKPOINTS, ignore_errors=True)
        model.eval().requires_grad_(False)
    return built
