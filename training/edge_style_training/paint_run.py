"""What the command `paint` does around the optimization: reads, shows progress, writes."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from edge_style.errors import UsageError
from edge_style.images import Rgb, ensure_writable, read_image, write_image
from edge_style_training.contact_sheet import contact_sheet
from edge_style_training.losses import Objective
from edge_style_training.paint import PaintConfig, Progress, paint
from edge_style_training.quick_cpu import keep_memory
from edge_style_training.vgg import LossNetwork, load_loss_network


@dataclass(frozen=True)
class LossNetworkChoice:
    """Which loss network, and where it runs.

    Attributes:
        weights: file; None fetches VGG16.
        variant: `vgg16` or `vgg19`.
        pooling: `max` or `average`.
        device: `auto`, `cpu`, `cuda` or `mps`.
    """

    weights: Path | None = None
    variant: str = "vgg16"
    pooling: str = "max"
    device: str = "auto"

    def load(self, layers: Sequence[str]) -> LossNetwork:
        """The network on its device.

        Raises:
            UsageError: an unknown choice, or no such device here.
            WeightsError: the file cannot be used, or a layer does not exist.
        """
        for value, known in ((self.variant, ("vgg16", "vgg19")), (self.pooling, _POOLINGS)):
            if value not in known:
                raise UsageError(f"expected {' or '.join(known)}, not '{value}'")
        device = find_device(self.device)
        keep_memory()
        network = load_loss_network(
            self.weights, layers, variant=self.variant, pooling=self.pooling
        )
        return network.to(device)


_POOLINGS = ("max", "average")


def find_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `mps` as a device that works here.

    Raises:
        UsageError: unknown, or not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    if name not in there:
        raise UsageError(f"--device should be auto, cpu, cuda or mps, not '{name}'")
    if not there[name]:
        raise UsageError(f"PyTorch finds no {name} device here: leave --device out")
    return torch.device(name)


@dataclass(frozen=True)
class Saving:
    """Pictures to write on the way.

    Attributes:
        preview: rewritten every `preview_every` iterations.
        preview_every: in iterations.
        save_every: iterations between pictures that are kept, numbered, beside the output.
    """

    preview: Path | None = None
    preview_every: int = 10
    save_every: int | None = None


def run_painting(
    photo: Path,
    paintings: Sequence[Path],
    output: Path,
    config: PaintConfig,
    choice: LossNetworkChoice,
    *,
    painting_weights: Sequence[float] | None,
    saving: Saving,
    grid: tuple[Sequence[float], Sequence[float]] | None,
    as_json: bool,
) -> None:
    """Paint as the command line says.

    Raises:
        EdgeStyleError: whatever cannot be used, before any time is spent on painting.
    """
    for target in filter(None, (output, saving.preview)):
        ensure_writable(target)
    picture = read_image(photo)
    styles = [read_image(path) for path in paintings]
    network = choice.load(config.objective.layers)
    console = Console(stderr=True)
    seen = _Watcher(console, output, saving)
    reached: list[tuple[Objective, Progress]] = []

    def painted(variation: PaintConfig, title: str) -> Rgb:
        with seen.bar:
            seen.begin(title)
            made = paint(
                picture,
                styles,
                network,
                variation,
                painting_weights=painting_weights,
                report=seen,
            )
        assert seen.last is not None
        reached.append((variation.objective, seen.last))
        return made

    result = painted(config, "painting") if grid is None else _grid(painted, config, *grid)
    write_image(output, result)
    size = f"{result.shape[1]}x{result.shape[0]}"
    last = reached[-1][1]
    if grid is None:
        losses = last.losses
        told = (
            f"total loss {losses.total:,.0f} (content {losses.content:,.0f}, "
            f"style {losses.style:,.0f})"
        )
        figures: dict[str, Any] = {"losses": asdict(losses)}
    else:
        told = f"{len(reached)} pictures"
        figures = {"cells": [_cell(objective, progress) for objective, progress in reached]}
    console.print(
        f"{output}: {size}, {seen.seconds:.0f} s, {told}", highlight=False, soft_wrap=True
    )
    if as_json:
        report = {
            "output": str(output),
            "size": size,
            "iterations": last.iteration,
            **figures,
            "seconds": round(seen.seconds, 3),
            "device": str(next(network.parameters()).device),
        }
        sys.stdout.write(json.dumps(report) + "\n")


def _cell(objective: Objective, progress: Progress) -> dict[str, Any]:
    return {
        "content_weight": objective.content_weight,
        "style_weight": objective.style_weight,
        "losses": asdict(progress.losses),
    }


def _grid(
    painted: Callable[[PaintConfig, str], Rgb],
    config: PaintConfig,
    content_weights: Sequence[float],
    style_weights: Sequence[float],
) -> Rgb:
    """The table of pictures that shows what the weights do."""
    objectives = [
        replace(config.objective, content_weight=content_weight, style_weight=style_weight)
        for content_weight in content_weights
        for style_weight in style_weights
    ]
    # All of them before the first picture, so that mistakes cost no painting.
    configs = [replace(config, objective=objective) for objective in objectives]
    pictures = [
        painted(one, f"{number} of {len(configs)}") for number, one in enumerate(configs, 1)
    ]
    width = len(style_weights)
    rows = [pictures[start : start + width] for start in range(0, len(pictures), width)]
    return contact_sheet(
        rows,
        [f"style weight {weight:.3g}" for weight in style_weights],
        [f"content weight {weight:.3g}" for weight in content_weights],
        cell_px=max(rows[0][0].shape[:2]),
    )


class _Watcher:
    """Draws the progress bar and writes the pictures on the way."""

    def __init__(self, console: Console, output: Path, saving: Saving) -> None:
        self._output = output
        self._saving = saving
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.last: Progress | None = None
        self._earlier_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Spent on painting, all pictures of a grid together."""
        return self._earlier_seconds + (self.last.seconds if self.last else 0)

    def begin(self, title: str) -> None:
        self._earlier_seconds, self.last = self.seconds, None
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self._task = self.bar.add_task(title, total=None, losses="")

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        losses = progress.losses
        shown = f"content {losses.content:,.0f}  style {losses.style:,.0f}"
        if progress.levels > 1:
            shown += f"  {progress.size_px[0]}x{progress.size_px[1]}"
        self.bar.update(
            self._task, completed=progress.iteration, total=progress.iterations, losses=shown
        )
        iteration, saving = progress.iteration, self._saving
        if saving.preview and iteration % saving.preview_every == 0:
            write_image(saving.preview, progress.render())
        if saving.save_every and iteration and iteration % saving.save_every == 0:
            name = f"{self._output.stem}_{iteration:04d}{self._output.suffix}"
            write_image(self._output.with_name(name), progress.render())
