"""What the command `train` does around the trainer: reads inputs, shows and logs progress."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edge_style.errors import ContentError, ImageError, UsageError
from edge_style.images import IMAGE_SUFFIXES, read_image, resize_short_side
from edge_style_training.base import find_base, predicted, with_base
from edge_style_training.checkpoint import Checkpoint, load_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos, to_tensor
from edge_style_training.dead_leaves import write_in_place_of_photos
from edge_style_training.resuming import ensure_none, resume_file
from edge_style_training.trainer import Trainer
from edge_style_training.training_loop import Progress as TrainingProgress
from edge_style_training.training_loop import Training
from edge_style_training.vgg import load_loss_network

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter

# A Gram matrix of relu4_3 needs more than a handful of positions, which are 8 pixels apart.
MIN_PAINTING_PX = 64
# So many broken photos are called by their names.
_NAMED = 5


def read_painting(path: Path, short_px: int) -> "Tensor":
    """The painting at `path` with its short side at `short_px`, [3, H, W] RGB, 0..255.

    Raises:
        ImageError: it cannot be read.
        ContentError: it is too small to learn strokes from.
    """
    picture = read_image(path)
    if min(picture.shape[:2]) < MIN_PAINTING_PX:
        raise ContentError(
            f"{path} is {picture.shape[1]}x{picture.shape[0]} pixels: a painting needs at least "
            f"{MIN_PAINTING_PX} on its short side"
        )
    return to_tensor(resize_short_side(picture, short_px))


def run_training(
    *,
    paintings: Sequence[Path],
    content: Path | None,
    output: Path,
    vgg: Path | None,
    settings: Mapping[str, Any],
    description: Mapping[str, str],
    known_paintings: Mapping[str, Mapping[str, str]],
    many: bool,
    workers: int,
    start_from: str | None,
    resume: bool,
    force: bool,
    log_dir: Path | None,
) -> None:
    """Train as the command line says; progress and results go to standard error.

    Args:
        content: photos to learn on. A few steps from a network for any style need none: 200 on
            dead leaves came to losses on photos 5% above those of 200 on photos.

    Raises:
        EdgeStyleError: whatever cannot be used, before any time is spent on training.
    """
    base = load_checkpoint(find_base(start_from)) if start_from else None
    config = _config(settings, base, start_from or "", paintings, many=many)
    if content is None and (base is None or base.architecture != "any"):
        raise UsageError(
            "--content: give a folder of photos to learn on; only --from any does without"
        )
    check_output(output, resume=resume, force=force)
    pictures = [read_painting(path, config.style_px) for path in paintings]
    with _photos(content) as photos:
        trainer = Trainer(
            config,
            load_loss_network(vgg, config.objective.layers),
            pictures,
            photos,
            output,
            _description(paintings, output, description, known_paintings, many=many),
            workers=workers,
        )
        console = console_of(trainer)
        if content is None:
            console.print("no --content: it learns on pictures that are made for it")
        if base is not None:
            base = predicted(
                base, lambda px: [read_painting(path, px) for path in paintings], many=many
            )
            style = trainer.start_from(base)
            console.print(
                f"begins with {style or base.name or start_from}: strokes of a painting of "
                f"{config.style_px} pixels, style weight {config.style_weight:g}"
            )
        if resume:
            trainer.resume()
        elif not force:
            ensure_none(trainer.resume_path)
        best = run_shown(trainer, console, len(photos), log_dir)
    console.print(
        f"{output}: best at step {best.step:,}, total loss {best.scores['total']:,.0f} "
        f"(content {best.scores['content']:,.0f}, style {best.scores['style']:,.0f})\n"
        f"next: edge-style export {output}"
    )


def _config(
    settings: Mapping[str, Any],
    base: Checkpoint | None,
    start_from: str,
    paintings: Sequence[Path],
    *,
    many: bool,
) -> TrainingConfig:
    """Settings as asked for, on top of the base's; how many styles follows from the paintings.

    Raises:
        UsageError, WeightsError: they make no sense, or not for these paintings.
    """
    if base is not None:
        settings = with_base(settings, base, start_from, len(paintings) if many else 1)
    network = dict(settings.get("network", {}))
    network.pop("styles", None)
    if many:
        network["styles"] = len(paintings)
    config = TrainingConfig(**{**settings, "network": network})
    if many and (config.architecture != "lean" or len(paintings) < 2):
        raise UsageError("--many wants two paintings or more, and the architecture lean")
    names = [path.stem for path in paintings]
    if many and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two of the paintings are called '{twice}', as their styles would be")
    return config


@contextmanager
def _photos(folder: Path | None) -> Iterator[list[Path]]:
    """The photos of a folder; without one dead leaves, as long as this lasts.

    Raises:
        ContentError: there is no such folder, no photo in it, or no place for what is made.
    """
    if folder is not None:
        yield find_photos(folder)
        return
    with ExitStack() as stack:
        try:
            made = Path(stack.enter_context(TemporaryDirectory(prefix="edge-style-")))
            write_in_place_of_photos(made)
        except (OSError, ImageError) as error:
            raise ContentError(
                f"the pictures to learn on cannot be written to the folder for temporary files: "
                f"{error}; make room, or give --content"
            ) from error
        yield find_photos(made)


def console_of(training: Training) -> Console:
    """Where a training's main process writes; the others are quiet."""
    return Console(
        stderr=True,
        quiet=not training.accelerator.is_main_process,
        # Names of files may look like rich's own marks, and commands are to be copied whole.
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def run_shown(
    training: Training, console: Console, photos: int, log_dir: Path | None
) -> Checkpoint:
    """Run a training behind a progress bar and with its log; the best checkpoint.

    Args:
        training: ready to run.
        console: for what is said.
        photos: that it learns on.
        log_dir: for TensorBoard.

    Raises:
        EdgeStyleError: as `Training.run`.
    """
    config = training.config
    console.print(
        f"{config.architecture} on {training.device} in {training.precision}, "
        f"{photos:,} photos, step {training.step:,} of {config.steps:,}"
    )
    is_main = training.accelerator.is_main_process
    with ExitStack() as stack:
        reporter = Reporter(console, log_dir if is_main else None, stack)
        reporter.start(training.step, config.steps)
        best = training.run(reporter)
    if training.broken_photos:
        console.print(told_of_broken(training.broken_photos))
    return best


def told_of_broken(photos: Collection[Path]) -> str:
    """One line that names broken photos, the first few of many."""
    names = [path.name for path in sorted(photos)]
    further = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"{len(names)} of the photos cannot be read and {'was' if len(names) == 1 else 'were'} "
        f"left out: {', '.join(names[:_NAMED])}{further}"
    )


