"""What can be evaluated: networks, exported models, finished pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edge_style.contract import ModelSpec
from edge_style.errors import ContentError, UsageError
from edge_style.images import IMAGE_SUFFIXES, Rgb, read_image
from edge_style.stylizer import Stylizer
from edge_style_tools.sources import read_checkpoint
from edge_style_training.data import centre_crop, to_tensor

_CHECKPOINT_SUFFIXES = (".pth", ".pt", ".model", ".safetensors")
# How far the shape of a finished picture may be from its photo's: scaling rounds to whole pixels.
_SHAPE_TOLERANCE = 0.02


@dataclass(frozen=True)
class Subject:
    """Something that makes stylized pictures, or is one.

    Attributes:
        name: for tables.
        path: the file; None for the photo itself.
        stylize: crop of a photo [S, S, 3] RGB -> its stylized version [1, 3, S, S], 0..255.
        training: recorded training settings; empty if there are none.
        photo: the only photo that it can be evaluated on; None for any.
    """

    name: str
    path: Path | None
    stylize: Callable[[Rgb], Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)
    photo: Path | None = None


def open_subject(given: str, photos: Sequence[Path], device: torch.device) -> Subject:
    """Find out what `given` is, and make it ready.

    Args:
        given: a checkpoint, an .onnx file or a style's name, or a finished picture.
        photos: to evaluate on; a finished picture belongs to one of them.
        device: on which networks of PyTorch run.

    Raises:
        EdgeStyleError: it cannot be used.
    """
    path = Path(given)
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return _picture(path, photos)
    if suffix in _CHECKPOINT_SUFFIXES or path.is_dir():
        return _checkpoint(path, device)
    stylizer = Stylizer.load(given)
    _check_paints_one_style(given, stylizer.spec)
    return Subject(
        stylizer.path.name,
        stylizer.path,
        lambda crop: to_tensor(stylizer(crop)).unsqueeze(0),
        stylizer.spec.training,
    )


def photo_itself() -> Subject:
    """What doing nothing scores: the reference that every method must beat."""
    return Subject("(the photo itself)", None, lambda crop: to_tensor(crop).unsqueeze(0))


def _checkpoint(path: Path, device: torch.device) -> Subject:
    source = read_checkpoint(path)
    _check_paints_one_style(str(path), source.spec)
    network = source.network.to(device).eval()

    def stylize(crop: Rgb) -> Tensor:
        frame = to_tensor(crop).unsqueeze(0).to(device)
        with torch.no_grad():
            stylized: Tensor = network(frame)
        return stylized[..., : frame.shape[2], : frame.shape[3]].float().clamp(0, 255)

    return Subject(path.name, path, stylize, source.spec.training)


def _check_paints_one_style(given: str, spec: ModelSpec) -> None:
    """Refuse what would paint another style than the one that is asked about, or none at all."""
    if spec.code_length:
        raise UsageError(
            f"{given} paints in the style of any picture: tools/bench_any.py measures it, and "
            "'edge-style image' paints pictures to compare"
        )
    if len(spec.styles) > 1:
        raise UsageError(
            f"{given} knows {len(spec.styles)} styles: take one out of its checkpoint with "
            f"'edge-style export --style {spec.styles[0]}'"
        )


def _picture(path: Path, photos: Sequence[Path]) -> Subject:
    picture = read_image(path)
    photo = _photo_of(path, photos)
    height, width = read_image(photo).shape[:2]
    came, wanted = picture.shape[1] / picture.shape[0], width / height
    is_crop = picture.shape[0] == picture.shape[1]
    if not is_crop and abs(came / wanted - 1) > _SHAPE_TOLERANCE:
        raise ContentError(
            f"{path} is {picture.shape[1]}x{picture.shape[0]}, its photo {photo.name} is "
            f"{width}x{height}: expected the same shape, or the middle square"
        )

    def crop(crop_of_photo: Rgb) -> Tensor:
        return to_tensor(centre_crop(picture, crop_of_photo.shape[0])).unsqueeze(0)

    return Subject(path.name, path, crop, photo=photo)


def _photo_of(picture: Path, photos: Sequence[Path]) -> Path:
    """The only photo, or the one whose name is in the picture's: hoover_starry.png, hoover.jpg.

    Raises:
        ContentError: there is none.
    """
    if len(photos) == 1:
        return photos[0]
    named = [photo for photo in photos if photo.stem.lower() in picture.stem.lower()]
    if not named:
        raise ContentError(
            f"which photo is {picture} of? Give that one with --content, or name the picture after "
            "it: photo.jpg, photo_starry.png"
        )
    return max(named, key=lambda photo: len(photo.stem))
