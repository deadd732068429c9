"""What an `.onnx` file holds, read from its bytes: the runtime does without the onnx package.

An `.onnx` file is a protocol buffer, whose fields say their own length, so that a reader can skip
what it does not know. The field numbers are those of onnx.proto.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from edge_style.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_MODEL_GRAPH = 7
_MODEL_METADATA = 14
_MODEL_FUNCTION = 25
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_FUNCTION_NODE = 7
_NODE_OP_TYPE, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_DIMS, _TENSOR_EXTERNAL_DATA = 1, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_NOTHING = memoryview(b"")

_Field: TypeAlias = "tuple[int, int | memoryview]"


@dataclass(frozen=True)
class FileSummary:
    """What an `.onnx` file holds.

    Attributes:
        operations: how often each operator occurs, most frequent first.
        parameters: numbers in all stored tensors.
        external_data: files, relative to the model's folder, that hold its weights.
        metadata: its `metadata_props`.
        sha256: of the file's bytes.
    """

    operations: Mapping[str, int]
    parameters: int
    external_data: tuple[str, ...]
    metadata: Mapping[str, str]
    sha256: str


def summarize(path: Path) -> FileSummary:
    """Read what an `.onnx` file says of itself, without preparing it to run.

    Raises:
        ModelError: the file cannot be read, is truncated or no ONNX model, or takes weights from
            outside its own folder.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read '{path}': {error.strerror or error}") from error
    reader = _Reader()
    try:
        graphs = reader.model(memoryview(data))
    except (IndexError, ValueError, RecursionError) as error:
        raise not_onnx(path) from error
    if not graphs:
        raise not_onnx(path)
    external_data = tuple(sorted(reader.external_data))
    for location in external_data:
        if _leaves_folder(location):
            raise ModelError(
                f"'{path}' takes weights from '{location}', outside its own folder: refused"
            )
    return FileSummary(
        dict(reader.operations.most_common()),
        reader.parameters,
        external_data,
        reader.metadata,
        hashlib.sha256(data).hexdigest(),
    )


def file_sha256(path: Path) -> str:
    """Checksum of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read '{path}': {error.strerror or error}") from error


def not_onnx(path: Path) -> ModelError:
    """The error for a file that is none, or only a part of one."""
    return ModelError(f"'{path}' is not an ONNX model: truncated, or another kind of file")


def _leaves_folder(location: str) -> bool:
    # Both kinds of path on every system: what is harmless here may be followed elsewhere.
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    return (
        posix.is_absolute() or bool(windows.anchor) or ".." in posix.parts or ".." in windows.parts
    )


class _Reader:
    """Walks a model and collects what the summary tells."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.parameters = 0
        self.external_data: set[str] = set()
        self.metadata: dict[str, str] = {}

    def model(self, data: memoryview) -> int:
        """Returns the number of graphs: a file without one is no model."""
        graphs = 0
        for number, value in _fields(data):
            if number == _MODEL_GRAPH:
                self._graph(_message(value))
                graphs += 1
            elif number == _MODEL_METADATA:
                key, text = _entry(value)
                self.metadata[key] = text
            elif number == _MODEL_FUNCTION:
                for inner, node in _fields(_message(value)):
                    if inner == _FUNCTION_NODE:
                        self._node(_message(node))
        return graphs

    def _graph(self, data: memoryview) -> None:
        for number, value in _fields(data):
            if number == _GRAPH_NODE:
                self._node(_message(value))
            elif number == _GRAPH_INITIALIZER:
                self._tensor(_message(value))

    def _node(self, data: memoryview) -> None:
        for number, value in _fields(data):
            if number == _NODE_OP_TYPE:
                self.operations[_text(value)] += 1
            elif number == _NODE_ATTRIBUTE:
                for inner, attribute in _fields(_message(value)):
                    if inner in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                        self._tensor(_message(attribute))
                    elif inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                        self._graph(_message(attribute))

    def _tensor(self, data: memoryview) -> None:
        size = 1
        for number, value in _fields(data):
            if number == _TENSOR_DIMS:
                for dim in [value] if isinstance(value, int) else _varints(value):
                    size *= dim
            elif number == _TENSOR_EXTERNAL_DATA:
                key, text = _entry(value)
                if key == "location":
                    self.external_data.add(text)
        self.parameters += size


def _fields(data: memoryview) -> Iterator[_Field]:
    """The fields of one message; IndexError where it ends early, ValueError where it is none."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        if tag >> 3 == 0:
            raise ValueError("field number 0")
        if kind == _VARINT:
            number, position = _varint(data, position)
            yield tag >> 3, number
            continue
        if kind == _BYTES:
            length, position = _varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > len(data):
            raise IndexError("field longer than its message")
        yield tag >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("number too long")


def _varints(data: memoryview) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        yield value


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("expected a message, got a number")
    return value


def _entry(value: int | memoryview) -> tuple[str, str]:
    entry = dict(_fields(_message(value)))
    return _text(entry.get(_ENTRY_KEY, _NOTHING)), _text(entry.get(_ENTRY_VALUE, _NOTHING))


def _text(value: int | memoryview) -> str:
    return _message(value).tobytes().decode("utf-8", "replace")
