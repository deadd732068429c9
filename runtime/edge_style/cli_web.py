"""The command `web`: prints, and leaves the work to `edge_style.web`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_style.cli_common import split_models

DEFAULT_PORT = 8321

ModelsOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        show_default="all that are installed, each style once",
        help="Styles or .onnx files for the page, separated by commas.",
    ),
]

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def web(
    context: typer.Context,
    model: ModelsOption = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to serve on; 0: any free one.")
    ] = DEFAULT_PORT,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the default browser.")
    ] = False,
) -> None:
    """Serve the webcam page on this machine, or build it for a static host (`web build DIR`).

    The network runs in the visitor's browser, by WebGPU or WebAssembly; nothing is uploaded.
    """
    if context.invoked_subcommand is not None:
        return
    from edge_style.web import WebServer, assemble, choose_models

    site = assemble(choose_models(split_models(model) if model is not None else []), offline=False)
    with WebServer(site, port) as server:
        typer.echo(f"{server.url} shows {_count(site.styles)}; Ctrl-C ends it", err=True)
        if open_browser:
            typer.launch(server.url)
        server.serve()


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)],
    model: ModelsOption = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
    ] = False,
) -> None:
    """Write the page as a static site, for any host and any sub-path; it works offline afterwards.

    Browsers give the camera to pages over https only. A folder that holds such a site already is
    brought up to date.
    """
    from edge_style.web import assemble, choose_models, write_site

    site = assemble(choose_models(split_models(model) if model is not None else []), offline=True)
    size_bytes = write_site(site, folder)
    if json_output:
        report: dict[str, Any] = {
            "folder": str(folder),
            "files": len(site.files),
            "size_bytes": size_bytes,
            "styles": site.styles,
        }
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        what = f"{_count(site.styles)}, {len(site.files)} files, {size_bytes / 1e6:.1f} MB"
        typer.echo(f"wrote {folder}: {what}", err=True)


def _count(styles: int) -> str:
    return "one style" if styles == 1 else f"{styles} styles"
