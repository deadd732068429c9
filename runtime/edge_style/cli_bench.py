"""The command `bench`: its options, and how its figures look to people."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_style.cli_common import JsonOption, as_json, note, print_json, split_models
from edge_style.errors import EdgeStyleError, SinkError, UsageError

if TYPE_CHECKING:
    from edge_style.bench.plan import Candidate
    from edge_style.bench.rounds import Effort, Track

_BUSY_SHARE = 0.3  # of the processors, by the load average


def bench(
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="A style's name (all its files), or the path of an .onnx file, also of another "
            "program. Repeatable, or separated by commas.",
        ),
    ],
    provider: Annotated[
        list[str] | None,
        typer.Option(
            "--provider",
            show_default="auto",
            help="Execution provider, repeatable. auto: every one that is here and starts soon.",
        ),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option("--size", show_default="640x480", help="Size of the frames, repeatable."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option("--precision", help="Only files in fp32, fp16 or int8; repeatable."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=2, help="Processes per candidate, in interleaved rounds.")
    ] = 5,
    runs: Annotated[int, typer.Option(min=1, help="Timed frames per candidate, at most.")] = 100,
    warmup: Annotated[int, typer.Option(min=0, help="Frames before them, per process.")] = 5,
    seconds: Annotated[
        float, typer.Option(min=0, help="Time per candidate, after which it joins no more rounds.")
    ] = 15.0,
    without_graphs: Annotated[
        bool,
        typer.Option("--without-graphs", help="CUDA and TensorRT also without recorded graphs."),
    ] = False,
    command: Annotated[
        list[str] | None,
        typer.Option(
            "--command",
            metavar="NAME=COMMAND",
            help="Another program: a command that does a job as edge_style.bench.worker does.",
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="OLD.json", help="What --json printed earlier."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PICTURE", help="Draw it (extra `plot`).")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the figures as CSV.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write what --json prints to a file."),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Measure models on providers, at sizes: latency, memory, processors, power."""
    from edge_style.bench.compare import load_report
    from edge_style.bench.plan import Request, plan
    from edge_style.bench.plot import check_plot
    from edge_style.bench.rounds import Effort, run_rounds

    old = None if compare is None else load_report(compare)
    if plot is not None:
        check_plot(plot)
    _check_targets([target for target in (output, csv, plot) if target is not None])
    planned = plan(
        Request(
            models=[name for text in model for name in split_models(text)],
            providers=provider or ["auto"],
            sizes=size or ["640x480"],
            precisions=precision or (),
            commands=command or (),
            without_graphs=without_graphs,
        )
    )
    effort = Effort(rounds=rounds, min_rounds=min(3, rounds), warmup=warmup, runs=runs,
                    seconds=seconds)  # fmt: skip
    _note_load()
    with _progress(planned, effort) as step:
        tracks = run_rounds(planned, effort, step)
    report = _report(tracks, effort)
    if old is not None:
        report["comparison"] = _comparison(old, report)
    if json_output:
        print_json(report)
    else:
        _show(report, old)
    # What was measured in minutes has been shown, whatever cannot be written.
    _write(report, output, csv, plot)
    _raise_failures(tracks)


def _check_targets(targets: Sequence[Path]) -> None:
    """Refuse what would fail after minutes of measuring.

    Raises:
        UsageError: two files are to be one.
        SinkError: a target is a folder, or its folder does not exist or cannot be written to.
    """
    if len({target.absolute() for target in targets}) < len(targets):
        raise UsageError(f"'{targets[0]}' is to be written twice: give each file its own name")
    for target in targets:
        if target.is_dir():
            raise SinkError(f"'{target}' is a folder, expected the name of a file to write")
        folder = target.absolute().parent
        if not folder.is_dir():
            raise SinkError(f"the folder of '{target}' does not exist: create it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SinkError(f"'{target}' cannot be written: permission denied")


def _note_load() -> None:
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        if load > _BUSY_SHARE * (os.cpu_count() or 1):
            note(f"note: other programs are running (load {load:.1f}), the figures will scatter")


@contextmanager
def _progress(planned: "Sequence[Candidate]", effort: "Effort") -> Iterator[Any]:
    """Says on a terminal what is being measured; nothing where nobody looks."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    total = len(planned) * effort.rounds
    done = 0
    # Not every candidate takes part in every round, so it is the end that gives the cursor back.
    with console.status("") as status:

        def step(candidate: "Candidate", index: int) -> None:
            nonlocal done
            done += 1
            status.update(
                f"round {index + 1} of {effort.rounds}, {done} of {total}: "
                f"{candidate.label} on {candidate.provider} at {candidate.size}"
            )

        yield step


def _report(tracks: "Sequence[Track]", effort: "Effort") -> dict[str, Any]:
    from edge_style import __version__
    from edge_style.bench.result import summarize_track
    from edge_style.machine import describe
    from edge_style.providers import package_versions

    versions = package_versions() | {"edge-style": __version__}
    return {
        "results": [summarize_track(track, effort) for track in tracks],
        "machine": describe() | {"versions": versions},
    }


def _comparison(old: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    from edge_style.bench.compare import compare, machine_differences

    return {
        "differences": machine_differences(old, report),
        "results": [asdict(each) for each in compare(old, report)],
    }


def _write(
    report: Mapping[str, Any], output: Path | None, csv: Path | None, picture: Path | None
) -> None:
    from edge_style.bench.compare import measured
    from edge_style.bench.plot import plot
    from edge_style.bench.result import to_csv

    try:
        if output is not None:
            output.write_text(as_json(report) + "\n", "utf-8")
        if csv is not None:
            csv.write_text(to_csv(report["results"]), "utf-8")
    except OSError as error:
        raise SinkError(f"cannot write '{error.filename}': {error.strerror or error}") from error
    if picture is not None and measured(report):
        plot(report, picture)


def _show(report: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    from edge_style.tables import bench_table, comparison_table, show

    show(bench_table(report["results"]))
    for result in report["results"]:
        for line in result.get("notes") or ():
            note(f"note: {result['model']} on {result['provider']}: {line}")
    if old is not None:
        comparison = report["comparison"]
        for line in comparison["differences"]:
            note(f"note: {line}")
        if comparison["results"]:
            show(comparison_table(comparison["results"]))
        else:
            had = ", ".join(dict.fromkeys(_described(each) for each in old["results"]))
            note(f"note: nothing that was measured is in the earlier report, which has {had}")


def _described(result: Mapping[str, Any]) -> str:
    """`starry int8 on cpu at 640x480`."""
    parts = (result.get("model"), result.get("precision"))
    name = " ".join(str(part) for part in parts if part)
    return f"{name} on {result.get('provider')} at {result.get('size')}"


def _raise_failures(tracks: "Sequence[Track]") -> None:
    """What was asked for by name and failed is an error, after the figures of the others."""
    failed = [track for track in tracks if track.error]
    for track in failed:
        if not track.candidate.is_asked_for:
            note(f"note: {track.candidate.label} on {track.candidate.provider}: {track.error}")
    asked = [track for track in failed if track.candidate.is_asked_for]
    reasons = [f"{t.candidate.label} at {t.candidate.size}: {t.error}" for t in asked]
    if not reasons and len(failed) == len(tracks):
        reasons = [track.error for track in failed]
    if reasons:
        raise EdgeStyleError("; ".join(dict.fromkeys(reasons)))
