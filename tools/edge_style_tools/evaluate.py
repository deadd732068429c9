"""What networks and pictures score: content, style and total loss on photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from edge_style.errors import ContentError, ImageError
from edge_style.images import Rgb, read_image, resize_short_side
from edge_style_tools.curves import Curve, optimization_curve
from edge_style_tools.scores import Evaluation, Report, Score, Yardstick
from edge_style_tools.subjects import Subject, photo_itself
from edge_style_training.contact_sheet import contact_sheet
from edge_style_training.data import centre_crop, find_photos, to_tensor
from edge_style_training.losses import PerceptualLoss
from edge_style_training.paint import MIN_PAINTING_PX
from edge_style_training.vgg import LossNetwork


@dataclass(frozen=True)
class EvaluationSettings:
    """What to do beside the losses.

    Attributes:
        curve_photos: photos on which the optimization is run, or its curve taken from the cache.
        curve_iterations: how long.
        curve_folder: cache of curves; the user's if None.
        sheet_photos: photos on the contact sheet; 0: no sheet.
    """

    curve_photos: int = 1
    curve_iterations: int = 100
    curve_folder: Path | None = None
    sheet_photos: int = 0


def list_photos(content: Path, limit: int | None = None) -> list[Path]:
    """The photos under a folder, or the one that was given; evenly chosen if more than `limit`.

    Raises:
        ContentError: there is none.
    """
    photos = [content] if content.is_file() else find_photos(content)
    if limit is None or len(photos) <= limit:
        return photos
    return [photos[round(i * (len(photos) - 1) / max(1, limit - 1))] for i in range(limit)]


def read_paintings(paths: Sequence[Path]) -> list[Rgb]:
    """Paintings of a size that strokes can be measured on.

    Raises:
        ImageError: one cannot be read.
        ContentError: one is too small.
    """
    paintings = [read_image(path) for path in paths]
    for path, painting in zip(paths, paintings, strict=True):
        height, width = painting.shape[:2]
        if min(height, width) < MIN_PAINTING_PX:
            raise ContentError(
                f"{path} is {width}x{height} pixels: a painting needs at least {MIN_PAINTING_PX} "
                "on its short side"
            )
    return paintings


def evaluate(
    subjects: Sequence[tuple[Subject, Yardstick]],
    network: LossNetwork,
    paintings: Sequence[Rgb],
    photos: Sequence[Path],
    settings: EvaluationSettings | None = None,
    *,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Score subjects on photos, each under its yardstick.

    Args:
        subjects: what to score, and how.
        network: VGG16 with the yardsticks' layers, on the device that is to compute.
        paintings: uint8 [H, W, 3] RGB; of several, the mean of the Gram matrices.
        photos: to score on. Broken ones are skipped and counted.
        settings: curves and contact sheet.
        on_progress: called with what is being done, and how much of how much is.

    Raises:
        ContentError: no photo can be read.
        EdgeStyleError: a subject fails.
    """
    settings = settings or EvaluationSettings()
    run = _Run(network, paintings, settings, on_progress or (lambda *_: None))
    yardsticks = list(dict.fromkeys(yardstick.key for _, yardstick in subjects))
    by_key = {yardstick.key: yardstick for _, yardstick in subjects}
    rows = [_Row(photo_itself(), by_key[key]) for key in yardsticks]
    rows += [_Row(subject, yardstick) for subject, yardstick in subjects]
    skipped = 0
    for number, photo in enumerate(photos):
        run.on_progress("photos", number, len(photos))
        try:
            picture = read_image(photo)
        except ImageError:
            skipped += 1
            continue
        run.score(photo, picture, rows)
    run.on_progress("photos", len(photos), len(photos))
    if skipped == len(photos):
        raise ContentError(f"none of the {skipped} photos can be read, {photos[0]} for one")
    return Report(
        tuple(
            Evaluation(row.subject, row.yardstick, tuple(row.scores)) for row in rows if row.scores
        ),
        tuple(photo for photo in photos if photo in run.read),
        skipped,
        tuple(run.curves),
        run.sheet([row.subject for row in rows]),
    )


