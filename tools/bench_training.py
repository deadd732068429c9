"""Photos per second of `edge-style train` beside a plain training loop, in turns in one run.

    python tools/bench_training.py PAINTING --content DIR --vgg vgg16.safetensors

The plain loop is of the kind that pytorch/examples' fast_neural_style has: float32, crops read in
the loop, every picture through the whole loss network by PyTorch's own layers, nothing arranged for
speed, but that freed memory is kept for both, which is the process's. Both train the
same network from the same weights by the same optimizer and rates on the same crops, so that their
losses at the end can be compared as well. Ten steps of the one follow ten steps of the other, so
that whatever else the machine does meets both.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style.images import read_image, resize_short_side
from edge_style_tools.script import at_least, run_script
from edge_style_training.config import TrainingConfig
from edge_style_training.data import centre_crop, find_photos, to_tensor
from edge_style_training.losses import Objective
from edge_style_training.muon import Muon
from edge_style_training.networks import build_network
from edge_style_training.schedule import learning_rate_at
from edge_style_training.trainer import Trainer
from edge_style_training.training_loop import Progress
from edge_style_training.vgg import LossNetwork, load_loss_network

# Of `Trainer`'s reports, which set the rhythm of the turns.
STEPS_A_TURN = 10


class PlainLoop:
    """Trains step by step as one would write it down first."""

    def __init__(
        self,
        config: TrainingConfig,
        vgg: LossNetwork,
        painting: Tensor,
        read_crop: Callable[[int], Tensor],
    ) -> None:
        self.config = config
        self.vgg = vgg
        self.read_crop = read_crop
        self.objective = Objective(
            content_weight=config.content_weight, style_weight=config.style_weight
        )
        torch.manual_seed(config.seed)
        self.network: nn.Module = build_network(config.architecture, config.network)
        self.network.to(painting.device)
        self.optimizer = Muon(self.network.parameters(), config.learning_rate)
        features = vgg(painting.unsqueeze(0))
        self.style_grams = {name: gram(features[name]) for name in self.objective.style_layers}
        self.device = painting.device
        self.step = 0

    def run(self, steps: int) -> float:
        """Take some steps; photos per second."""
        started = time.perf_counter()
        for _ in range(steps):
            first = self.step * self.config.batch_size
            crops = [self.read_crop(first + i) for i in range(self.config.batch_size)]
            photos = torch.stack(crops).float().to(self.device)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate_at(self.config, self.step)
            self.optimizer.zero_grad()
            content, style = self.losses(self.network(photos), photos)
            total = self.objective.content_weight * content + self.objective.style_weight * style
            total.backward()  # type: ignore[no-untyped-call] # PyTorch leaves it untyped
            self.optimizer.step()
            total.item()  # they print it
            self.step += 1
        return steps * self.config.batch_size / (time.perf_counter() - started)

    def losses(self, stylized: Tensor, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Content and style loss."""
        ours, theirs = self.vgg(stylized), self.vgg(photos)
        content, style = torch.zeros(()), torch.zeros(())
        for name, weight in self.objective.content_layers.items():
            content = content + weight * F.mse_loss(ours[name], theirs[name])
        for name, weight in self.objective.style_layers.items():
            found = gram(ours[name])
            style = style + weight * F.mse_loss(found, self.style_grams[name].expand_as(found))
        return content, style

    def validate(self, photos: list[Path]) -> float:
        """Mean total loss on the centre crops of `photos`."""
        totals = []
        self.network.eval()
        for photo in photos:
            crop = to_tensor(centre_crop(read_image(photo), self.config.crop_px))
            with torch.no_grad():
                frame = crop.unsqueeze(0).to(self.device)
                content, style = self.losses(self.network(frame).clamp(0, 255), frame)
            totals.append(
                self.objective.content_weight * content + self.objective.style_weight * style
            )
        return float(sum(totals)) / len(totals)


