"""What is computed otherwise on a CPU, beside PyTorch's own."""

import platform
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training import quick_cpu
from edge_style_training.losses import gram_matrix
from edge_style_training.quick_cpu import FrozenConvolution, MaxPooling
from edge_style_training.vgg import LossNetwork

needs_nnpack = pytest.mark.skipif(
    not torch._nnpack_available(), reason="this PyTorch is built without NNPACK"
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def convolutions(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Winograd's are taken, whatever is quicker here; the pictures that they were given."""
    pictures: list[Tensor] = []
    convolve = quick_cpu._convolve

    def seen(picture: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        pictures.append(picture)
        return convolve(picture, weight, bias)

    monkeypatch.setattr(quick_cpu, "winograd_is_quicker", lambda: True)
    monkeypatch.setattr(quick_cpu, "_convolve", seen)
    return pictures


def frozen(channels: int, width: int) -> FrozenConvolution:
    torch.manual_seed(1)
    convolution = FrozenConvolution(channels, width)
    convolution.requires_grad_(False)
    return convolution


@needs_nnpack
@pytest.mark.parametrize(
    "shape", [(1, 3, 40, 33), (3, 16, 13, 24), (1, 64, 1, 1), (2, 5, 2, 50)], ids=str
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_convolutions_by_winograd_are_the_direct_ones(
    convolutions: list[Tensor], shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    convolution = frozen(shape[1], 24)
    pictures = [
        random(*shape).contiguous(memory_format=memory_format).requires_grad_() for _ in range(2)
    ]
    results = convolution(pictures[0]), nn.Conv2d.forward(convolution, pictures[1])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)
    pull = random(*results[0].shape, seed=2)
    gradients = [
        torch.autograd.grad(result, picture, pull)[0]
        for result, picture in zip(results, pictures, strict=True)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    assert len(convolutions) == 2  # there and back


@needs_nnpack
def test_other_convolutions_are_left_to_pytorch(convolutions: list[Tensor]) -> None:
    trained = FrozenConvolution(3, 8)
    trained(random(1, 3, 16, 16)).sum().backward()
    assert trained.weight.grad is not None
    exact = frozen(3, 8).double()
    assert exact(random(1, 3, 16, 16).double()).dtype == torch.float64
    assert frozen(3, 8)(random(0, 3, 16, 16)).shape == (0, 8, 16, 16)
    assert not convolutions


def test_an_export_finds_plain_convolutions_and_pooling(convolutions: list[Tensor]) -> None:
    network = nn.Sequential(frozen(3, 8), MaxPooling()).eval()
    graph = torch.export.export(network, (random(1, 3, 16, 16),)).graph
    called = {str(node.target) for node in graph.nodes if node.op == "call_function"}
    assert {name.split(".")[1] for name in called} == {"conv2d", "max_pool2d"}
    assert not convolutions


@needs_nnpack
@pytest.mark.parametrize("winograd_ms", [1, 9])
def test_the_quicker_convolution_is_taken(
    monkeypatch: pytest.MonkeyPatch, winograd_ms: int
) -> None:
    now = 0.0

    def convolve(picture: Tensor, *_: object) -> Tensor:
        nonlocal now
        now += winograd_ms / 1000
        return picture

    def conv2d(picture: Tensor, *_: object, **__: object) -> Tensor:
        nonlocal now
        now += 0.005
        return picture

    monkeypatch.setattr(quick_cpu.time, "perf_counter", lambda: now)
    monkeypatch.setattr(quick_cpu, "_convolve", convolve)
    monkeypatch.setattr(F, "conv2d", conv2d)
    assert quick_cpu.winograd_is_quicker.__wrapped__() is (winograd_ms < 5)


def test_maxima_are_pytorchs() -> None:
    pooling = MaxPooling()
    for height, width in ((8, 8), (7, 10), (2, 3)):
        pictures = random(2, 3, height, width)
        assert torch.equal(pooling(pictures), F.max_pool2d(pictures, 2))
        pictures.requires_grad_()
        pooling(pictures).sum().backward()
        assert pictures.grad is not None
        assert int(pictures.grad.sum()) == 2 * 3 * (height // 2) * (width // 2)
    with pytest.raises(RuntimeError):  # as PyTorch: the loss network says what to do then
        pooling(random(1, 3, 1, 8))


def test_the_gradient_of_gram_matrices_is_that_of_their_formula() -> None:
    features = [random(2, 5, 6, 7).requires_grad_() for _ in range(2)]
    pull = random(2, 5, 5, seed=2)
    flat = features[1].flatten(2)
    literal = flat @ flat.transpose(1, 2) / (5 * 6 * 7)
    literal.backward(pull)
    gram_matrix(features[0]).backward(pull)
    torch.testing.assert_close(features[0].grad, features[1].grad)


@pytest.mark.parametrize("layer", ["conv1_2", "relu1_2"])
def test_what_a_loss_network_gives_is_not_overwritten(layer: str) -> None:
    torch.manual_seed(3)
    network = LossNetwork([layer, "relu2_1"])
    pictures = 255 * torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    x = pictures - network.get_buffer("mean")
    first, second = network.features[0], network.features[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    expected = second(first(x).relu())
    if layer == "relu1_2":
        expected = expected.relu()
    else:
        assert expected.min() < 0
    torch.testing.assert_close(network(pictures)[layer], expected)


_FAULTS = """
import resource, sys
import torch
from edge_style_training.quick_cpu import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
for step in range(30):  # where an aligned block fits in again shows after ten
    if step == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(1 << 24).fill_(1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to")
def test_freed_memory_is_kept() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", _FAULTS, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return int(done.stdout)

    # Of 64 MB ten times: 32 each time with pages of 2 MB, which some systems give unasked.
    assert faults("kept") < 100
    assert faults("given back") > 300


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_cpu.ctypes, "CDLL", lambda _: object())
    quick_cpu.keep_memory()
