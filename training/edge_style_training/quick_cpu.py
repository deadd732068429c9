"""What lets a CPU compute a loss network quicker: other algorithms, same results.

Direct convolutions, which PyTorch takes, multiply nine times for each weight of a 3x3 kernel.
Winograd's minimal filtering (Lavin and Gray 2015, arXiv 1509.09308) multiplies 64 times for 36
places, so 1.8 times each, and is exact up to rounding. PyTorch has it, in NNPACK, and does not take
it for single pictures by itself. Where the processor has AVX2 alone it takes little more than half
the time, where it multiplies by AVX512 it may be slower: which is quicker is tried.
"""

import ctypes
import time
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Of <malloc.h>: how many blocks may come from the system one by one.
_M_MMAP_MAX = -4
# And how much has to be free at the end of the heap for it to be given back.
_M_TRIM_THRESHOLD = -1
_LARGEST_INT = 2**31 - 1

_TRIED_PX = 96
_TRIED_CHANNELS = 128
_TRIALS = 3


def keep_memory() -> None:
    """Have freed memory kept for what comes next, instead of given back to the system.

    A step of a training takes and frees the same tens of megabytes over and over. glibc gets such
    large blocks from the system one by one, which fills each with zeros, page by page: a fifth of a
    step on a CPU. Where the C library is another one nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # Windows has no library of that name
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT)


class FrozenConvolution(nn.Conv2d):
    """A 3x3 convolution with zeros around its input, whose weights are never trained."""

    def __init__(self, channels: int, width: int) -> None:
        """From `channels` to `width` channels, with random weights."""
        super().__init__(channels, width, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as torch calls it
        if not (self._can_winograd(input) and winograd_is_quicker()):
            return super().forward(input)
        result: Tensor = _Winograd.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call] # torch's own
        return result

    def _can_winograd(self, pictures: Tensor) -> bool:
        return (
            _is_at_hand(pictures)
            and self.weight.device.type == "cpu"
            and pictures.dtype == self.weight.dtype == torch.float32
            and not self.weight.requires_grad
            and len(pictures) > 0
        )


class MaxPooling(nn.MaxPool2d):
    """The maximum of 2x2 places; a last odd row or column is left out."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as torch calls it
        wants_gradient = torch.is_grad_enabled() and input.requires_grad
        is_simple = _is_at_hand(input) and input.is_contiguous() and min(input.shape[2:]) > 1
        if wants_gradient or not is_simple:
            pooled: Tensor = super().forward(input)
            return pooled
        # PyTorch's also finds where each maximum was, channel after channel, in ten times the time.
        height, width = (side // 2 * 2 for side in input.shape[2:])
        rows = torch.maximum(input[:, :, :height:2], input[:, :, 1:height:2])
        return torch.maximum(rows[..., :width:2], rows[..., 1:width:2])


def _is_at_hand(pictures: Tensor) -> bool:
    """On this processor, and not of an export to ONNX, which wants operators that ONNX has."""
    is_exported = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
    return pictures.device.type == "cpu" and not is_exported


@cache
def winograd_is_quicker() -> bool:
    """Whether this processor convolves a picture quicker so, by trying both."""
    if not torch._nnpack_available():  # which also makes it ready
        return False
    picture = torch.zeros(1, _TRIED_CHANNELS, _TRIED_PX, _TRIED_PX)
    weight = torch.zeros(_TRIED_CHANNELS, _TRIED_CHANNELS, 3, 3)
    direct, winograd = [], []
    with torch.no_grad():
        for _ in range(_TRIALS + 1):
            times = [time.perf_counter()]
            F.conv2d(picture, weight, padding=1)
            times.append(time.perf_counter())
            _convolve(picture, weight, None)
            times.append(time.perf_counter())
            direct.append(times[1] - times[0])
            winograd.append(times[2] - times[1])
    return min(winograd) < min(direct)


class _Winograd(torch.autograd.Function):
    """The convolution and its gradient by the input, which is one with the turned kernels."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, *given: Tensor | None) -> Tensor:
        pictures, weight, bias = given
        assert pictures is not None
        assert weight is not None
        ctx.save_for_backward(weight)
        return _convolve(pictures, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors  # type: ignore[attr-defined] # stubs lack it
        turned = weight.flip(2, 3).transpose(0, 1)
        return _convolve(gradients[0], turned, None), None, None


def _convolve(pictures: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    weight = weight.contiguous()
    # One by one: for batches NNPACK takes a slower way.
    each = [
        torch._nnpack_spatial_convolution(picture, weight, bias, [1, 1])
        for picture in torch.split(pictures.contiguous(), 1)
    ]
    return torch.cat(each) if len(each) > 1 else each[0]
