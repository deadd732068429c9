"""What guesses the code of a style from a picture of it: VGG's statistics, and a trained head.

The encoder looks at the picture with the first layers of VGG, which are not trained: a style is
what their activations have as statistics, and a small pool of pictures teaches no better ones.
Means, deviations, and deviations along random directions, more than a thousand numbers that go
together in many ways, are turned into as many independent ones as a code has (principal components
of the styles in the training). The colours' own mean and covariance come first, unmixed: nothing is
seen so soon as a colour that is a little off. A trained head corrects all these, and the
transformer learns what they mean.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edge_style_training.vgg import LossNetwork

ENCODER_LAYERS = ("relu1_2", "relu2_2", "relu3_1")
# Short side at which pictures of styles are looked at to guess codes in a training.
STYLE_PX = 256

WIDTHS = {"relu1_2": 64, "relu2_2": 128, "relu3_1": 256}
# Three means, deviations of three channels and of the sums of two each: as much as a covariance.
COLOUR_NUMBERS = 9
_SMALLEST_DEVIATION = 1e-3
# Of a component's variance, where a statistic's is one: what is below is not blown up.
_SMALLEST_VARIANCE = 0.3
# Of a component, in deviations: what is beyond says no more.
_MOST_UNUSUAL = 4.0


class StyleEncoder(nn.Module):
    """Pictures of styles [N, 3, H, W], RGB, 0..255, to codes [N, S]."""

    def __init__(self, code: int, directions: int, hidden: int) -> None:
        """With random weights.

        Args:
            code: numbers of a code, S, the first of which is always 1.
            directions: along which deviations are measured at relu1_2; twice as many a layer on.
            hidden: width of the head.
        """
        super().__init__()
        self.code = code
        self.picture_px = STYLE_PX
        self.vgg = LossNetwork(ENCODER_LAYERS)
        numbers = COLOUR_NUMBERS
        pairs = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
        self.register_buffer("directions_colours", pairs / 2**0.5)
        for depth, (layer, width) in enumerate(WIDTHS.items()):
            number = directions << depth
            self.register_buffer(f"directions_{layer}", torch.randn(number, width) / width**0.5)
            numbers += 2 * width + number
        # See `learn_usual`.
        self.register_buffer("usual", torch.zeros(numbers))
        self.register_buffer("components", torch.zeros(numbers, code - 1))
        last = nn.Linear(hidden, code - 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(code - 1, hidden)
        self.head = nn.Sequential(first, nn.ReLU(), last)

    def statistics(self, pictures: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """What tells styles apart, float32 [N, F], the numbers of colours first.

        Args:
            pictures: [N, 3, H, W], RGB, 0..255.
            activations: VGG's for them at `ENCODER_LAYERS`, [N, C, H, W].
        """
        found = [self.colours(pictures)]
        for layer in ENCODER_LAYERS:
            found.append(moments(activations[layer], self.get_buffer(f"directions_{layer}")))
        return torch.cat(found, dim=1)

    def colours(self, pictures: Tensor) -> Tensor:
        """The first of the statistics of pictures [N, 3, H, W], RGB, 0..255."""
        return moments(pictures, self.get_buffer("directions_colours"))

    @torch.no_grad()
    def learn_usual(self, statistics: Tensor) -> None:
        """Learn from `statistics` [N, F] of many styles what is usual and in what they differ."""
        deviation, mean = torch.std_mean(statistics, dim=0, correction=0)
        deviation = deviation.clamp_min(_SMALLEST_DEVIATION)
        colours = COLOUR_NUMBERS
        unusual = (statistics - mean) / deviation
        _, values, directions = torch.linalg.svd(unusual[:, colours:], False)
        number = min(self.code - 1 - colours, len(values))
        spread = (values[:number].square() / len(statistics) + _SMALLEST_VARIANCE).sqrt()
        self.get_buffer("usual").copy_(mean)
        components = self.get_buffer("components").zero_()
        components[:colours, :colours] = deviation[:colours].reciprocal().diag()
        components[colours:, colours : colours + number] = (
            directions[:number].T / spread / deviation[colours:, None]
        )

    def components_of(self, statistics: Tensor) -> Tensor:
        """What is unusual in `statistics` [N, F], as [N, S - 1] independent numbers."""
        unusual = statistics - self.get_buffer("usual")
        found: Tensor = unusual @ self.get_buffer("components")
        return found.clamp(-_MOST_UNUSUAL, _MOST_UNUSUAL)

    def components_with(self, colours: Tensor, others: Tensor) -> Tensor:
        """`components_of` pictures with these `colours` [N, 9], where the others are known."""
        unusual = colours - self.get_buffer("usual")[:COLOUR_NUMBERS]
        own = unusual @ self.get_buffer("components")[:COLOUR_NUMBERS, :COLOUR_NUMBERS]
        return torch.cat([own, others], dim=1).clamp(-_MOST_UNUSUAL, _MOST_UNUSUAL)

    def code_from(self, components: Tensor) -> Tensor:
        """Codes [N, S] of pictures whose `components_of` [N, S - 1] are known."""
        code: Tensor = components + self.head(components)
        return torch.cat([torch.ones_like(code[:, :1]), code], dim=1)

    def code_of(self, statistics: Tensor) -> Tensor:
        """Codes [N, S] of pictures whose `statistics` [N, F] are known."""
        return self.code_from(self.components_of(statistics))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.code_of(self.statistics(pictures, self.vgg(pictures)))


def moments(values: Tensor, directions: Tensor) -> Tensor:
    """Means and deviations of channels, and deviations along directions, float32 [N, 2 C + D].

    Args:
        values: [N, C, H, W].
        directions: [D, C].
    """
    x = values.float().flatten(2)
    mean = x.mean(dim=2)
    centred = x - mean.unsqueeze(2)
    return moments_of(mean, centred @ centred.transpose(1, 2) / x.shape[2], directions)


def moments_of(mean: Tensor, covariance: Tensor, directions: Tensor) -> Tensor:
    """`moments` of what has this `mean` [N, C] and `covariance` [N, C, C]."""
    along = ((directions @ covariance) * directions).sum(dim=2)
    own = covariance.diagonal(dim1=1, dim2=2)
    # A root has no finite slope at zero, where a flat picture has its variances.
    return torch.cat([mean, (own.clamp_min(0) + 1).sqrt(), (along.clamp_min(0) + 1).sqrt()], dim=1)