@dataclass
class _Row:
    """A subject under its yardstick, and its scores so far, one for each photo."""

    subject: Subject
    yardstick: Yardstick
    scores: list[Score] = field(default_factory=list)


class _Run:
    """One evaluation under way: losses and curves of each yardstick are made once."""

    def __init__(
        self,
        network: LossNetwork,
        paintings: Sequence[Rgb],
        settings: EvaluationSettings,
        on_progress: Callable[[str, int, int], None],
    ) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        self._paintings = paintings
        self._settings = settings
        self.on_progress = on_progress
        self._losses: dict[str, PerceptualLoss] = {}
        self.read: list[Path] = []
        self.curves: list[tuple[Path, Yardstick, Curve]] = []
        self._sheet_rows: list[list[Rgb | None]] = []

    def score(self, photo: Path, picture: Rgb, rows: Sequence[_Row]) -> None:
        """Append this photo's score to those of each row."""
        self.read.append(photo)
        curves: dict[str, Curve | None] = {}
        cells: list[Rgb | None] = []
        for row in rows:
            if row.subject.photo not in {None, photo}:
                cells.append(None)
                continue
            crop = centre_crop(picture, row.yardstick.crop_px)
            key = row.yardstick.key
            if key not in curves:
                curves[key] = self._curve(photo, crop, row.yardstick)
            stylized = row.subject.stylize(crop).to(self._device)
            cells.append(stylized[0].round().byte().permute(1, 2, 0).cpu().numpy())
            row.scores.append(self._score(photo, crop, stylized, row.yardstick, curves[key]))
        if len(self._sheet_rows) < self._settings.sheet_photos:
            self._sheet_rows.append(cells)

    def _score(
        self, photo: Path, crop: Rgb, stylized: Tensor, yardstick: Yardstick, curve: Curve | None
    ) -> Score:
        loss = self._loss(yardstick)
        with torch.no_grad():
            targets = loss.content_targets(to_tensor(crop).unsqueeze(0).to(self._device))
            losses = loss(stylized, targets)
        total = losses.total.item()
        return Score(
            photo,
            losses.content.item(),
            losses.style.item(),
            losses.tv.item(),
            total,
            curve.iterations_to_reach(total) if curve else None,
            curve is not None,
        )

    def _loss(self, yardstick: Yardstick) -> PerceptualLoss:
        key = yardstick.key
        if key not in self._losses:
            self._losses[key] = PerceptualLoss(
                self._network, self._styles(yardstick), yardstick.objective
            )
        return self._losses[key]

    def _styles(self, yardstick: Yardstick) -> list[Tensor]:
        return [
            to_tensor(resize_short_side(painting, yardstick.style_px)).to(self._device)
            for painting in self._paintings
        ]

    def _curve(self, photo: Path, crop: Rgb, yardstick: Yardstick) -> Curve | None:
        if len(self.read) > self._settings.curve_photos:
            return None
        iterations = self._settings.curve_iterations
        curve = optimization_curve(
            self._network,
            yardstick.objective,
            to_tensor(crop).to(self._device),
            self._styles(yardstick),
            iterations,
            on_iteration=lambda done: self.on_progress(
                f"optimizing {photo.name}, once", done, iterations
            ),
            folder=self._settings.curve_folder,
        )
        self.curves.append((photo, yardstick, curve))
        return curve

    def sheet(self, subjects: Sequence[Subject]) -> Rgb | None:
        """Photos down, subjects across; photos themselves once."""
        if not self._sheet_rows:
            return None
        first = next(i for i, subject in enumerate(subjects) if subject.path is not None)
        shown = [0, *range(first, len(subjects))]
        rows = []
        for row in self._sheet_rows:
            photo = next(cell for cell in row if cell is not None)
            blank = photo * 0 + 255
            rows.append([blank if (cell := row[i]) is None else cell for i in shown])
        side_px = max(rows[0][0].shape[:2])
        labels = [subjects[i].name for i in shown]
        names = [photo.name for photo in self.read[: len(rows)]]
        return contact_sheet(rows, labels, names, cell_px=side_px)
