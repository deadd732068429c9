"""The registry of architectures. Adding a network is one module and one line here.

Every network is an `nn.Module` that maps RGB frames [N, 3, H, W], 0..255, to stylized frames of the
same scale, unclamped, whose height and width are those of the input rounded up to the network's
`stride_px`: export crops and clamps. `any` takes the style's code beside them. The configuration
that builds it is kept in the checkpoint.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from edge_style.errors import WeightsError
from edge_style_training.networks.any_style import AnyStyleConfig, AnyStyleNet
from edge_style_training.networks.johnson import TransformerNet
from edge_style_training.networks.lean import LeanConfig, LeanNet


def _johnson(**config: Any) -> nn.Module:
    if config:
        raise TypeError(f"unexpected {sorted(config)}")
    return TransformerNet()


def _with_tuples(config: Mapping[str, Any]) -> dict[str, Any]:
    # TOML and checkpoints know lists only.
    return {key: tuple(each) if isinstance(each, list) else each for key, each in config.items()}


def _lean(**config: Any) -> nn.Module:
    return LeanNet(LeanConfig(**_with_tuples(config)))


def _any(**config: Any) -> nn.Module:
    return AnyStyleNet(AnyStyleConfig(**config))


# Forty times the full-size network's. What a file claims about its network costs nothing to write.
_MOST_WEIGHTS = 1 << 26

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "any": _any,
    "johnson": _johnson,
    "lean": _lean,
}


def complete_settings(architecture: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with everything that it leaves to defaults, which may be others one day.

    Raises:
        WeightsError: of a network for any style, it has a setting that cannot be.
    """
    if architecture == "any":
        transformer = vars(AnyStyleConfig.of(config).lean)
        given = {key: transformer[key] for key in transformer if key not in {"styles", "styled_at"}}
        return {**vars(AnyStyleConfig()), **config, "transformer": given}
    defaults = vars(LeanConfig()) if architecture == "lean" else {}
    return _with_tuples({**defaults, **config})


def build_network(architecture: str, config: Mapping[str, Any] | None = None) -> nn.Module:
    """A network with fresh weights.

    Args:
        architecture: a key of `ARCHITECTURES`.
        config: the architecture's own settings; defaults where missing.

    Raises:
        WeightsError: no such architecture, a setting that it does not have, or one that makes it
            far larger than any style network: no memory is taken for that.
    """
    if architecture not in ARCHITECTURES:
        raise WeightsError(
            f"unknown architecture {architecture!r}: there are {', '.join(ARCHITECTURES)}"
        )
    build = ARCHITECTURES[architecture]
    try:
        with torch.device("meta"):
            claimed = sum(weight.numel() for weight in build(**(config or {})).parameters())
        if claimed > _MOST_WEIGHTS:
            raise ValueError(
                f"it would have {claimed / 1e6:,.0f} million weights, too many for a style network"
            )
        return build(**(config or {}))
    except (TypeError, ValueError) as error:
        raise WeightsError(f"architecture {architecture!r} cannot be built: {error}") from error
