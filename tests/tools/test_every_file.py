"""What holds for every exported file, of whatever network in whatever precision."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_style.contract import MAX_IR_VERSION, MAX_OPSET, PRECISIONS
from edge_style_tools.photos import made_photo

KINDS = ("lean", "johnson", "lengstrom", "foreign")
SIZES_PX = ((16, 16), (17, 31), (480, 640), (1080, 1920), (17, 31), (17, 31))

Export = Callable[[str, str], Path]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_file_is_valid_and_runs_at_every_size(
    exported_file: Export, kind: str, precision: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = exported_file(kind, precision)
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    assert [(entry.domain, entry.version <= MAX_OPSET) for entry in model.opset_import] == [
        ("", True)
    ]
    assert model.ir_version <= MAX_IR_VERSION
    readers = {node.op_type for node in model.graph.node if "image" in node.input}
    # int8 files are for CPUs and keep frames as bytes.
    assert readers <= ({"Shape", "Transpose"} if precision == "int8" else {"Cast"})
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pictures = []
    for height, width in SIZES_PX:
        photo = np.resize(made_photo(1, 60, 80), (height, width, 3))
        (picture,) = session.run(None, {"image": photo[None]})
        assert picture.dtype == np.uint8
        assert picture.shape == (1, height, width, 3)
        assert picture.std() > 3
        pictures.append(picture)
    # A run leaves nothing behind that changes the next.
    assert np.array_equal(pictures[1], pictures[4])
    assert np.array_equal(pictures[4], pictures[5])
    assert capfd.readouterr().err == ""
