"""The networks: names, sizes, and the promises their docstrings make."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from edge_style.errors import WeightsError
from edge_style_training.networks import ARCHITECTURES, build_network
from edge_style_training.networks.johnson import TransformerNet
from edge_style_training.networks.lapped import LappedUpsample
from edge_style_training.networks.lean import (
    ACTIVATION_FLOOR,
    Detail,
    LeanConfig,
    LeanNet,
    StyleNorm,
)

# Written down from a checkpoint of pytorch/examples' fast_neural_style.
EXAMPLES_SHAPES = {
    "conv1.conv2d.weight": (32, 3, 9, 9),
    "in1.weight": (32,),
    "conv2.conv2d.weight": (64, 32, 3, 3),
    "conv3.conv2d.weight": (128, 64, 3, 3),
    "in3.bias": (128,),
    "res1.conv1.conv2d.weight": (128, 128, 3, 3),
    "res5.conv2.conv2d.bias": (128,),
    "res3.in2.weight": (128,),
    "deconv1.conv2d.weight": (64, 128, 3, 3),
    "in4.weight": (64,),
    "deconv2.conv2d.weight": (32, 64, 3, 3),
    "in5.bias": (32,),
    "deconv3.conv2d.weight": (3, 32, 9, 9),
    "deconv3.conv2d.bias": (3,),
}


def test_johnson_has_the_names_of_pytorch_examples() -> None:
    state = TransformerNet().state_dict()
    assert len(state) == 62
    for key, shape in EXAMPLES_SHAPES.items():
        assert tuple(state[key].shape) == shape


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("johnson", {}),
        ("lean", {"width": 8, "blocks": 2}),
        ("lean", {"width": 8, "blocks": 1, "stem": "double", "head": "shuffle"}),
        ("lean", {"width": 8, "blocks": 2, "coarse_blocks": 1, "coarse_width": 12}),
        ("lean", {"width": 8, "blocks": 1, "styles": 3, "border_px": 0}),
        ("lean", {"width": 8, "blocks": 1, "norm": "instance", "contrast_norm": False}),
    ],
)
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 50)])
def test_every_network_rounds_sizes_up_to_its_stride(
    architecture: str, config: dict[str, object], size: tuple[int, int]
) -> None:
    network = build_network(architecture, config).eval()
    with torch.no_grad():
        stylized = network(255 * torch.rand(1, 3, *size))
    stride = network.stride_px
    assert stylized.shape == (1, 3, *(-(-side // stride) * stride for side in size))


def test_lapped_head_turns_a_constant_map_into_a_constant_picture() -> None:
    torch.manual_seed(0)
    head = LappedUpsample(6, 3, 4)
    with torch.no_grad():
        picture = head(torch.randn(1, 6, 1, 1).expand(1, 6, 7, 7))[..., 4:-4, 4:-4]
    assert picture.std(dim=(2, 3)).max() < 1e-5
    # An unconstrained convolution and pixel shuffle does show its grid.
    with torch.no_grad():
        plain = torch.nn.Sequential(torch.nn.Conv2d(6, 48, 3), torch.nn.PixelShuffle(4))
        assert plain(torch.randn(1, 6, 1, 1).expand(1, 6, 7, 7)).std(dim=(2, 3)).min() > 1e-2


@pytest.mark.parametrize("norm", ["instance", "batch", "fixed"])
def test_one_style_of_many_stands_alone(norm: str) -> None:
    torch.manual_seed(0)
    config = {"width": 8, "blocks": 2, "coarse_blocks": 1, "norm": norm, "styles": 3}
    many = build_network("lean", config).train()
    with torch.no_grad():
        for parameter in many.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        many(255 * torch.rand(4, 3, 32, 32))  # moves batch statistics
        many.eval()
        frame = 255 * torch.rand(1, 3, 33, 40)
        pictures = [many(frame, style) for style in torch.eye(3).unsqueeze(1)]
        for number, picture in enumerate(pictures):
            alone = many.single_style(number).eval()
            torch.testing.assert_close(alone(frame), picture, rtol=1e-4, atol=0.05)
        assert (pictures[0] - pictures[1]).abs().mean() > 1
        torch.testing.assert_close(many(frame), pictures[0])


def test_blending_styles_goes_through_in_between_pictures() -> None:
    torch.manual_seed(0)
    many = build_network("lean", {"width": 8, "blocks": 1, "styles": 2}).eval()
    with torch.no_grad():
        for _, norm in many.normalizations():
            norm.bias.copy_(torch.randn_like(norm.bias))
        frame = 255 * torch.rand(1, 3, 32, 32)
        first, middle, last = (
            many(frame, torch.tensor([[1 - share, share]])) for share in (0.0, 0.5, 1.0)
        )
    apart = (first - last).abs().mean()
    assert (first - middle).abs().mean() < apart
    assert (last - middle).abs().mean() < apart


def test_fixed_norms_do_not_follow_the_batch() -> None:
    torch.manual_seed(0)
    network = build_network("lean", {"width": 8, "blocks": 1, "instance_at": []}).train()
    frame = 255 * torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        alone = network(frame)
        among_others = network(torch.cat([frame, 10 * torch.rand(3, 3, 32, 32)]))[:1]
    torch.testing.assert_close(alone, among_others)
    torch.testing.assert_close(alone, network.eval()(frame))


def test_lean_ignores_brightness_and_contrast_of_the_frame() -> None:
    torch.manual_seed(0)
    network = build_network("lean", {"width": 8, "blocks": 1}).eval()
    frame = 60 + 100 * torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(frame), network(0.7 * frame + 30), rtol=1e-3, atol=0.1)


def test_lean_does_not_blow_up_noise_in_a_flat_frame() -> None:
    torch.manual_seed(0)
    network = build_network("lean", {"width": 8, "blocks": 1, "instance_at": []}).eval()
    with torch.no_grad():
        flat = network(torch.full((1, 3, 32, 32), 90.0))
        noisy = network(90.0 + torch.randn(1, 3, 32, 32))
        textured = network(90.0 + 60 * torch.randn(1, 3, 32, 32))
    assert (noisy - flat).std() < 0.5 * (textured - flat).std()


def test_a_norm_in_front_of_the_head_sets_contrast_and_colours_of_each_style() -> None:
    torch.manual_seed(5)
    config = LeanConfig(8, 0, 1, 8, instance_at=(0, 1), styles=3, styled_at=(0,), head_norm=True)
    network = LeanNet(config).eval()
    last = network.body[-1]
    assert isinstance(last, StyleNorm)
    assert isinstance(last.norm, torch.nn.InstanceNorm2d), "though its number is not in instance_at"
    with torch.no_grad():
        last.weight[1] = 2 * last.weight[0]
        last.bias[2] = last.bias[0] + 0.5
    photo = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        plain, strong, shifted = (network(photo, torch.eye(3)[n : n + 1]) for n in range(3))
        other = network(photo.flip(3) * 0.4 + 90, torch.eye(3)[:1])
    middle = 127.5 + 64 * network.head.get_parameter("bias").view(1, 3, 1, 1)
    torch.testing.assert_close(strong - middle, 2 * (plain - middle), rtol=1e-3, atol=1e-2)
    moved = (shifted - plain)[:, :, 16:48, 16:48]
    assert float(moved.abs().mean()) > 1
    assert float(moved.std(dim=(2, 3)).max()) < 0.1, "the same everywhere"
    # The picture's own colours do not come into it.
    assert float((other.mean(dim=(2, 3)) - plain.mean(dim=(2, 3))).abs().max()) < 8


def test_a_norm_put_in_front_of_the_head_gives_back_what_it_takes() -> None:
    torch.manual_seed(3)
    net = LeanNet(LeanConfig(8, 1, 1, 8, instance_at=(0, 1), head_norm=False)).eval()
    photo = 255 * torch.rand(1, 3, 48, 64)

    got = net.with_head_norm(photo)

    with torch.no_grad():
        torch.testing.assert_close(got(photo), net(photo), rtol=1e-3, atol=1e-2)
        # Of another photo it takes other means and deviations.
        other = photo.square() / 255
        assert float((got(other) - net(other)).abs().mean()) > 0.1
    assert got.config == replace(net.config, head_norm=True)
    with pytest.raises(ValueError, match="none yet"):
        got.with_head_norm(photo)


@pytest.mark.parametrize("instance_at", [(0, 1), (0, 3, 4, 6, 8)], ids=["scales", "instance"])
def test_further_coarse_blocks_change_nothing_at_first(instance_at: tuple[int, ...]) -> None:
    torch.manual_seed(4)
    net = LeanNet(LeanConfig(8, 2, 1, 8, instance_at=tuple(n for n in instance_at if n < 6))).eval()
    photo = 255 * torch.rand(1, 3, 48, 64)
    deeper = replace(net.config, coarse_blocks=3, instance_at=instance_at)

    got = net.grown(deeper)

    assert (got.config, got.training) == (deeper, False)
    with torch.no_grad():
        torch.testing.assert_close(got(photo), net(photo), rtol=0, atol=1e-3)
    got.train()(photo).square().mean().backward()
    for block in (1, 2):
        gradient = got.get_parameter(f"body.1.blocks.{block}.norm2.weight").grad
        assert gradient is not None
        assert gradient.abs().max() > 0, "it can learn"


@pytest.mark.parametrize("head", ["lapped", "shuffle"])
@pytest.mark.parametrize("detail", [0, 4], ids=["new", "more"])
def test_further_detail_changes_nothing_at_first(
    head: Literal["lapped", "shuffle"], detail: int
) -> None:
    torch.manual_seed(4)
    net = LeanNet(LeanConfig(8, 2, 1, 8, instance_at=(0,), head=head, detail=detail)).eval()
    photo = 255 * torch.rand(1, 3, 48, 64)

    got = net.grown(replace(net.config, detail=6))

    with torch.no_grad():
        torch.testing.assert_close(got(photo), net(photo), rtol=0, atol=1e-3)
    assert isinstance(got.detail, Detail)
    features = torch.randn(2, 8, 5, 7)
    seen = got.detail(features)
    assert seen.shape == (2, 14, 5, 7)
    assert torch.equal(seen[:, :8], features)
    assert (seen.std(dim=(0, 2, 3)) > 0.1).all(), "all of its channels say something"
    floor = torch.tensor(ACTIVATION_FLOOR)
    assert torch.equal(seen[:, 8:].amin(), floor), "linear ones would add nothing to the features"
    weight = next(iter(got.head.parameters()))
    got.train()(photo).square().mean().backward()
    assert weight.grad is not None
    by_channel = weight.grad.abs().amax(dim=(0, 1, 2, 4, 5) if head == "lapped" else (0, 2, 3))
    assert by_channel.shape == (14,)
    assert (by_channel > 0).all(), "it can learn"


def test_only_coarse_blocks_and_detail_can_be_added() -> None:
    net = LeanNet(LeanConfig(8, 2, 1, 8, instance_at=(0, 3, 4)))
    with pytest.raises(ValueError, match="only coarse_blocks"):
        net.grown(replace(net.config, coarse_blocks=2, width=16))
    with pytest.raises(ValueError, match="instance_at"):
        net.grown(replace(net.config, coarse_blocks=2, instance_at=(0, 4)))


def test_unknown_architecture_and_setting_are_named() -> None:
    with pytest.raises(WeightsError, match=r"'huge'.*lean"):
        build_network("huge")
    with pytest.raises(WeightsError, match="depth"):
        build_network("lean", {"depth": 3})
    with pytest.raises(WeightsError, match="norm should be one of instance, batch"):
        build_network("lean", {"norm": "layer"})
    with pytest.raises(WeightsError, match="detail should be at least 0"):
        build_network("lean", {"detail": -4})


def test_registry_names_are_those_of_the_command_line() -> None:
    assert set(ARCHITECTURES) >= {"lean", "johnson"}
