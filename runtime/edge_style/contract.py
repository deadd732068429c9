"""The model contract: what an `.onnx` file must look like, and what it says of itself.

Export writes it into the file, the runtime reads it back. Standard library only, because training,
tools and runtime all stand on it. `exported/README.md` explains it for people who write models.

    image     uint8 [1, H, W, 3], RGB, 0..255; H and W dynamic, 16 pixels or more
    style     optional, float32 [S]: weights over the S styles of a many-style network, or the
              code of a style, which the encoder that belongs to the file has as its output
    stylized  uint8 [1, H, W, 3], RGB, 0..255; the size of `image`

Normalization of the input, padding to the network's stride, clamping, rounding and cropping are
part of the graph.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, cast, get_args

CONTRACT_VERSION = 1

INPUT_NAME = "image"
STYLE_INPUT_NAME = "style"
OUTPUT_NAME = "stylized"
HEIGHT_DIM = "H"
WIDTH_DIM = "W"
CHANNELS = 3
MIN_SIDE_PX = 16

MAX_OPSET = 20
MAX_IR_VERSION = 10

METADATA_PREFIX = "edge_style."

Role: TypeAlias = Literal["transformer", "encoder", "photo"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8"]

ROLES: tuple[Role, ...] = get_args(Role)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

# Largest differences from PyTorch that an export may have, in 8-bit levels, per precision:
# (anywhere, mean). fp16 may differ more at single pixels, where an edge tips over.
TOLERANCE_LEVELS: dict[Precision, tuple[float, float]] = {"fp32": (2, 0.5), "fp16": (64, 1)}


@dataclass(frozen=True)
class ModelSpec:
    """What a model file says of itself; all but name, architecture and precision may be empty.

    Attributes:
        name: what users type after `--model`, and the file's stem: `starry`.
        architecture: key in the training package's registry of networks: `lean`.
        precision: of the weights and convolutions.
        role: `transformer` turns frames into stylized frames, `encoder` turns a painting into
            another file's `style`, `photo` is a photorealistic transformer.
        contract_version: of this contract.
        painting, artist, year, licence, source: of the painting, for the credits.
        styles: names of the S styles of a many-style network, in the order of its `style` input.
        code_length: S, where `style` is a code: of a transformer that takes one, and of the encoder
            that gives it. Both then have the same `checkpoint_sha256`. Codes blend as weights do.
        picture_px: of an encoder, the short side at which it looks at pictures, 0 for 256.
        stride_px: the network pads its input to a multiple of this.
        parameters: number of weights.
        macs_per_pixel: multiply-accumulates of the convolutions per pixel of the frame.
        operations: how often each ONNX operator occurs.
        training, calibration: settings, as JSON values.
        scores: losses and differences measured at export or evaluation.
        checkpoint_sha256: of the checkpoint that was exported.
        tool_versions: package -> version, of what wrote the file.
        verified_providers: execution providers on which export compared the file with PyTorch.
    """

    name: str
    architecture: str
    precision: Precision
    role: Role = "transformer"
    contract_version: int = CONTRACT_VERSION
    painting: str = ""
    artist: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""
    styles: tuple[str, ...] = ()
    code_length: int = 0
    picture_px: int = 0
    stride_px: int = 1
    parameters: int = 0
    macs_per_pixel: float = 0.0
    operations: Mapping[str, int] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    checkpoint_sha256: str = ""
    tool_versions: Mapping[str, str] = field(default_factory=dict)
    verified_providers: tuple[str, ...] = ()

    def to_metadata(self) -> dict[str, str]:
        """The spec as ONNX `metadata_props`: prefixed keys, text as it is, the rest as JSON."""
        metadata = {}
        for spec_field in fields(self):
            value = getattr(self, spec_field.name)
            if value or spec_field.name == "contract_version":
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                metadata[METADATA_PREFIX + spec_field.name] = text
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ModelSpec | None":
        """Read `metadata_props` back; None if the file does not claim to follow this contract.

        Unknown keys are ignored, so that a newer writer's additions do no harm.

        Raises:
            ValueError: a key is missing or malformed, or the contract version is a newer one.
        """
        if METADATA_PREFIX + "contract_version" not in metadata:
            return None
        values: dict[str, Any] = {}
        for spec_field in fields(cls):
            text = metadata.get(METADATA_PREFIX + spec_field.name)
            if text is not None:
                values[spec_field.name] = _parse(spec_field.name, text)
        missing = {"name", "architecture", "precision"} - values.keys()
        if missing:
            raise ValueError(f"metadata lacks {', '.join(sorted(missing))}")
        if values["contract_version"] > CONTRACT_VERSION:
            raise ValueError(
                f"the file follows model contract {values['contract_version']}, "
                f"this program knows {CONTRACT_VERSION}: update edge-style"
            )
        if values["precision"] not in PRECISIONS or values.get("role", "transformer") not in ROLES:
            raise ValueError("metadata has an unknown precision or role")
        return cls(**values)


_TEXT_FIELDS = frozenset(
    {
        "name",
        "architecture",
        "precision",
        "role",
        "painting",
        "artist",
        "year",
        "licence",
        "source",
        "checkpoint_sha256",
    }
)
_TUPLE_FIELDS = frozenset({"styles", "verified_providers"})
_NUMBER_FIELDS = frozenset(
    {"contract_version", "code_length", "picture_px", "stride_px", "parameters", "macs_per_pixel"}
)


def _parse(name: str, text: str) -> Any:
    if name in _TEXT_FIELDS:
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"metadata {name!r} is not JSON: {text[:40]!r}") from error
    if name in _TUPLE_FIELDS:
        if not isinstance(value, list):
            raise ValueError(f"metadata {name!r} should be a list, not {text[:40]!r}")
        return tuple(str(item) for item in value)
    if name in _NUMBER_FIELDS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"metadata {name!r} should be a number, not {text[:40]!r}")
        return value
    if not isinstance(value, dict):
        raise ValueError(f"metadata {name!r} should be an object, not {text[:40]!r}")
    return cast("dict[str, Any]", value)
