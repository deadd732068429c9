"""How the decoder of the photorealistic transfer learns: photos in, the same photos out.

Every level is compared with the encoder's own (as in Chiu and Gurari 2022, "PhotoWCT2", arXiv
2110.11995, though here at once and end to end): the decoder's features are then distributed as
the encoder's, and a reference's statistics, measured in the encoder, can be imposed in the decoder.
An error of each level is divided by the variance of what it should be, so that all weigh alike.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.errors import CheckpointError, TrainingDivergedError
from edge_style_training.checkpoint import load_tensors, save_atomically
from edge_style_training.data import CropDataset, centre_crop, crop_loader, to_tensor
from edge_style_training.photo.networks import LEVELS, PhotoDecoder, PhotoEncoder, Pooling
from edge_style_training.schedule import cosine_rate

CHECKPOINT_FORMAT = "edge-style-photo-decoder-1"
_REPORT_EVERY = 10


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of a training.

    Attributes:
        steps, batch_size, crop_px: how long, on what; crops are squares.
        learning_rate: peak of Adam's, warmed up and then half a cosine down.
        pooling: of encoder and decoder, see `networks`.
        precision: `bf16` or `fp32`, of the convolutions.
        save_every: steps between states that `--resume` goes on from.
        seed: of weights and crops.
    """

    steps: int = 3000
    batch_size: int = 4
    crop_px: int = 96
    learning_rate: float = 2e-4
    warmup_steps: int = 20
    pooling: Pooling = "haar"
    precision: str = "bf16"
    save_every: int = 50
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """A glance at a training: errors relative to the variance, deepest level first."""

    step: int
    steps: int
    errors: tuple[float, ...]
    seconds: float


class DecoderTrainer:
    """Trains a decoder for an encoder; see `run`."""

    def __init__(
        self,
        encoder: PhotoEncoder,
        photos: Sequence[Path],
        output: Path,
        config: DecoderConfig,
    ) -> None:
        """Set everything up; nothing is computed or written yet.

        Args:
            encoder: with trained weights, of the config's pooling.
            photos: to train on.
            output: where the finished decoder goes; a state to go on from is kept beside it.
            config: the settings.
        """
        torch.manual_seed(config.seed)
        self.config = config
        self.output = output
        self.encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # stubs lack it
        self.decoder = PhotoDecoder(config.pooling).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # as above
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=config.learning_rate)
        self.dataset = CropDataset(photos, config.crop_px, config.seed)
        self.step = 0

    @property
    def state_path(self) -> Path:
        return self.output.with_suffix(".resume.pth")

    def resume(self) -> None:
        """Go on where an interrupted training stopped.

        Raises:
            CheckpointError: there is none, or it had other settings.
        """
        state = load_tensors(self.state_path)
        if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
            raise CheckpointError(f"{self.state_path} is no state of a decoder's training")
        if state["config"] != asdict(self.config):
            raise CheckpointError(f"{self.state_path} was begun with other settings: start anew")
        self.decoder.load_state_dict(state["decoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def save(self) -> None:
        """Write what `resume` goes on from. Raises CheckpointError."""
        save_atomically(self._state(), self.state_path)

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train to the end and write the decoder, in half precision, to `output`.

        Raises:
            TrainingDivergedError: the loss is not a number.
            CheckpointError: nothing can be written there.
            ContentError: too many broken photos.
        """
        config = self.config
        loader = crop_loader(
            self.dataset,
            first_step=self.step,
            last_step=config.steps,
            batch_size=config.batch_size,
            workers=0,
        )
        start_s = time.perf_counter()
        for crops, _ in loader:
            errors = self._train_step(crops.float())
            self.step += 1
            if self.step % _REPORT_EVERY == 0 or self.step == config.steps:
                values = tuple(float(error) for error in errors)
                if not all(math.isfinite(value) for value in values):
                    raise TrainingDivergedError(
                        f"the loss is not a number at step {self.step}: use a lower learning rate"
                    )
                elapsed_s = time.perf_counter() - start_s
                report(Progress(self.step, config.steps, values, elapsed_s))
            if self.step % config.save_every == 0:
                self.save()
        save_atomically(self._finished(), self.output)
        self.state_path.unlink(missing_ok=True)

    def _train_step(self, crops: Tensor) -> tuple[Tensor, ...]:
        for group in self.optimizer.param_groups:
            group["lr"] = cosine_rate(
                self.config.learning_rate, self.step, self.config.steps, self.config.warmup_steps
            )
        crops = crops.contiguous(memory_format=torch.channels_last)
        enabled = self.config.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            with torch.no_grad():
                # Every other step leaves the deepest level out, so that pictures may be
                # changed without it, too.
                features = self.encoder(crops)[: LEVELS - self.step % 2]
            made = self.decoder(features)
        targets = (*reversed(features[:-1]), crops)
        errors = tuple(
            F.mse_loss(mine.float(), own.float()) / own.float().var()
            for mine, own in zip(made, targets, strict=True)
        )
        # The square root: a relative error goes down by orders of magnitude, and all of them
        # should matter to the end.
        total = torch.stack(errors).add(1e-6).sqrt().sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call] # torch's own annotation is missing
        self.optimizer.step()
        return tuple(error.detach() for error in errors)

    def _state(self) -> dict[str, Any]:
        return {
            "format": CHECKPOINT_FORMAT,
            "config": asdict(self.config),
            "decoder": self.decoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def _finished(self) -> dict[str, Any]:
        weights = {key: value.half() for key, value in self.decoder.state_dict().items()}
        return {"format": CHECKPOINT_FORMAT, "config": asdict(self.config), "decoder": weights}


def load_decoder(path: Path) -> PhotoDecoder:
    """The decoder that a training wrote.

    Raises:
        CheckpointError: no such file, or another kind of file.
    """
    state: Mapping[str, Any] = load_tensors(path)
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        raise CheckpointError(f"{path} holds no decoder of the photorealistic transfer")
    decoder = PhotoDecoder(state["config"]["pooling"])
    decoder.load_state_dict({key: value.float() for key, value in state["decoder"].items()})
    return decoder.eval()


def reconstruction_psnr_db(
    encoder: PhotoEncoder, decoder: PhotoDecoder, photos: Sequence[Any], crop_px: int = 256
) -> float:
    """Mean PSNR, dB, of photos [H, W, 3] RGB uint8 through both networks, on centre crops."""
    found = []
    with torch.no_grad():
        for photo in photos:
            crop = to_tensor(centre_crop(photo, crop_px)).unsqueeze(0)
            made = decoder(encoder(crop))[-1].clamp(0, 255)
            found.append(-10 * math.log10(float(F.mse_loss(made, crop)) / 255**2))
    return sum(found) / len(found)
