"""The picture that styles are tried on: dead leaves, which have what photos have."""

from functools import cache

import torch
from torch import Tensor

from edge_style_training.dead_leaves import dead_leaves

SIDE_PX = 320
_SEED = 0


@cache
def reference_picture() -> Tensor:
    """uint8 [1, 3, 320, 320], RGB: the same always."""
    picture = torch.from_numpy(dead_leaves(SIDE_PX, _SEED))
    return picture.permute(2, 0, 1).unsqueeze(0).contiguous()
