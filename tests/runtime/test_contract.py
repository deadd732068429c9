"""The model contract's metadata: what export writes is what the runtime reads."""

import pytest

from edge_style.contract import CONTRACT_VERSION, METADATA_PREFIX, ModelSpec

FULL = ModelSpec(
    name="starry",
    architecture="lean",
    precision="int8",
    role="photo",
    painting="The Starry Night",
    artist="Vincent van Gogh",
    year="1889",
    licence="public domain",
    source="https://example.org/starry",
    styles=("day", "nächste"),
    stride_px=4,
    parameters=123_456,
    macs_per_pixel=1234.5,
    operations={"Conv": 12},
    training={"steps": 2000, "weights": {"style": 1e10}},
    calibration={"frames": 64},
    scores={"style_loss": 1.5},
    checkpoint_sha256="ab" * 32,
    tool_versions={"torch": "2.9"},
    verified_providers=("cpu",),
)


@pytest.mark.parametrize("spec", [FULL, ModelSpec("a", "lean", "fp16")])
def test_round_trip(spec):
    metadata = spec.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert ModelSpec.from_metadata(metadata) == spec


def test_other_files_and_unknown_keys():
    assert ModelSpec.from_metadata({"author": "someone"}) is None
    metadata = FULL.to_metadata() | {METADATA_PREFIX + "mood": "blue", "author": "someone"}
    assert ModelSpec.from_metadata(metadata) == FULL


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("contract_version", str(CONTRACT_VERSION + 1), "update edge-style"),
        ("contract_version", '"one"', "should be a number"),
        ("precision", "fp8", "unknown precision"),
        ("role", "singer", "unknown precision or role"),
        ("styles", '"day"', "should be a list"),
        ("operations", "[1]", "should be an object"),
        ("scores", "{", "not JSON"),
    ],
)
def test_malformed_metadata(key, value, message):
    with pytest.raises(ValueError, match=message):
        ModelSpec.from_metadata(FULL.to_metadata() | {METADATA_PREFIX + key: value})


def test_missing_keys():
    metadata = FULL.to_metadata()
    del metadata[METADATA_PREFIX + "name"]
    with pytest.raises(ValueError, match="lacks name"):
        ModelSpec.from_metadata(metadata)
