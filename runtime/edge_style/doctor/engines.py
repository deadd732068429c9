"""Execution providers: which the installed onnxruntime has, and which of them ran a frame here."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edge_style.bench.job import Answer, Job
from edge_style.bench.rounds import run_own_job
from edge_style.providers import Provider, all_providers, available, plugin_failure

_SIDE_PX = 64
_PATIENCE_S = 240.0


@dataclass(frozen=True)
class Engine:
    """One provider.

    Attributes:
        name, device: as in the table of providers.
        state: `ran`, `failed` or `absent`.
        detail: why it failed or is absent; which operations it left to the CPU.
        install: how to get it.
    """

    name: str
    device: str
    state: str
    detail: str
    install: str


def examine_engines(
    model: str | None, run: Callable[[Job, float], Answer] = run_own_job
) -> list[dict[str, Any]]:
    """Try every provider that is here, each in a process of its own: drivers may crash.

    Args:
        model: a model file to run; None: nothing is tried.
        run: does a job within so many seconds.
    """
    here = {provider.name for provider in available()}
    return [asdict(_examine(provider, here, model, run)) for provider in all_providers()]


def _examine(
    provider: Provider,
    here: set[str],
    model: str | None,
    run: Callable[[Job, float], Answer],
) -> Engine:
    def found(state: str, detail: str) -> Engine:
        return Engine(provider.name, provider.device, state, detail, provider.install)

    if provider.name not in here:
        failure = plugin_failure(provider)
        return found("failed" if failure else "absent", failure)
    if model is None:
        return found("failed", "there is no model to try it with")
    job = Job(model, provider.name, _SIDE_PX, _SIDE_PX, warmup=0, runs=1, seconds=0)
    answer = run(job, _PATIENCE_S)
    if answer.error:
        return found("failed", answer.error)
    left = sum(answer.left_to_cpu.values())
    named = ", ".join(f"{name} {count}" for name, count in answer.left_to_cpu.items())
    return found("ran", f"left {left} operations to the CPU: {named}" if left else "")
