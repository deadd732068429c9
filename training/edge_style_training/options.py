"""Options that commands of training have in common. Loads no PyTorch."""

import os
from pathlib import Path
from typing import Annotated

import typer

Content = Annotated[
    Path, typer.Option(help="Folder of photos to learn on, nested as you like.", metavar="DIR")
]
Vgg = Annotated[
    Path | None,
    typer.Option(help="VGG16 weights (.safetensors, .pth); fetched from torchvision if omitted."),
]
Recipe = Annotated[Path | None, typer.Option(help="TOML recipe; options given here overrule it.")]
Steps = Annotated[int | None, typer.Option(help="Optimizer steps.")]
Crop = Annotated[int | None, typer.Option("--crop", help="Side of the crops, pixels.")]
StyleWeight = Annotated[float | None, typer.Option(help="Of the style loss.")]
LearningRate = Annotated[
    float | None, typer.Option("--lr", "--learning-rate", help="Peak learning rate.")
]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")]
ValidateEvery = Annotated[int | None, typer.Option(help="Steps between validations.")]
CheckpointEvery = Annotated[int | None, typer.Option(help="Steps between checkpoints.")]
Workers = Annotated[int, typer.Option(help="Processes that read photos.", min=0)]
# PyTorch warns of more than there are cores for this process.
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
FEW_WORKERS = min(2, _CORES)
Resume = Annotated[bool, typer.Option(help="Go on with an interrupted training.")]
Force = Annotated[bool, typer.Option(help="Overwrite OUTPUT.")]
LogDir = Annotated[Path | None, typer.Option(help="Write TensorBoard scalars and pictures here.")]
