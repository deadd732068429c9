"""Models of every kind, through `Stylizer`."""

import sys

import numpy as np
import onnx
import pytest

from edge_style import Stylizer
from edge_style.errors import ImageError, MissingExtraError, ModelError, ProviderError, UsageError
from edge_style.providers import Provider, table

from .conftest import make_rgb

SIZES = [(64, 48), (17, 31)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["negative", "negative16", "foreign_255", "foreign_1"])
def test_dynamic_models_invert_exactly(models, name, size):
    rgb = make_rgb(*size)
    result = Stylizer.load(models / f"{name}.onnx", provider="cpu")(rgb)
    np.testing.assert_array_equal(result, 255 - rgb)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous


def test_what_a_contract_model_says_of_itself(models):
    stylizer = Stylizer.load(models / "negative16.onnx")
    assert (stylizer.name, stylizer.precision, stylizer.provider) == ("negative16", "fp16", "cpu")
    assert stylizer.spec.painting == "Negative"
    assert stylizer.description == "negative16.onnx on cpu"


def test_what_is_known_of_a_foreign_model(models):
    stylizer = Stylizer.load(models / "foreign_1.onnx")
    assert (stylizer.name, stylizer.precision) == ("foreign_1", "fp32")
    assert stylizer.spec.contract_version == 0


@pytest.mark.parametrize("model", ["fixed.onnx", "foreign_fixed.onnx"])
@pytest.mark.parametrize("size", [*SIZES, (200, 100)])
def test_fixed_size_model_gives_back_the_frames_size(models, size, model):
    rgb = make_rgb(*size)
    result = Stylizer.load(models / model)(rgb)
    assert result.shape == rgb.shape
    assert abs(result.astype(int) - (255 - rgb)).mean() < 4


@pytest.mark.parametrize("model", ["fixed.onnx", "foreign_fixed.onnx"])
def test_fixed_size_model_refuses_another_size(models, model):
    Stylizer.load(models / model, size=(64, 48))
    with pytest.raises(UsageError, match="64x48 only, not at 32x32: give --size 64x48"):
        Stylizer.load(models / model, size=(32, 32))


def test_signed_range_and_channels_last(models):
    rgb = make_rgb(64, 48)
    expected = 127.5 * (1 - np.tanh(8 * (rgb / 127.5 - 1)))
    result = Stylizer.load(models / "foreign_signed.onnx")(rgb)
    assert abs(result - expected).max() <= 1


@pytest.mark.parametrize("size", [(64, 48), (33, 49)])
def test_network_with_a_stride_runs_at_odd_sizes(models, size):
    rgb = make_rgb(*size)
    result = Stylizer.load(models / "foreign_strided.onnx")(rgb)
    assert result.shape == rgb.shape
    assert abs(result.astype(int) - (255 - rgb)).mean() < 4


@pytest.mark.parametrize("halvings", [6, 8])
def test_networks_that_halve_their_input_often_run_at_every_size(models, tmp_path, halvings):
    """As pix2pix' and CycleGAN's generators do, six times or eight."""
    model = onnx.load(models / "foreign_strided.onnx")
    stride = 2**halvings
    pool = next(node for node in model.graph.node if node.op_type == "AveragePool")
    for attribute in pool.attribute:
        attribute.ints[:] = [stride, stride]
    scales = next(tensor for tensor in model.graph.initializer if tensor.name == "scales")
    scales.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 1, stride, stride], "f4"), "scales"))
    onnx.save(model, tmp_path / "deep.onnx")
    rgb = make_rgb(300, 210)
    result = Stylizer.load(tmp_path / "deep.onnx")(rgb).astype(int)
    assert result.shape == rgb.shape
    # Half of the negative is the picture's own, the rest the mean of large squares.
    assert abs(np.corrcoef(result.ravel(), rgb.ravel())[0, 1] + 1) < 0.2


def test_a_network_that_runs_at_no_size_is_one_line(models, tmp_path):
    model = onnx.load(models / "foreign_strided.onnx")
    for node in model.graph.node:
        if node.op_type == "Resize":
            node.input[0] = "x"
    onnx.save(model, tmp_path / "broken.onnx")
    with pytest.raises(ModelError, match=r"broken.onnx' failed with x \[1, 3, 96, 96\]"):
        Stylizer.load(tmp_path / "broken.onnx")


def test_many_styles_are_blended(models):
    stylizer = Stylizer.load(models / "many.onnx")
    rgb = make_rgb(64, 48)
    assert stylizer.styles == ("plain", "negative", "night")
    np.testing.assert_array_equal(stylizer(rgb), rgb)
    np.testing.assert_array_equal(stylizer(rgb, [0, 1, 0]), 255 - rgb)
    np.testing.assert_array_equal(stylizer(rgb, np.array([0, 0, 1], np.float32)), rgb * 0)
    blended = stylizer(rgb, [0.5, 0.5, 0])
    assert set(np.unique(blended)) <= {127, 128}


@pytest.mark.parametrize("weights", [[1, 0], [[1, 0, 0]], [1, 0, float("nan")]])
def test_style_weights_that_do_not_fit(models, weights):
    with pytest.raises(UsageError, match="3 finite style weights"):
        Stylizer.load(models / "many.onnx")(make_rgb(64, 48), weights)


