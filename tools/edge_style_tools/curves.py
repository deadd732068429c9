"""Curves of the optimization, as a yardstick for networks (Johnson et al. 2016, figure 5).

How far L-BFGS with strong-Wolfe line search comes from noise, iteration by iteration. A curve takes
minutes, so it is kept in the user's cache folder, under everything that it depends on.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from edge_style_training.losses import Objective
from edge_style_training.minimize import minimize
from edge_style_training.paint import noise
from edge_style_training.picture_loss import PictureLoss, mean_grams
from edge_style_training.vgg import LossNetwork

SEED = 0
# To be raised when the optimizer, the noise or the losses change.
_METHOD = "1: uniform noise, pixels unclamped, L-BFGS, strong Wolfe"


@dataclass(frozen=True)
class Curve:
    """Total loss after 0, 1, 2... iterations.

    Attributes:
        totals: the first one is the noise's.
        was_cached: it took no time.
    """

    totals: tuple[float, ...]
    was_cached: bool

    def iterations_to_reach(self, total: float) -> int | None:
        """Iterations after which the optimization is as good as `total`; None: more than it ran."""
        return next((i for i, reached in enumerate(self.totals) if reached <= total), None)


def optimization_curve(
    network: LossNetwork,
    objective: Objective,
    photo: Tensor,
    paintings: Sequence[Tensor],
    iterations: int,
    *,
    on_iteration: Callable[[int], None] | None = None,
    folder: Path | None = None,
) -> Curve:
    """The curve for one photo, from the cache if it is there and long enough.

    Args:
        network: gives the objective's layers.
        objective: layers and weights.
        photo: [3, H, W] RGB, 0..255, on the network's device.
        paintings: each [3, H, W] RGB, 0..255, on the network's device.
        iterations: of L-BFGS.
        on_iteration: called with the number of each.
        folder: of the cache; the user's if None.
    """
    folder = folder or default_folder()
    key = _key(network, objective, photo, paintings)
    file = folder / f"{key}.json"
    known = _read(file)
    if known is not None and len(known) > iterations:
        return Curve(known[: iterations + 1], was_cached=True)
    grams = mean_grams(network, list(objective.style_layers), paintings)
    loss = PictureLoss(network, objective, photo, grams)
    start = noise(photo.shape[2], photo.shape[1], SEED).to(photo.device)
    totals = []
    for point in minimize(loss, start, iterations):
        totals.append(point.losses.total)
        if on_iteration is not None:
            on_iteration(point.iteration)
    # Where no step lowers the loss any more, it stays as it is.
    totals += [totals[-1]] * (iterations + 1 - len(totals))
    _write(file, totals)
    return Curve(tuple(totals), was_cached=False)


def default_folder() -> Path:
    """Where curves are kept: in the user's cache folder."""
    return Path(platformdirs.user_cache_dir("edge-style", appauthor=False)) / "curves"


def _key(
    network: LossNetwork, objective: Objective, photo: Tensor, paintings: Sequence[Tensor]
) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps([_METHOD, SEED, torch.__version__, photo.device.type]).encode())
    digest.update(json.dumps(asdict(objective), sort_keys=True).encode())
    digest.update(repr(network.features).encode())
    for tensor in (*network.state_dict().values(), photo, *paintings):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _read(file: Path) -> tuple[float, ...] | None:
    """A curve from the cache; None where there is none, or none that can be read."""
    try:
        totals = json.loads(file.read_text(encoding="utf-8"))["totals"]
        return tuple(float(total) for total in totals)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, totals: Sequence[float]) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    # A cache that cannot be written costs time at the next run, nothing else.
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps({"method": _METHOD, "totals": list(totals)}), "utf-8")
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
