"""Painting by optimization: right losses and gradients, in tiles too; pictures that obey."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from edge_style.errors import ContentError, TrainingDivergedError, UsageError
from edge_style_training import colour, quick_cpu
from edge_style_training.contact_sheet import contact_sheet
from edge_style_training.data import to_tensor
from edge_style_training.losses import Objective, PerceptualLoss
from edge_style_training.minimize import minimize
from edge_style_training.paint import PaintConfig, gatys_objective, paint, plan_levels
from edge_style_training.picture_loss import LossValues, PictureLoss, mean_grams
from edge_style_training.vgg import LossNetwork

SMALL = Objective(
    content_layers={"relu2_2": 1.0},
    style_layers={"relu1_1": 1.0, "relu2_1": 0.5},
    style_weight=3.0,
    tv_weight=0.1,
)


def picture(height: int, width: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return coarse.astype(np.uint8).repeat(8, 0).repeat(8, 1)[:height, :width].copy()


@pytest.fixture(scope="module")
def network() -> LossNetwork:
    torch.manual_seed(7)
    return LossNetwork({**SMALL.content_layers, **SMALL.style_layers})


@pytest.fixture(autouse=True)
def direct_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of four equal values is the maximum, rounding decides where it depends on the place."""
    monkeypatch.setattr(quick_cpu, "winograd_is_quicker", lambda: False)


def picture_loss(network: LossNetwork, photo: torch.Tensor, painting: torch.Tensor, tile_px: int):
    grams = mean_grams(network, list(SMALL.style_layers), [painting], tile_px=tile_px)
    return PictureLoss(network, SMALL, photo, grams, tile_px=tile_px)


# Odd sizes, slivers at the ends, a strip that is one tile high.
@pytest.mark.parametrize(("height", "width"), [(97, 131), (66, 64), (20, 150)])
def test_tiles_give_the_losses_and_the_gradient_of_the_whole(network, height, width) -> None:
    photo = to_tensor(picture(height, width, 1))
    painting = to_tensor(picture(150, 90, 2))
    start = to_tensor(picture(height, width, 3)).unsqueeze(0)
    pixels = start.clone().requires_grad_()
    perceptual = PerceptualLoss(network, [painting], SMALL)
    expected = perceptual(pixels, perceptual.content_targets(photo.unsqueeze(0)))
    expected.total.backward()
    for tile_px in (1000, 48):
        values, gradient = picture_loss(network, photo, painting, tile_px)(start)
        for name in ("content", "style", "tv", "total"):
            wanted = getattr(expected, name).item()
            assert getattr(values, name) == pytest.approx(wanted, rel=1e-4), (tile_px, name)
        error = (gradient - pixels.grad).abs().max() / pixels.grad.abs().max()
        assert error < 1e-4, tile_px


@pytest.mark.parametrize("variant", ["vgg16", "vgg19"])
def test_margins_cover_what_the_deepest_layer_sees(variant) -> None:
    torch.manual_seed(1)
    objective = Objective(content_layers={"relu4_2": 1.0}, style_layers={"relu5_1": 1.0})
    network = LossNetwork(objective.layers, variant=variant)
    photo, start = (to_tensor(picture(32, 224, seed)) for seed in (4, 5))
    losses = []
    for tile_px in (1000, 192):
        grams = mean_grams(network, ["relu5_1"], [photo], tile_px=tile_px)
        losses.append(
            PictureLoss(network, objective, photo, grams, tile_px=tile_px)(start.unsqueeze(0))
        )
    (whole, gradient), (tiled, tiled_gradient) = losses
    assert tiled.content == pytest.approx(whole.content, rel=1e-4)
    assert tiled.style == pytest.approx(whole.style, rel=1e-3)
    assert (gradient - tiled_gradient).abs().max() < 1e-3 * gradient.abs().max()