def test_one_style_takes_no_weights(models):
    with pytest.raises(UsageError, match="one style only"):
        Stylizer.load(models / "negative.onnx")(make_rgb(64, 48), [1.0])


@pytest.mark.parametrize("name", ["negative", "foreign_1"])
def test_size_is_where_the_network_runs_and_what_comes_out(models, name):
    stylizer = Stylizer.load(models / f"{name}.onnx", size=(64, 48))
    for size in [(64, 48), (128, 96), (30, 90)]:
        assert stylizer(make_rgb(*size)).shape == (48, 64, 3)
    prepared = stylizer.prepare(make_rgb(128, 96))
    assert 128 not in prepared.shape


def test_stages_do_what_the_call_does(models):
    stylizer = Stylizer.load(models / "foreign_255.onnx")
    rgb = make_rgb(50, 40)
    staged = stylizer.finish(stylizer.infer(stylizer.prepare(rgb)), rgb)
    np.testing.assert_array_equal(staged, stylizer(rgb))


def test_frame_is_left_as_it_was(models):
    rgb = make_rgb(64, 48)
    rgb.setflags(write=False)
    Stylizer.load(models / "negative.onnx")(rgb)
    np.testing.assert_array_equal(rgb, make_rgb(64, 48))


@pytest.mark.parametrize(
    "frame", [make_rgb(15, 64), make_rgb(64, 48)[..., 0], make_rgb(64, 48).astype(np.float32)]
)
def test_frames_that_are_none(models, frame):
    with pytest.raises(ImageError):
        Stylizer.load(models / "negative.onnx")(frame)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("classifier", r"expected an image network.*got input x float32 \[1, 4\]"),
        ("violating", r"violates the model contract.*got image float32 \[1, 3, H, W\]"),
        ("encoder", "has the role 'encoder'"),
    ],
)
def test_models_that_are_refused(models, name, message):
    with pytest.raises(ModelError, match=message):
        Stylizer.load(models / f"{name}.onnx")


def test_newer_contract_is_refused(models, tmp_path):
    data = (models / "negative.onnx").read_bytes()
    key = b"edge_style.contract_version\x12\x01"
    assert key + b"1" in data
    (tmp_path / "new.onnx").write_bytes(data.replace(key + b"1", key + b"9"))
    with pytest.raises(ModelError, match=r"model contract 9.*update edge-style"):
        Stylizer.load(tmp_path / "new.onnx")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "a/../../b", "C:\\w.bin"])
def test_weights_from_outside_the_models_folder_are_refused(models, tmp_path, location):
    (tmp_path / "evil.onnx").write_bytes(with_external_data(location))
    with pytest.raises(ModelError, match="outside its own folder"):
        Stylizer.load(tmp_path / "evil.onnx")


def with_external_data(location: str) -> bytes:
    """A model, byte by byte, whose one tensor lies in another file."""

    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    entry = field(1, b"location") + field(2, location.encode())
    tensor = b"\x08\x03\x10\x01" + field(8, b"w") + field(13, entry) + b"\x70\x01"
    return field(7, field(5, tensor))


def test_foreign_provider_that_takes_nothing_is_an_error(models, monkeypatch):
    # onnxruntime lists this one everywhere, and lets the CPU do all the work.
    idle = Provider("cuda", "AzureExecutionProvider", "test", "test")
    monkeypatch.setattr(table, "PROVIDERS", (idle, table.PROVIDERS[-1]))
    with pytest.raises(ProviderError, match=r"'cuda' takes no operation of 'negative\.onnx'"):
        Stylizer.load(models / "negative.onnx", provider="cuda")


def test_auto_goes_on_and_tells_why(models, monkeypatch):
    idle = Provider("cuda", "AzureExecutionProvider", "test", "test")
    monkeypatch.setattr(table, "PROVIDERS", (idle, table.PROVIDERS[-1]))
    stylizer = Stylizer.load(models / "negative.onnx")
    assert stylizer.provider == "cpu"
    assert "takes no operation" in stylizer.notes[0]
    assert stylizer.notes[1].startswith("auto chose cpu at 640x480: cpu ")


@pytest.mark.parametrize("name", ["migraphx", "qnn", "dml"])
def test_providers_that_are_not_built_in(models, name):
    with pytest.raises(ProviderError, match=r"was built without it.*available: .*cpu"):
        Stylizer.load(models / "negative.onnx", provider=name)


def test_missing_onnxruntime_names_both_extras(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        MissingExtraError, match=r"pip install 'edge-style\[cpu\]' or 'edge-style\[gpu\]'"
    ):
        Stylizer.load(models / "negative.onnx")


def test_frames_of_a_known_size_are_planned_for(models) -> None:
    stylizer = Stylizer.load(models / "negative.onnx", provider="cpu", frame_px=(40, 24))
    frame = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    assert np.array_equal(stylizer(frame), 255 - frame)
    # A camera that changes its mind does not stop the show.
    assert stylizer(np.zeros((48, 80, 3), np.uint8)).shape == (24, 40, 3)
    # A model of fixed size goes on as it did.
    fixed = Stylizer.load(models / "foreign_fixed.onnx", provider="cpu", frame_px=(40, 24))
    assert fixed(frame).shape == frame.shape
