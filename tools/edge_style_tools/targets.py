"""Can an engine take a file? By trying where the engine is at hand, by table where it is not.

What onnxruntime's accelerators do not take runs on the CPU. At either end of a network (uint8 to
float and back) that costs little; between two convolutions it splits the network, and every frame
travels to the CPU and back: a file that is split counts as not taken. TensorRT is held to its own
parser, for those who build engines without onnxruntime.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from edge_style.contract import MAX_IR_VERSION, MAX_OPSET
from edge_style.errors import ModelError, ProviderError, UsageError
from edge_style.providers import available, provider_named
from edge_style.session import Session
from edge_style_tools.target_rules import RULES, Graph, attributes
from edge_style_tools.target_tables import TENSORRT_OPSETS

TARGETS = ("cpu", "cuda", "tensorrt", "coreml", "web")

_TRIAL_SIZES_PX = ((17, 31), (16, 16))


@dataclass(frozen=True)
class Obstacle:
    """An operator, or the file as such, that a target does not take.

    Attributes:
        operator: its name, with the mode where that matters: `Pad(edge)`; `file` for the file.
        count: how often it occurs.
        why: in words.
        blocks: whether the target cannot take the file because of it; else it is at either end of
            the network, where the CPU does it.
        remedy: option of `export` that avoids it; may be empty.
    """

    operator: str
    count: int
    why: str
    blocks: bool
    remedy: str = ""


@dataclass(frozen=True)
class TargetCheck:
    """What is known about a file on a target.

    Attributes:
        target: one of `TARGETS`.
        tried: whether it ran there; else the tables alone speak.
        obstacles: what it does not take.
        error: what it said when it could not run the file.
    """

    target: str
    tried: bool
    obstacles: tuple[Obstacle, ...]
    error: str = ""

    @property
    def takes(self) -> bool:
        """Whether the target takes the file."""
        return not self.error and not any(obstacle.blocks for obstacle in self.obstacles)


class TargetError(ModelError):
    """A target that was asked for cannot take the file.

    Attributes:
        checks: of all targets that were asked for.
    """

    def __init__(
        self, checks: Sequence[TargetCheck], consequence: str = "", what: str = "the file"
    ) -> None:
        self.checks = tuple(checks)
        failed = [check for check in checks if not check.takes]
        found = "; ".join(f"{check.target} {_summary(check, what)}" for check in failed)
        remedies = dict.fromkeys(
            obstacle.remedy
            for check in failed
            for obstacle in check.obstacles
            if obstacle.blocks and obstacle.remedy
        )
        advice = f"; try {' '.join(remedies)}" if remedies else ""
        super().__init__(found + advice + consequence)


def require_targets(names: Sequence[str]) -> tuple[str, ...]:
    """`names` as targets, in their order, each once.

    Raises:
        UsageError: there is no such target.
    """
    wanted = tuple(dict.fromkeys(name.strip().lower() for name in names))
    for name in wanted:
        if name not in TARGETS:
            raise UsageError(f"--check-for knows {', '.join(TARGETS)}, not '{name}'")
    return wanted


def check_file(path: Path, targets: Sequence[str]) -> tuple[TargetCheck, ...]:
    """What each target does not take of the `.onnx` file at `path`.

    Raises:
        ModelError: onnx cannot read the file.
    """
    try:
        graph = Graph(onnx.load(path))
    except Exception as error:  # protobuf's and onnx' errors have no narrower common base
        raise ModelError(f"cannot read '{path}': {type(error).__name__}") from error
    return tuple(_check(path, graph, target) for target in targets)


def _check(path: Path, graph: Graph, target: str) -> TargetCheck:
    obstacles = list(_file_obstacles(graph, target))
    rule = RULES.get(target)
    found: Counter[tuple[str, str, bool, str]] = Counter()
    for position, node in enumerate(graph.nodes) if rule else ():
        verdict = rule(node, graph) if rule else None
        if verdict is not None:
            # Outside onnxruntime there is no CPU to help out.
            blocks = position in graph.inside or target == "tensorrt"
            found[(_label(node), verdict[0], blocks, verdict[1])] += 1
    obstacles += [
        Obstacle(label, count, why, blocks, remedy)
        for (label, why, blocks, remedy), count in found.items()
    ]
    # The WebAssembly build has the CPU's kernels, and runs what WebGPU leaves.
    tried, error = _try(path, "cpu" if target == "web" else target)
    return TargetCheck(target, tried and target != "web", tuple(obstacles), error)


def _file_obstacles(graph: Graph, target: str) -> Sequence[Obstacle]:
    found = []
    if graph.opset > MAX_OPSET:
        found.append(f"opset {graph.opset}, later than the contract's {MAX_OPSET}")
    if graph.ir_version > MAX_IR_VERSION:
        found.append(f"IR version {graph.ir_version}, later than the contract's {MAX_IR_VERSION}")
    if target == "tensorrt" and graph.opset < TENSORRT_OPSETS.start:
        found.append(f"opset {graph.opset}, before its first")
    return [Obstacle("file", 1, why, True) for why in found]


def _label(node: onnx.NodeProto) -> str:
    mode = attributes(node).get("mode")
    return f"{node.op_type}({mode})" if mode else node.op_type


def _try(path: Path, target: str) -> tuple[bool, str]:
    """Run the file on a provider: whether that was possible, and what went wrong."""
    provider = provider_named(target)
    if provider not in available():
        return False, ""
    try:
        session = Session(path, provider)
        for size in _TRIAL_SIZES_PX:
            feeds = {}
            for value in session.inputs:
                missing = iter(size)
                shape = [side if isinstance(side, int) else next(missing) for side in value.shape]
                feeds[value.name] = np.full(prod(shape), 100, value.dtype).reshape(shape)
            session.run(feeds, session.outputs[0].name)
    except ProviderError:
        return False, ""  # it is built in, but there is no such device here
    except ModelError as error:
        return True, str(error)
    return True, ""


def _summary(check: TargetCheck, what: str) -> str:
    if check.error:
        return f"cannot run {what}: {check.error}"
    blocking = [obstacle for obstacle in check.obstacles if obstacle.blocks]
    listed = ", ".join(
        f"{obstacle.count} {obstacle.operator} ({obstacle.why})" for obstacle in blocking
    )
    return f"cannot take {what} whole: {listed}"
