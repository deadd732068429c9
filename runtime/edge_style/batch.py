"""Photos in, pictures out: what `edge-style image` does, without the printing."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_style.any_style import AnyStylizer
from edge_style.errors import ImageNotFoundError, SourceError, UsageError
from edge_style.images import (
    IMAGE_SUFFIXES,
    ensure_folder,
    ensure_min_side,
    ensure_sensible_side,
    ensure_writable,
    parse_size,
    read_image,
    resize_long_side,
    write_image,
)
from edge_style.photo.look import Look, LookChoice
from edge_style.photo.wrapped import NoPainting
from edge_style.stylizer import Stylizer

CLIP_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")


@dataclass(frozen=True)
class BatchSize:
    """At which size photos are stylized; both None: at their own.

    Attributes:
        exact_px: (width, height), what hangs over is cut.
        long_side_px: of the longer side, the photo's shape stays.
    """

    exact_px: tuple[int, int] | None = None
    long_side_px: int | None = None

    @classmethod
    def parse(cls, text: str | None) -> "BatchSize":
        """Read `640x480` or `640`. Raises UsageError."""
        if text is None:
            return cls()
        if text.isdecimal() and int(text) > 0:
            ensure_sensible_side(int(text))
            return cls(long_side_px=int(text))
        return cls(exact_px=parse_size(text))


@dataclass(frozen=True)
class Picture:
    """One picture that was made.

    Attributes:
        photo, output: the files.
        size_px: (width, height) of the result.
        infer_ms: time that the network took.
    """

    photo: Path
    output: Path
    size_px: tuple[int, int]
    infer_ms: float


def plan_outputs(
    photos: Sequence[Path], models: Sequence[str], output: str
) -> dict[str, list[tuple[Path, Path]]]:
    """Where each photo's picture will go, for each model; checked before any work is done.

    Args:
        photos: the photos.
        models: as typed after `--model`.
        output: a file, for one photo and one model; a folder, which exists or ends in a
            separator. Pictures in a folder are called after photo and style.

    Returns:
        Model -> list of (photo, target).

    Raises:
        ImageError: a photo is missing, or a target cannot be written.
        UsageError: two pictures would get the same name, or one would replace one of the photos.
    """
    for photo in photos:
        if not photo.exists():
            raise ImageNotFoundError(f"there is no picture '{photo}'")
    is_folder = output.endswith(("/", os.sep)) or Path(output).is_dir()
    if is_folder:
        ensure_folder(output)
    elif len(photos) * len(models) > 1:
        raise UsageError(
            f"{len(photos)} photos and {len(models)} styles need a folder as --output, "
            f"got '{output}'"
        )
    plan: dict[str, list[tuple[Path, Path]]] = {}
    taken: dict[Path, Path] = {}
    for model in models:
        for photo in photos:
            target = Path(output) / _file_name(photo, model) if is_folder else Path(output)
            ensure_writable(target)
            if target.exists() and target.samefile(photo):
                raise UsageError(f"'{target}' is the photo itself: choose another --output")
            check_is_no_input(target, photos)
            if target in taken:
                raise UsageError(
                    f"'{taken[target]}' and '{photo}' would both become '{target}': "
                    "rename one, or stylize them one by one"
                )
            taken[target] = photo
            plan.setdefault(model, []).append((photo, target))
    return plan


def check_is_no_input(target: Path, inputs: Sequence[Path]) -> None:
    """See that a result takes the place of nothing that is read.

    Raises:
        UsageError: it would.
    """
    if target.exists() and any(path.exists() and target.samefile(path) for path in inputs):
        raise UsageError(
            f"'{target}' would be written, and is among what is to be read: choose another --output"
        )


def _file_name(photo: Path, model: str) -> str:
    style = Path(model).name.removesuffix(".onnx")
    suffix = photo.suffix if photo.suffix.lower() in IMAGE_SUFFIXES else ".png"
    return f"{photo.stem}-{style}{suffix}"


@dataclass(frozen=True)
class ClipPlan:
    """Which clip becomes which.

    Attributes:
        pairs: (clip, target).
        is_folder: the targets lie in a folder that was given.
    """

    pairs: tuple[tuple[Path, Path], ...]
    is_folder: bool


def plan_clips(clips: Sequence[Path], model: str, output: str) -> ClipPlan:
    """Where each clip will go. Clips in a folder are called after clip and style.

    Args:
        clips: files, or folders of them.
        model: as typed after `--model`.
        output: a file, for one clip; a folder, which exists or ends in a separator.

    Raises:
        SourceError: a folder holds no clips.
        ImageError: there is no such folder for the output.
        UsageError: several clips and no folder, two would get the same name, or one would replace
            one of the clips.
    """
    found: list[Path] = []
    for clip in clips:
        inside = sorted(clip.iterdir()) if clip.is_dir() else [clip]
        # Hidden files are parts of clips that are not finished.
        here = [path for path in inside if path == clip or _is_clip(path)]
        if not here:
            raise SourceError(f"no clips in '{clip}'")
        found += here
    is_folder = output.endswith(("/", os.sep)) or Path(output).is_dir()
    if not is_folder:
        if len(found) > 1 or any(clip.is_dir() for clip in clips):
            raise UsageError(f"{len(found)} clips need a folder as --output, got '{output}'")
        return ClipPlan(((found[0], Path(output)),), is_folder=False)
    ensure_folder(output)
    style = Path(model).name.removesuffix(".onnx")
    pairs = [(clip, Path(output) / f"{clip.stem}-{style}{_clip_suffix(clip)}") for clip in found]
    if len({target for _, target in pairs}) < len(pairs):
        raise UsageError("two of the clips have the same name: convert them one by one")
    for _, target in pairs:
        check_is_no_input(target, found)
    return ClipPlan(tuple(pairs), is_folder=True)


def _is_clip(path: Path) -> bool:
    return path.suffix.lower() in CLIP_SUFFIXES and not path.name.startswith(".")


def _clip_suffix(clip: Path) -> str:
    """Of the converted clip: the same kind where that can be written."""
    suffix = clip.suffix.lower()
    return suffix if suffix in (".mp4", ".mkv", ".mov", ".avi", ".webm") else ".mp4"


def stylize_photo(
    stylizer: Stylizer | NoPainting | AnyStylizer,
    photo: Path,
    output: Path,
    long_side_px: int | None = None,
    look: LookChoice | None = None,
) -> Picture:
    """Read a photo, stylize it, write the picture.

    Raises:
        ImageError: the photo cannot be used or the picture cannot be written.
        ModelError, ProviderError: the network fails on it.
    """
    rgb = read_image(photo)
    ensure_min_side(rgb, f"'{photo}'")
    if long_side_px is not None:
        rgb = resize_long_side(rgb, long_side_px)
        ensure_min_side(rgb, f"'{photo}' with --size {long_side_px}")
    prepared = stylizer.prepare(rgb)
    start = time.perf_counter()
    inferred = stylizer.infer(prepared)  # type: ignore[arg-type] # what its own `prepare` gave
    infer_ms = (time.perf_counter() - start) * 1000
    picture = stylizer.finish(inferred, rgb)
    if look is not None:
        picture = Look(look, in_background=False).apply(picture)
    write_image(output, picture)
    return Picture(photo, output, (picture.shape[1], picture.shape[0]), infer_ms)
