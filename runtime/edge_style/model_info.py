"""What there is to know about a model file: `edge-style info`, without the printing."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_style.catalog import resolve
from edge_style.contract import ModelSpec
from edge_style.errors import ModelError
from edge_style.onnx_file import summarize
from edge_style.providers import AUTO, candidates, provider_named
from edge_style.session import Session
from edge_style.session_options import TensorInfo


@dataclass(frozen=True)
class ModelInfo:
    """What a model file is.

    Attributes:
        path, size_bytes: of the file.
        provider: on which it was loaded to see inputs and outputs.
        spec: what it says of itself, None for a foreign model.
        inputs, outputs: as onnxruntime sees them.
        operations: how often each operator occurs, most frequent first.
        parameters: numbers stored in the file.
    """

    path: Path
    size_bytes: int
    provider: str
    spec: ModelSpec | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operations: dict[str, int]
    parameters: int

    def gmacs(self, width_px: int, height_px: int) -> float | None:
        """Thousand millions of multiply-accumulates per frame of a size, None if not known."""
        if self.spec is None or not self.spec.macs_per_pixel:
            return None
        return self.spec.macs_per_pixel * width_px * height_px / 1e9

    def to_json(self, size_px: tuple[int, int]) -> dict[str, Any]:
        """As JSON values; `size_px` (width, height) is the size for the estimate."""
        return {
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "provider": self.provider,
            "follows_contract": self.spec is not None,
            "inputs": [asdict(info) for info in self.inputs],
            "outputs": [asdict(info) for info in self.outputs],
            "operations": self.operations,
            "parameters": self.parameters,
            "size": f"{size_px[0]}x{size_px[1]}",
            "gmacs": self.gmacs(*size_px),
            "metadata": None if self.spec is None else asdict(self.spec),
        }


def inspect(model: str, provider: str) -> ModelInfo:
    """Find a model and look into it. Any ONNX model will do, not networks for pictures only.

    Raises:
        ModelNotFoundError, ModelError: there is none, or it is damaged.
        ProviderError: the provider that was asked for cannot load it.
    """
    chosen = candidates(provider)[0]
    path = resolve(model, chosen.name)
    summary = summarize(path)
    # With auto the question is what the file holds, which any provider answers.
    session = Session(path, provider_named("cpu") if provider.lower() == AUTO else chosen)
    try:
        spec = ModelSpec.from_metadata(session.metadata)
    except ValueError as error:
        raise ModelError(f"'{path}' cannot be used: {error}") from error
    return ModelInfo(
        path=path,
        size_bytes=path.stat().st_size,
        provider=session.provider,
        spec=spec,
        inputs=session.inputs,
        outputs=session.outputs,
        operations=dict(summary.operations),
        parameters=(spec.parameters if spec else 0) or summary.parameters,
    )
