"""The losses against slow, literal readings of the papers' formulas."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edge_style.errors import WeightsError
from edge_style_training.losses import (
    Objective,
    PerceptualLoss,
    gram_matrix,
    total_variation,
)
from edge_style_training.steadiness import difference, grid_loss, two_views
from edge_style_training.vgg import LossNetwork, layer_indices, load_loss_network


def literal_gram(features: Tensor) -> Tensor:
    """Johnson et al. 2016, equation 3: G_cc' = sum over h, w of F_hwc F_hwc' / (C H W)."""
    channels, height, width = features.shape
    gram = torch.zeros(channels, channels, dtype=features.dtype)
    for c in range(channels):
        for d in range(channels):
            for h in range(height):
                for w in range(width):
                    gram[c, d] += features[c, h, w] * features[d, h, w]
    return gram / (channels * height * width)


def literal_total(network: LossNetwork, picture: Tensor, photo: Tensor, painting: Tensor) -> Tensor:
    """Content + 5 * style + 2 * total variation for one picture, in float64, loop by loop."""
    stylized, wanted, style = (network(x.unsqueeze(0)) for x in (picture, photo, painting))
    content = ((stylized["relu3_3"] - wanted["relu3_3"]) ** 2).mean()
    style_loss = picture.new_zeros(())
    for layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3"):
        f, g = stylized[layer][0], style[layer][0]
        difference = torch.einsum("chw,dhw->cd", f, f) / f.numel()
        difference = difference - torch.einsum("chw,dhw->cd", g, g) / g.numel()
        style_loss = style_loss + (difference**2).sum() / difference.numel()
    down = (picture[:, 1:] - picture[:, :-1]).abs().mean()
    right = (picture[:, :, 1:] - picture[:, :, :-1]).abs().mean()
    return content + 5 * style_loss + 2 * (down + right)


def test_gram_matrix_is_the_formula() -> None:
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([literal_gram(each.double()) for each in features])
    torch.testing.assert_close(gram_matrix(features).double(), expected, rtol=1e-5, atol=1e-6)


def test_gram_matrix_stays_float32_inside_autocast() -> None:
    features = torch.full((1, 1, 64, 64), 300.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    # 16-bit sums would be off by hundreds; the order of 32-bit ones is the processor's.
    assert gram.item() == pytest.approx(90000, rel=1e-5)


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(8.0).mul(3).view(1, 1, 1, 8).expand(1, 3, 8, 8)
    assert total_variation(ramp).item() == pytest.approx(3.0)


def test_loss_and_gradient_are_the_formula() -> None:
    torch.manual_seed(3)
    network = LossNetwork(Objective().layers).double()
    network.mean = network.get_buffer("mean").double()
    photo, painting, picture = (255 * torch.rand(3, 40, 48, dtype=torch.float64) for _ in range(3))
    picture.requires_grad_(True)
    criterion = PerceptualLoss(network, [painting], Objective(tv_weight=2.0))
    losses = criterion(picture.unsqueeze(0), criterion.content_targets(photo.unsqueeze(0)))
    (ours,) = torch.autograd.grad(losses.total, picture)
    expected_total = literal_total(network, picture, photo, painting)
    (expected,) = torch.autograd.grad(expected_total, picture)
    # Gram matrices are float32 by design, hence the tolerance.
    assert losses.total.item() == pytest.approx(expected_total.item(), rel=1e-4)
    assert float((ours - expected).norm() / expected.norm()) < 1e-3


def test_gradient_agrees_with_finite_differences() -> None:
    torch.manual_seed(4)
    network = LossNetwork(["relu1_2", "relu2_2"])
    objective = Objective(content_layers={"relu2_2": 1.0}, style_layers={"relu1_2": 1.0})
    photo, painting, picture = (255 * torch.rand(1, 3, 16, 16) for _ in range(3))
    criterion = PerceptualLoss(network, [painting[0]], objective)
    targets = criterion.content_targets(photo)
    picture.requires_grad_(True)
    (gradient,) = torch.autograd.grad(criterion(picture, targets).total, picture)
    direction = gradient / gradient.norm()
    with torch.no_grad():
        ahead = criterion(picture + direction, targets).total
        behind = criterion(picture - direction, targets).total
    slope = float((ahead - behind) / 2)
    assert slope == pytest.approx(float((gradient * direction).sum()), rel=0.02)


def test_several_paintings_are_averaged_by_weight(loss_network: LossNetwork) -> None:
    one, two = (
        255 * torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(s)) for s in (1, 2)
    )
    mixed = PerceptualLoss(loss_network, [one, two], Objective(), weights=[3, 1])
    first = PerceptualLoss(loss_network, [one], Objective())
    second = PerceptualLoss(loss_network, [two], Objective())
    expected = 0.75 * first.get_buffer("gram_relu2_2") + 0.25 * second.get_buffer("gram_relu2_2")
    torch.testing.assert_close(mixed.get_buffer("gram_relu2_2"), expected)


def test_layer_names_count_as_torchvision_does() -> None:
    indices = layer_indices("vgg16")
    assert (indices["relu1_2"], indices["relu2_2"], indices["relu3_3"], indices["relu4_3"]) == (
        3,
        8,
        15,
        22,
    )
    assert layer_indices("vgg19")["conv5_4"] == 34


def test_loss_network_stops_at_the_deepest_layer() -> None:
    assert len(LossNetwork(["relu2_2"]).features) == 9


def test_loss_network_takes_off_the_mean_only() -> None:
    network = LossNetwork(["conv1_1"])
    torch.nn.init.dirac_(network.features[0].weight)
    torch.nn.init.zeros_(network.features[0].bias)
    activations = network(torch.full((1, 3, 4, 4), 200.0))["conv1_1"]
    np.testing.assert_allclose(activations[0, :3, 1, 1], [76.32, 83.221, 96.061], rtol=1e-5)


def test_unknown_layer_is_named() -> None:
    with pytest.raises(WeightsError, match="relu3_9"):
        LossNetwork(["relu3_9"])


def test_weights_with_other_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"features\.0\.bias.*conv1\.weight"):
        load_loss_network(path, ["relu1_1"])


def test_half_precision_file_gives_a_float_network(vgg_file: Path) -> None:
    network = load_loss_network(vgg_file, ["relu1_1"])
    assert network.features[0].weight.dtype == torch.float32


def test_weights_that_cannot_be_fetched_name_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def offline(url: str, **options: object) -> None:
        asked.append((url, options["check_hash"]))
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(WeightsError, match=r"cannot be fetched.*--vgg FILE"):
        load_loss_network(None, ["relu1_1"])
    ((url, checked),) = asked
    assert url.endswith("/vgg16_features-amdegroot-88682ab5.pth")
    assert checked


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_separate_styles_are_each_compared_with_their_own_painting(
    loss_network: LossNetwork,
) -> None:
    paintings = [255 * noise(3, 64, 64, seed=s).abs().clamp(max=1) for s in (1, 2, 3)]
    pictures = 255 * noise(2, 3, 48, 48, seed=4).abs().clamp(max=1)
    many = PerceptualLoss(loss_network, paintings, Objective(), separate=True)
    targets = many.content_targets(pictures)
    together = many(pictures, targets, torch.tensor([2, 0]))
    apart = 0.0
    for picture, number in zip(pictures.split(1), (2, 0), strict=True):
        single = PerceptualLoss(loss_network, [paintings[number]], Objective())
        apart += float(single(picture, single.content_targets(picture)).style) / 2
    assert many.styles == 3
    assert float(together.style) == pytest.approx(apart, rel=1e-4)


def test_balanced_styles_cost_a_photo_the_same(loss_network: LossNetwork) -> None:
    pale, strong = 128 + 5 * noise(3, 64, 64, seed=1), 128 + 100 * noise(3, 64, 64, seed=2)
    photos = 128 + 40 * noise(2, 3, 48, 48, seed=3)
    loss = PerceptualLoss(loss_network, [pale, strong], Objective(), separate=True)
    targets = loss.content_targets(photos)

    def costs() -> list[float]:
        return [float(loss(photos, targets, torch.tensor([n, n])).style) for n in (0, 1)]

    before = costs()
    assert before[1] > 1.5 * before[0]
    loss.balance_styles(photos)
    after = costs()
    assert after[0] == pytest.approx(before[0])
    assert after[1] == pytest.approx(after[0], rel=1e-4)
    copied = loss.on(loss_network)
    assert float(copied(photos, targets, torch.tensor([1, 1])).style) == pytest.approx(after[1])


def test_grid_loss_sees_what_stays_and_not_what_moves_with_the_photo() -> None:
    """A pattern of period 8 against strokes as strong that follow the photo imperfectly."""
    row = torch.tensor([3.0, 0, 0, -3, 0, 0, 3, -3])
    grid = row.repeat(28).expand(1, 3, 224, 224)
    still = grid - torch.roll(grid, -3, dims=3)
    strokes = noise(1, 3, 224, 224, seed=5) * still.std()
    # Once inside and once along the edges.
    assert float(grid_loss(still)) == pytest.approx(2 * float(still.square().mean()), rel=1e-5)
    assert float(grid_loss(strokes)) < 0.05 * float(grid_loss(still))
    # A shift by whole cells cannot show it.
    assert float(grid_loss(grid - torch.roll(grid, -8, dims=3))) == 0


@pytest.mark.parametrize("turns", range(4))
def test_grid_loss_sees_a_dotted_line_along_any_edge(turns: int) -> None:
    dots = torch.zeros(1, 3, 192, 192)
    dots[:, :, 2, ::8] = 10
    strokes = noise(1, 3, 192, 192, seed=6) * dots.std()
    dots = torch.rot90(dots, turns, dims=(2, 3))
    inside = dots.roll((96, 96), dims=(2, 3))
    assert float(grid_loss(dots)) > 20 * float(grid_loss(strokes))
    assert float(grid_loss(dots)) > 2 * float(grid_loss(inside))


@pytest.mark.parametrize("seed", range(3))
def test_two_views_show_the_same_photo_and_each_others_edges(seed: int) -> None:
    photos = noise(2, 3, 72, 88, seed=7) * 20 + 128
    still, moved, shift = two_views(photos, 0.0, seed)
    assert still.shape == moved.shape == (2, 3, 64, 80)
    assert any(shift)
    assert torch.equal(still, photos[:, :, :64, :80])
    assert torch.equal(moved, photos[:, :, shift[0] :, shift[1] :][:, :, :64, :80])
    apart = difference(still, moved, shift)
    assert apart.shape == (2, 3, 64 - shift[0], 80 - shift[1])
    assert not apart.any()
    # The first view's far edges and the second's near ones are compared, without exception.
    framed, other = still.clone(), moved.clone()
    framed[:, :, -1:] += 9
    other[:, :, :, :1] += 9
    assert difference(framed, moved, shift)[:, :, -1].round().eq(9).all()
    assert difference(still, other, shift)[:, :, :, 0].round().eq(-9).all()


def test_the_second_view_has_a_cameras_noise() -> None:
    photos = torch.full((1, 3, 136, 136), 128.0)
    deviations = [float(two_views(photos, 4.0, seed)[1].std()) for seed in range(30)]
    assert 0 <= min(deviations) < 2
    assert sum(deviations) / len(deviations) == pytest.approx(4.0, rel=0.3)
