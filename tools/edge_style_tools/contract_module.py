"""A network inside the model contract: uint8 frames in, uint8 frames out."""

import torch
from torch import Tensor, nn


class ContractModule(nn.Module):
    """Wraps a network of the registry (RGB float frames [1, 3, H, W], 0..255, same scale out).

    Cast comes first and last, because TensorRT takes uint8 as network input and output alone.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, style: Tensor | None = None) -> Tensor:
        """Stylize `image`, uint8 [1, H, W, 3], RGB; the same shape and type come out.

        Args:
            image: the frame.
            style: float32 [S], weights over the network's styles, if it knows several.
        """
        frames = image.to(torch.float32).permute(0, 3, 1, 2)
        weights = () if style is None else (style.unsqueeze(0),)
        stylized = self.network(frames, *weights)[:, :, : image.shape[1], : image.shape[2]]
        levels = torch.round(stylized.float().clamp(0.0, 255.0))
        return levels.permute(0, 2, 3, 1).to(torch.uint8)
