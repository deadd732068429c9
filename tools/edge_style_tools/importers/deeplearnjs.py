"""Checkpoint folders of deeplearn.js and ml5: `manifest.json` and one raw file per variable.

The files hold little-endian float32. Convolution weights are [height, width, in, out], those of
transposed convolutions [height, width, out, in]. Variable 3n is the weights of convolution n,
3n + 1 the shift and 3n + 2 the scale of its normalization.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_style.errors import CheckpointError
from edge_style_tools.importers.lengstrom import LengstromNet

MANIFEST = "manifest.json"
_LARGEST_MANIFEST_BYTES = 1 << 20


def read(folder: Path) -> tuple[LengstromNet, str]:
    """The network in `folder`, and the sha256 of its variables.

    No file outside the folder is opened, and none that is larger than the network's own variable.

    Raises:
        CheckpointError: no manifest, a damaged one, or variables of another network.
    """
    manifest = _read_manifest(folder)
    network = LengstromNet()
    digest = hashlib.sha256()
    layers = network.layers()
    if len(manifest) != 3 * len(layers):
        first = ", ".join(sorted(manifest)[:3])
        raise CheckpointError(
            f"{folder} has {len(manifest)} variables ({first}, ...), expected the "
            f"{3 * len(layers)} of lengstrom's fast-style-transfer network"
        )
    for index, layer in enumerate(layers):
        conv, norm = layer.conv, layer.norm
        # [kernel, kernel, in, out] or, transposed, [kernel, kernel, out, in]: reversed in PyTorch.
        targets = (conv.weight.data.permute(2, 3, 1, 0), norm.bias.data, norm.weight.data)
        for offset, target in enumerate(targets):
            values = _read_variable(folder, manifest, 3 * index + offset, target)
            digest.update(values.tobytes())
            target.copy_(torch.from_numpy(values))
    return network.eval(), digest.hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {MANIFEST}, so it is no checkpoint of ml5")
    if path.stat().st_size > _LARGEST_MANIFEST_BYTES:
        raise CheckpointError(f"{path} is too large for a manifest")
    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON") from error
    if not isinstance(manifest, dict):
        raise CheckpointError(f"{path} should list variables by name")
    return manifest


def _read_variable(
    folder: Path, manifest: dict[str, Any], number: int, target: Tensor
) -> "np.ndarray[Any, np.dtype[np.float32]]":
    name = f"Variable_{number}" if number else "Variable"
    entry = manifest.get(name)
    if not isinstance(entry, dict):
        raise CheckpointError(f"{folder / MANIFEST} lacks '{name}'")
    if entry.get("shape") != list(target.shape):
        raise CheckpointError(
            f"'{name}' in {folder} is {entry.get('shape')}, expected {list(target.shape)}"
        )
    file_name = entry.get("filename")
    path = folder / str(file_name)
    # Links are followed here: what they point at must be in the folder too.
    inside = path.resolve().parent == folder.resolve()
    if not isinstance(file_name, str) or not inside or not path.is_file():
        raise CheckpointError(
            f"'{name}' in {folder} names the file '{file_name}': not in the folder"
        )
    if path.stat().st_size != 4 * target.numel():
        raise CheckpointError(
            f"{path} has {path.stat().st_size} bytes, expected {4 * target.numel()}"
        )
    values = np.fromfile(path, dtype="<f4").astype(np.float32).reshape(tuple(target.shape))
    if not np.isfinite(values).all():
        raise CheckpointError(f"{path} holds values that are not finite")
    return values
