"""VGG with fewer channels."""

import pytest
import torch

from edge_style_training.networks.style_encoder import ENCODER_LAYERS
from edge_style_training.pruning import most_telling, prune
from edge_style_training.vgg import LossNetwork

from .conftest import textured


def pictures(first: int) -> torch.Tensor:
    made = [torch.from_numpy(textured(64, 64, seed)) for seed in range(first, first + 4)]
    return torch.stack(made).permute(0, 3, 1, 2).float()


def redundant_vgg() -> LossNetwork:
    """Of whose channels every second is a part of another."""
    torch.manual_seed(3)
    vgg = LossNetwork(ENCODER_LAYERS)
    with torch.no_grad():
        for module in vgg.features:
            if isinstance(module, torch.nn.Conv2d):
                parts = torch.rand(len(module.weight) // 2, 1, 1, 1)
                module.weight[1::2] = module.weight[::2] * parts
                assert module.bias is not None
                module.bias.zero_()
    return vgg.eval()


def test_what_repeats_others_is_left_out_and_nothing_is_lost() -> None:
    vgg = redundant_vgg()
    pruned = prune(vgg, (32, 32, 64, 64, 128), pictures(0), 1)
    widths = [layer.out_channels for layer in pruned.features if isinstance(layer, torch.nn.Conv2d)]
    assert widths == [32, 32, 64, 64, 128]
    unseen = pictures(9)
    with torch.no_grad():
        whole, narrow = vgg(unseen), pruned(unseen)
    assert list(narrow) == list(ENCODER_LAYERS)
    for layer in ENCODER_LAYERS:
        wanted, found = (each[layer].transpose(0, 1).flatten(1) for each in (whole, narrow))
        # Every channel is one of those kept, by a factor.
        gram = found @ found.T
        made = wanted @ found.T @ torch.linalg.pinv(gram, hermitian=True, rtol=1e-5) @ found
        assert float((made - wanted).square().sum() / wanted.square().sum()) < 0.01, layer


def test_fewer_channels_are_fitted_to_make_up_for_what_is_left_out() -> None:
    torch.manual_seed(4)
    vgg = LossNetwork(ENCODER_LAYERS).eval()
    pruned = prune(vgg, (16, 32, 48, 64, 64), pictures(0), 1)
    again = prune(vgg, (16, 32, 48, 64, 64), pictures(0), 1)
    for name, weight in pruned.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])
    unseen = pictures(9)
    with torch.no_grad():
        whole, narrow = vgg(unseen)["relu2_2"], pruned(unseen)["relu2_2"]
        # Which of VGG's channels each is like best, and how much.
        ours, theirs = (each.transpose(0, 1).flatten(1) for each in (narrow, whole))
        apart = torch.cdist(ours, theirs).square().amin(dim=1)
        spread = (ours - ours.mean(dim=1, keepdim=True)).square().sum(dim=1)
    assert float(apart.sum() / spread.sum()) < 0.15


def test_columns_are_chosen_that_make_all_others() -> None:
    draw = torch.Generator().manual_seed(0)
    own = torch.randn(200, 3, generator=draw)
    # One that is nothing, three of their own, two made of these, and one that is a little more.
    sums = own @ torch.tensor([[0.3, 0.0], [0.3, 0.2], [0.0, 0.2]])
    more = 0.1 * torch.randn(200, 1, generator=draw)
    values = torch.cat([torch.zeros(200, 1), own, sums, more], dim=1)

    def left(number: int) -> float:
        chosen = most_telling(values, number)
        assert len(set(chosen)) == number
        assert chosen == sorted(chosen)
        base = values[:, chosen]
        made = base @ torch.linalg.lstsq(base, values).solution
        return float((values - made).square().sum())

    assert left(3) == pytest.approx(float(more.square().sum()), rel=0.1)
    assert left(4) < 1e-6
    # As many as there are, although four say it all.
    assert most_telling(values, 7) == list(range(7))
