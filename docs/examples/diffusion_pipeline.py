"""Latent diffusion with diffusers: films between noises and between prompts, frames evenly spaced.

    python docs/examples/diffusion_pipeline.py stable-diffusion-v1-5/stable-diffusion-v1-5 runs/film

takes the model of that name, which diffusers downloads, in half precision on a GPU. Without a name, a pipeline of the
same class with few and random weights shows that everything fits together. Needs diffusers and transformers.
"""

import sys
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

import manifoldflow as mf
from manifoldflow.interpolation import Linear, build_path, combine

PROMPTS = ("a lighthouse in a storm", "a lighthouse at dawn", "an owl in the snow")


def load(name: str | None) -> StableDiffusionPipeline:
    """The pipeline of a name, or a tiny one."""
    if name is None:
        return tiny_pipeline()
    gpu = torch.cuda.is_available()
    pipe = StableDiffusionPipeline.from_pretrained(name, torch_dtype=torch.float16 if gpu else torch.float32)
    return pipe.to("cuda" if gpu else "cpu")


def noises(pipe: StableDiffusionPipeline, count: int, seed: int = 0) -> Tensor:
    """Latents `(count, 4, h, w)` in float32: standard normal, which is what the paths know how to keep."""
    side = pipe.unet.config.sample_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, pipe.unet.config.in_channels, side, side, generator=generator)


def embeddings(pipe: StableDiffusionPipeline, prompts: tuple[str, ...]) -> Tensor:
    """What the text encoder makes of prompts: `(count, tokens, width)`."""
    return pipe.encode_prompt(list(prompts), pipe.device, 1, do_classifier_free_guidance=False)[0].float()


@torch.no_grad()
def images(pipe: StableDiffusionPipeline, latents: Tensor, prompts: Tensor, steps: int = 30) -> Tensor:
    """Images `(count, 3, height, width)` in [0, 1] from latents and as many prompts."""
    blank = embeddings(pipe, ("",)).expand_as(prompts)
    frames = []
    for noise, prompt, empty in zip(latents, prompts, blank, strict=True):  # one by one: a film does not fit a GPU
        found = pipe(
            latents=noise[None].to(pipe.unet.device, pipe.unet.dtype),
            prompt_embeds=prompt[None].to(pipe.unet.device, pipe.unet.dtype),
            negative_prompt_embeds=empty[None].to(pipe.unet.device, pipe.unet.dtype),
            num_inference_steps=steps,
            output_type="pt",
        ).images
        frames.append(found.float().cpu())
    return torch.cat(frames)


def main(name: str | None = None, folder: str | None = None, *, frames: int = 9, steps: int = 30) -> dict[str, Tensor]:
    """The films by name, each `(frames, 3, height, width)`."""
    pipe = load(name)
    pipe.set_progress_bar_config(disable=True)
    start, end = noises(pipe, 2)
    three = noises(pipe, 3, seed=1)
    text = embeddings(pipe, PROMPTS)
    films = {}

    # One prompt, two noises. A matched path has the law of a draw at every time; slerp keeps to the shell of norms.
    for method in ("matched", "slerp"):
        path = mf.interpolate(start, end, method=method, event_dim=3, steps=frames)
        films[method] = images(pipe, path, text[:1].expand(frames, -1, -1), steps)

    # Two prompts, one noise: encodings of text have no known law, so a straight line between them is as good as any.
    line = Linear(text[0].flatten(), text[1].flatten())
    times = torch.linspace(0, 1, frames)
    films["two prompts"] = images(
        pipe, start.expand(frames, -1, -1, -1), line(times).unflatten(-1, text[0].shape), steps
    )

    # Frames at equal steps of what one sees: the length along the path is measured in images, a few between frames.
    path = build_path(start, end, method="matched", event_dim=3)
    even = path.resample(decode=lambda z: images(pipe, z, text[:1].expand(len(z), -1, -1), steps), steps=2 * frames)
    films["evenly spaced"] = images(pipe, even(times), text[:1].expand(frames, -1, -1), steps)

    # Three noises and three prompts: the middle of each has all of them in equal parts.
    corners = torch.eye(3)
    shares = torch.cat([corners, torch.full((1, 3), 1 / 3)])
    mixed_text = torch.einsum("fp,ptw->ftw", shares, text)
    films["three prompts"] = images(pipe, combine(three, shares, event_dim=3), mixed_text, steps)

    if folder is not None:
        save(films, Path(folder))
    return films


def save(films: dict[str, Tensor], folder: Path) -> None:
    """One PNG file for each film, its frames side by side."""
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for name, frames in films.items():
        pyplot.imsave(folder / f"{name.replace(' ', '_')}.png", torch.cat(list(frames), -1).permute(1, 2, 0).numpy())


def tiny_pipeline() -> StableDiffusionPipeline:
    """The same class of pipeline, with few and random weights, and a tokenizer that knows the words of the prompts."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = ["<pad>", "<end>", *sorted({word for prompt in PROMPTS for word in prompt.split()})]
    table = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    table.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=table, model_max_length=8, pad_token="<pad>", eos_token="<end>", unk_token="<pad>"
    )
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(block_out_channels=(8,), latent_channels=4, norm_num_groups=4)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
    )
    return StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=CLIPTextModel(text).eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


if __name__ == "__main__":
    for name, film in main(*sys.argv[1:3]).items():
        step = (film[1:] - film[:-1]).flatten(1).norm(dim=1)
        print(f"{name:15s} {tuple(film.shape)}, steps between frames {step.min():.3f} to {step.max():.3f}")