def test_the_losses_are_the_papers_formulas() -> None:
    """Gatys et al. 2016, equations 1 to 7, written out literally in float64."""
    torch.manual_seed(2)
    objective = gatys_objective(content_weight=2.0, style_weight=3.0)
    network = LossNetwork(objective.layers).double()
    photo, painting, start = (to_tensor(picture(32, 32, seed)).double() for seed in range(3))
    pixels = start.unsqueeze(0).requires_grad_()
    ours = network(pixels)
    theirs, styles = network(photo.unsqueeze(0)), network(painting.unsqueeze(0))
    total = pixels.new_zeros(())
    for layer, features in ours.items():
        n, m = features.shape[1], features.shape[2] * features.shape[3]
        f, p, a = (x[layer][0].reshape(n, m) for x in (ours, theirs, styles))
        if layer == "relu4_2":
            squared = sum((f[i, j] - p[i, j]) ** 2 for i in range(n) for j in range(m)) / 2
            # The paper's loss is half a sum; ours is a mean.
            total = total + 2.0 * squared * 2 / (n * m)
        else:
            gram = torch.stack([(f[i] * f).sum(1) for i in range(n)])
            wanted = torch.stack([(a[i] * a).sum(1) for i in range(n)])
            energy = ((gram - wanted) ** 2).sum() / (4 * n**2 * m**2)
            # Its weight on a layer with N filters is 4 / N^2 of what makes ours.
            total = total + 3.0 * energy * 4 / n**2
    total.backward()
    network.float()
    grams = mean_grams(network, list(objective.style_layers), [painting.float()])
    values, gradient = PictureLoss(network, objective, photo.float(), grams)(
        start.float().unsqueeze(0)
    )
    assert values.total == pytest.approx(total.item(), rel=1e-4)
    assert (gradient - pixels.grad).abs().max() < 1e-3 * pixels.grad.abs().max()


def test_lbfgs_descends_steadily_and_faster_than_adam(network) -> None:
    photo = to_tensor(picture(24, 24, 1))
    loss = picture_loss(network, photo, to_tensor(picture(64, 64, 2)), 1000)
    noise = 255 * torch.rand((1, 3, 24, 24), generator=torch.Generator().manual_seed(0))
    curves = {
        name: [point.losses.total for point in minimize(loss, noise, 25, optimizer=name)]
        for name in ("lbfgs", "adam")
    }
    lbfgs = curves["lbfgs"]
    assert len(lbfgs) == len(curves["adam"]) == 26
    assert all(later <= earlier for earlier, later in pairwise(lbfgs))
    assert lbfgs[-1] < 0.5 * curves["adam"][-1] < 0.5 * lbfgs[0]


def test_lbfgs_evaluates_no_point_twice() -> None:
    seen: list[bytes] = []

    def quartic(x: torch.Tensor) -> tuple[LossValues, torch.Tensor]:
        seen.append(x.numpy().tobytes())
        total = ((x - 3) ** 4).sum().item()
        return LossValues(total, 0, 0, total), 4 * (x - 3) ** 3

    points = list(minimize(quartic, torch.zeros(1, 3, 4, 4), 12))
    assert points[-1].losses.total < 1e-3 * points[0].losses.total
    assert len(seen) == len(set(seen))


def test_a_loss_that_is_no_number_is_an_error() -> None:
    def broken(x: torch.Tensor) -> tuple[LossValues, torch.Tensor]:
        return LossValues(0, 0, 0, float("nan")), torch.zeros_like(x)

    with pytest.raises(TrainingDivergedError, match="nan at iteration 0"):
        list(minimize(broken, torch.zeros(1, 3, 4, 4), 5))


def test_painting_goes_coarse_to_fine_and_reports(network) -> None:
    config = PaintConfig(objective=SMALL, iterations=10, long_px=96, levels=2)
    log = []
    painted = paint(picture(60, 80, 1), [picture(70, 90, 2)], network, config, report=log.append)
    assert painted.shape == (72, 96, 3)
    assert [entry.size_px for entry in log if entry.iteration == 0] == [(48, 36)]
    assert log[-1].size_px == (96, 72)
    assert (log[-1].iteration, log[-1].iterations, log[-1].levels) == (20, 20, 2)
    assert log[-1].losses.total < min(e.losses.total for e in log if e.level == 2 and e != log[-1])
    assert np.array_equal(log[-1].render(), painted)


def test_levels_follow_the_size() -> None:
    config = PaintConfig(iterations=500)
    assert plan_levels(512, 400, config) == [((512, 400), 500)]
    assert plan_levels(2000, 1000, config) == [
        ((500, 250), 500),
        ((1000, 500), 200),
        ((2000, 1000), 80),
    ]


