"""Which candidates a benchmark has."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_style import catalog
from edge_style.contract import PRECISIONS, ModelSpec
from edge_style.errors import ModelError, ModelNotFoundError, ProviderError, UsageError
from edge_style.images import parse_size
from edge_style.onnx_file import summarize
from edge_style.providers import AUTO, Provider, available, candidates


@dataclass(frozen=True)
class Candidate:
    """One model on one provider at one size.

    Attributes:
        label: name of the model, as tables show it; its path where several have that name.
        model: path of its file, or what a foreign command calls it.
        provider: execution provider, or the name of a foreign command.
        size_px: (width, height).
        record_graph: record runs and replay them, where the provider can.
        command: a foreign command that does a job; empty for our own.
        is_asked_for: the user named the provider, so that a failure is an error.
    """

    label: str
    model: str
    provider: str
    size_px: tuple[int, int]
    record_graph: bool = True
    command: tuple[str, ...] = ()
    is_asked_for: bool = True

    @property
    def size(self) -> str:
        """`640x480`."""
        return f"{self.size_px[0]}x{self.size_px[1]}"


@dataclass(frozen=True)
class Request:
    """What was asked for, as typed.

    Attributes:
        models: names of styles or paths of files. A style's name stands for all its files.
        providers: names; `auto` is every provider that is here and needs no minutes to start.
        sizes: as `parse_size` takes them.
        precisions: only files of these; all if empty.
        commands: `NAME=COMMAND`, programs that do a job as `bench.worker` does.
        without_graphs: measure providers that record runs also without that.
    """

    models: Sequence[str]
    providers: Sequence[str] = (AUTO,)
    sizes: Sequence[str] = ("640x480",)
    precisions: Sequence[str] = ()
    commands: Sequence[str] = field(default=())
    without_graphs: bool = False


def plan(request: Request) -> list[Candidate]:
    """All candidates, sizes outermost, so that what is compared runs close together.

    Raises:
        UsageError: a bad size or precision, or nothing is left to measure.
        ModelNotFoundError, ModelError: no such model, or a damaged one.
        ProviderError: a provider that was named is not in this onnxruntime, or has no device.
    """
    unknown = [name for name in request.precisions if name not in PRECISIONS]
    if unknown:
        raise UsageError(f"--precision takes {', '.join(PRECISIONS)}, got '{unknown[0]}'")
    sizes_px = [parse_size(size) for size in dict.fromkeys(request.sizes)]
    providers = _providers(request.providers)
    files = [path for model in request.models for path in _files(model, request.precisions)]
    files = list(dict.fromkeys(files))
    labels = _labels(files)
    commands = [_parse_command(command) for command in request.commands]
    planned = []
    for size_px in sizes_px:
        for path in files:
            for provider, is_named in providers:
                for record_graph in _graph_choices(provider, request):
                    planned.append(
                        Candidate(
                            labels[path],
                            str(path),
                            provider.name,
                            size_px,
                            record_graph,
                            is_asked_for=is_named,
                        )
                    )
        planned += [
            Candidate(name, name, name, size_px, command=command) for name, command in commands
        ]
    if not planned:
        raise UsageError("there is nothing to measure: no file of these models has that precision")
    return planned


def _labels(files: Sequence[Path]) -> dict[Path, str]:
    """What each file is called: its name, or its path where another file has that name too."""
    count = Counter(path.name for path in files)
    return {
        path: (path.name if count[path.name] == 1 else str(path)).removesuffix(catalog.MODEL_SUFFIX)
        for path in files
    }


def _providers(names: Sequence[str]) -> list[tuple[Provider, bool]]:
    """Each provider once, and whether it was named."""
    chosen: dict[str, tuple[Provider, bool]] = {}
    for name in names:
        is_named = name.lower() != AUTO
        for provider in candidates(name):
            _, was_named = chosen.get(provider.name, (provider, False))
            chosen[provider.name] = (provider, is_named or was_named)
    if not chosen:
        here = ", ".join(provider.name for provider in available())
        raise ProviderError(f"no provider to measure; available: {here}")
    return list(chosen.values())


def _graph_choices(provider: Provider, request: Request) -> tuple[bool, ...]:
    return (True, False) if provider.records_graphs and request.without_graphs else (True,)


def _files(model: str, precisions: Sequence[str]) -> list[Path]:
    """A path is itself; a style's name is all its files, of the precisions that were asked for."""
    found = []
    if Path(model).is_file() or model.endswith(catalog.MODEL_SUFFIX):
        found = [catalog.resolve(model, "cpu")]
    else:
        for suffix in (catalog.MODEL_SUFFIX, catalog.INT8_SUFFIX):
            try:
                found.append(catalog.resolve(model + suffix, "cpu"))
            except ModelNotFoundError:
                continue
        if not found:
            catalog.resolve(model, "cpu")  # whose error suggests others
    return [path for path in found if not precisions or _precision(path) in precisions]


def _precision(path: Path) -> str:
    try:
        spec = ModelSpec.from_metadata(summarize(path).metadata)
    except ValueError as error:
        raise ModelError(f"'{path}' cannot be used: {error}") from error
    return spec.precision if spec else "fp32"


def _parse_command(text: str) -> tuple[str, tuple[str, ...]]:
    name, is_given, command = text.partition("=")
    if not is_given or not name.strip() or not command.strip():
        raise UsageError(f"expected --command NAME=COMMAND, got '{text}'")
    try:
        return name.strip(), tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"--command {name.strip()} cannot be read: {error}") from error