def _description(
    paintings: Sequence[Path],
    output: Path,
    given: Mapping[str, str],
    known_paintings: Mapping[str, Mapping[str, str]],
    *,
    many: bool,
) -> dict[str, Any]:
    """What the checkpoint says of itself: options go before the recipe's credits."""
    known = {} if many or len(paintings) > 1 else known_paintings.get(paintings[0].stem, {})
    chosen = {**known, **{key: value for key, value in given.items() if value}}
    description: dict[str, Any] = {"name": output.stem, **chosen}
    if many:
        description["styles"] = [
            {"name": path.stem, **known_paintings.get(path.stem, {})} for path in paintings
        ]
    return description


def check_output(output: Path, *, resume: bool, force: bool) -> None:
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to write {output.name} to")
    if not os.access(output.parent, os.W_OK):
        raise UsageError(f"nothing can be written to {output.parent}: give another --output")
    if output.is_dir():
        raise UsageError(f"{output} is a folder: give a file such as {output / 'starry.pth'}")
    if output.suffix.lower() in (*IMAGE_SUFFIXES, ".onnx"):
        raise UsageError(
            f"a checkpoint is written to {output.name}: call it {output.with_suffix('.pth').name}"
        )
    if resume and output.exists() and not resume_file(output).exists():
        raise UsageError(f"{output} is finished: there is nothing to go on with")
    if output.exists() and not (resume or force):
        raise UsageError(f"{output} exists: give another --output, or --force to overwrite it")


class Reporter:
    """Draws the progress bar and feeds TensorBoard."""

    def __init__(self, console: Console, log_dir: Path | None, stack: ExitStack) -> None:
        self._bar = stack.enter_context(
            Progress(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}"),
                console=console,
            )
        )
        self._writer = _summary_writer(log_dir, stack) if log_dir else None

    def start(self, step: int, steps: int) -> None:
        self._task = self._bar.add_task("", total=steps, completed=step, losses="")

    def __call__(self, progress: TrainingProgress) -> None:
        told = [name for name in ("content", "style") if name in progress.losses] or ["total"]
        shown = "  ".join(f"{name} {_short(progress.losses[name])}" for name in told)
        shown += f"  {progress.photos_per_second:.1f} photos/s"
        self._bar.update(self._task, completed=progress.step, losses=shown)
        if progress.validation:
            total = progress.validation["total"]
            self._bar.console.print(f"step {progress.step:,}: validation loss {_short(total)}")
        if self._writer is None:
            return
        for name, value in progress.losses.items():
            self._writer.add_scalar(f"training/{name}", value, progress.step)
        for name, value in progress.validation.items():
            self._writer.add_scalar(f"validation/{name}", value, progress.step)
        self._writer.add_scalar("learning_rate", progress.learning_rate, progress.step)
        self._writer.add_scalar("photos_per_second", progress.photos_per_second, progress.step)
        if progress.pictures is not None:
            self._writer.add_images("validation", progress.pictures / 255, progress.step)


def _short(loss: float) -> str:
    return f"{loss:,.0f}" if loss >= 100 else f"{loss:.2f}"


def _summary_writer(log_dir: Path, stack: ExitStack) -> "SummaryWriter":
    # Slow to import, and only wanted with --log-dir.
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

    try:
        writer = SummaryWriter(str(log_dir))
    except OSError as error:
        raise UsageError(f"--log-dir {log_dir} cannot be written: {error.strerror}") from error
    stack.callback(writer.close)
    return writer