def test_noise_depends_on_the_seed_alone(network) -> None:
    config = PaintConfig(objective=SMALL, iterations=2, start="noise", long_px=64)
    arguments = picture(64, 64, 1), [picture(64, 64, 2)], network
    first, again = paint(*arguments, config), paint(*arguments, config)
    other = paint(*arguments, replace(config, seed=1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_paintings_blend_by_their_weights(network) -> None:
    one, other = picture(64, 64, 1), picture(64, 80, 2)
    layers = list(SMALL.style_layers)
    grams = [mean_grams(network, layers, [to_tensor(x)]) for x in (one, other)]
    both = mean_grams(network, layers, [to_tensor(one), to_tensor(other)], [3, 1])
    for layer in layers:
        torch.testing.assert_close(
            both[layer], 0.75 * grams[0][layer] + 0.25 * grams[1][layer], rtol=1e-4, atol=1e-3
        )


def test_luminance_keeps_the_photos_chrominance(network) -> None:
    photo = np.full((64, 64, 3), (150, 110, 90), np.uint8)
    config = PaintConfig(
        objective=SMALL, iterations=8, start="noise", long_px=64, colours="luminance"
    )
    painted = paint(photo, [picture(64, 64, 2)], network, config).astype(float)
    assert painted.std() > 5
    inside = (painted.min(axis=2) > 0) & (painted.max(axis=2) < 255)
    assert np.abs((painted[..., 0] - painted[..., 1])[inside] - 40).max() <= 1.5
    assert np.abs((painted[..., 1] - painted[..., 2])[inside] - 20).max() <= 1.5


def test_histogram_gives_the_painting_the_photos_colours() -> None:
    rng = np.random.default_rng(0)
    painting = rng.normal((128, 100, 90), (20, 25, 15), (90, 80, 3)).clip(0, 255).astype(np.uint8)
    mixing = np.array([[12, 4, 0], [4, 15, -6], [0, -6, 9]])
    photo = (rng.normal(size=(70, 60, 3)) @ mixing + (140, 120, 110)).clip(0, 255).astype(np.uint8)
    matched = colour.match_colours(painting, photo).reshape(-1, 3)
    wanted = photo.reshape(-1, 3)
    assert matched.mean(axis=0) == pytest.approx(wanted.mean(axis=0), abs=1)
    assert np.cov(matched.T) == pytest.approx(np.cov(wanted.T), abs=12)
    flat = np.full((64, 64, 3), 77, np.uint8)
    assert np.ptp(colour.match_colours(painting, flat)) <= 1
    assert colour.match_colours(flat, photo).std(axis=(0, 1)).max() < 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iterations": 0}, "iterations should be at least 1"),
        ({"start": "nothing"}, "start should be photo or noise"),
        ({"optimizer": "sgd"}, "lbfgs or adam"),
        ({"learning_rate": 2.0}, "for adam"),
        ({"style_scale": 0.0}, "above 0"),
        ({"style_scale": float("inf")}, "at most 16"),
        ({"levels": 2000}, "at most 12"),
        ({"seed": 10**20}, "seed should be at most"),
        ({"objective": Objective(content_weight=0, style_weight=0)}, "nothing to paint"),
        ({"objective": Objective(style_weight=-1)}, "at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message) -> None:
    with pytest.raises(UsageError, match=message):
        PaintConfig(**settings)


def test_pictures_and_weights_that_cannot_work_are_refused(network) -> None:
    good = picture(64, 64, 1)
    config = PaintConfig(objective=SMALL, iterations=1, long_px=64)
    with pytest.raises(ContentError, match="20x20 pixels"):
        paint(good, [picture(20, 20, 1)], network, config)
    with pytest.raises(UsageError, match="1 paintings need as many weights, not 2"):
        paint(good, [good], network, config, painting_weights=[1, 2])
    deep = LossNetwork(["relu4_2", "relu1_1"])
    objective = replace(SMALL, content_layers={"relu4_2": 1}, style_layers={"relu1_1": 1})
    large = replace(config, objective=objective, tile_px=64, long_px=80)
    with pytest.raises(UsageError, match="tile of 64 pixels is too small"):
        paint(good, [good], deep, large)


def test_contact_sheet_shows_every_picture_and_label() -> None:
    red, blue = (np.zeros((30, 40, 3), np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = 255, 255
    sheet = contact_sheet([[red, blue], [blue, red]], ["a", "b"], ["x", ""], cell_px=40).astype(int)
    assert ((sheet[..., 0] == 255) & (sheet[..., 1] == 0)).sum() == 2 * 30 * 40
    assert ((sheet[..., 2] == 255) & (sheet[..., 1] == 0)).sum() == 2 * 30 * 40
    assert (sheet.max(axis=2) < 128).any()  # ink
    with pytest.raises(UsageError):
        contact_sheet([[red], [red, blue]], ["a"], ["", ""])