def of_plain_layers(vgg: LossNetwork) -> LossNetwork:
    """A copy of `vgg` that computes by the layers that come with PyTorch."""
    plain = LossNetwork(vgg.layers)
    for place, module in enumerate(plain.features):
        layer: nn.Module
        if isinstance(module, nn.Conv2d):
            layer = nn.Conv2d(module.in_channels, module.out_channels, 3, padding=1)
        else:
            layer = nn.ReLU() if isinstance(module, nn.ReLU) else nn.MaxPool2d(2)
        plain.features[place] = layer
    plain.load_state_dict(vgg.state_dict())
    return plain.requires_grad_(False).eval()


def gram(features: Tensor) -> Tensor:
    """Gram matrix divided by C*H*W."""
    batch, channels, height, width = features.size()
    flat = features.view(batch, channels, height * width)
    return flat.bmm(flat.transpose(1, 2)) / (channels * height * width)


@dataclass
class Turns:
    """Runs the plain loop whenever the trainer reports, and notes both speeds."""

    plain: PlainLoop
    ours_per_second: list[float] = field(default_factory=list)
    plain_per_second: list[float] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.ours_per_second.append(progress.photos_per_second)
        self.plain_per_second.append(self.plain.run(progress.step - self.plain.step))
        print(
            f"step {progress.step} of {progress.steps}: {self.ours_per_second[-1]:.2f} photos/s, "
            f"plain loop {self.plain_per_second[-1]:.2f}",
            file=sys.stderr,
        )


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Train with both and compare."""
    steps = arguments.turns * STEPS_A_TURN
    config = TrainingConfig(
        architecture=arguments.architecture,
        steps=steps,
        batch_size=arguments.batch_size,
        crop_px=arguments.crop,
        precision=arguments.precision,
        learning_rate=1e-3,
        validate_every=steps,
        checkpoint_every=steps,
    )
    weights = load_loss_network(arguments.vgg, Objective().layers)
    painting = to_tensor(resize_short_side(read_image(arguments.painting), config.style_px))
    photos = find_photos(arguments.content)
    trainer = Trainer(
        config, weights, [painting], photos, folder / "net.pth", workers=arguments.workers
    )
    device = trainer.accelerator.device
    plain = PlainLoop(
        config,
        of_plain_layers(weights).to(device),
        painting.to(device),
        lambda number: trainer.dataset[number][0],
    )
    turns = Turns(plain)
    best = trainer.run(turns)
    # The first turn pays for allocations and caches.
    ours, beside = (
        median(speeds[1:]) for speeds in (turns.ours_per_second, turns.plain_per_second)
    )
    return {
        "architecture": config.architecture,
        "precision": trainer.precision,
        "batch_size": config.batch_size,
        "crop_px": config.crop_px,
        "steps": steps,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "photos_per_second": round(ours, 3),
        "plain_photos_per_second": round(beside, 3),
        "ratio": round(ours / beside, 3),
        "validation_total": round(best.scores["total"], 1),
        "plain_validation_total": round(plain.validate(trainer.validation.photos), 1),
    }


def main() -> None:
    """Read the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("painting", type=Path)
    parser.add_argument("--content", type=Path, required=True, help="folder of photos")
    parser.add_argument("--vgg", type=Path, help="VGG16 weights; fetched if omitted")
    parser.add_argument("--architecture", default="johnson")
    parser.add_argument("--precision", default="auto", help="of our loop: auto, fp32 or bf16")
    parser.add_argument("--batch-size", type=at_least(1), default=4)
    parser.add_argument("--crop", type=at_least(32), default=256, help="side of the crops, pixels")
    parser.add_argument(
        "--turns", type=at_least(2), default=6, help="of ten steps each; the first warms up"
    )
    parser.add_argument("--workers", type=at_least(0), default=2, help="of our loader")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(arguments, Path(folder))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    run_script(main)
