"""Photos held out from training, and how a network does on them."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style.errors import ContentError, ImageError
from edge_style.images import read_image
from edge_style_training.data import centre_crop, to_tensor
from edge_style_training.losses import PerceptualLoss


def hold_out(photos: Sequence[Path], number: int) -> tuple[list[Path], list[Path]]:
    """Photos for validation and photos for training: `number`, but at most a fifth, and the rest.

    The choice depends on the number of photos alone, and on which are broken: those are left to
    the training, which skips and counts them. A single one that can be read serves for both.

    Raises:
        ContentError: none of them can be read.
    """
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = [photos[index] for index in order]
    wanted = min(number, max(1, len(photos) // 5))
    held_out = list(islice(filter(_is_readable, reversed(shuffled)), wanted))[::-1]
    if not held_out:
        raise ContentError(f"none of the {len(photos)} photos can be read, {shuffled[0]} for one")
    taken = set(held_out)
    rest = [photo for photo in shuffled if photo not in taken]
    return held_out, rest if any(map(_is_readable, rest)) else shuffled


def _is_readable(photo: Path) -> bool:
    try:
        read_image(photo)
    except ImageError:
        return False
    return True


def read_crops(photos: Sequence[Path], crop_px: int) -> Tensor:
    """The middle of each photo, [N, 3, crop_px, crop_px] RGB, 0..255.

    Raises:
        ImageError: one of them cannot be read.
    """
    return torch.stack([to_tensor(centre_crop(read_image(photo), crop_px)) for photo in photos])


class Validation:
    """The losses on the centre crops of held-out photos, alike for all trainings of a painting."""

    def __init__(self, yardstick: PerceptualLoss, photos: Sequence[Path], *sides_px: int) -> None:
        """Keep what to measure with.

        Args:
            yardstick: the objective, never in bfloat16, whatever training computes in.
            photos: those held out.
            sides_px: of their centre crops; of several, each photo is seen at each, and losses are
                the mean of all.
        """
        self.yardstick = yardstick
        self.photos = photos
        self.sides_px = sides_px

    def run(self, network: nn.Module) -> tuple[dict[str, float], Tensor]:
        """Mean content, style, tv and total loss; the first side's stylized crops [N, 3, S, S].

        The crops are RGB, 0..255. A network of several styles paints a photo in each, and begins
        again with the first.
        """
        network.eval()
        device = next(network.parameters()).device
        seen = [self._of_side(network, side, device) for side in self.sides_px]
        sums = {name: sum(losses[name] for losses, _ in seen) for name in seen[0][0]}
        return {name: total / len(seen) for name, total in sums.items()}, seen[0][1]

    def _of_side(
        self, network: nn.Module, side_px: int, device: torch.device
    ) -> tuple[dict[str, float], Tensor]:
        sums = {"content": 0.0, "style": 0.0, "tv": 0.0, "total": 0.0}
        pictures = []
        styles = self.yardstick.styles
        for number, photo in enumerate(self.photos):
            frame = read_crops([photo], side_px).to(device)
            style = torch.tensor([number % styles], device=device)
            weights = [F.one_hot(style, styles).to(frame)] if styles > 1 else []
            with torch.no_grad():
                stylized = network(frame, *weights)
                stylized = stylized[..., :side_px, :side_px].clamp(0, 255)
                losses = self.yardstick(stylized, self.yardstick.content_targets(frame), style)
            for name in sums:
                sums[name] += float(getattr(losses, name)) / len(self.photos)
            pictures.append(stylized.cpu())
        return sums, torch.cat(pictures)
