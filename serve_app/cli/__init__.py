"""The command line: `python main.py ...`, or `inpaint-serve ...` once installed.

One module for each command. Nothing heavy is imported here: Ray takes seconds, torch more, and
`--help` or `list` need neither.
"""

import typer

from serve_app.cli import bench, check, download, key, list_models, plot, run, start
from serve_app.cli.switches import SwitchCommand

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Serve inpainting models.")
app.command("start", cls=SwitchCommand)(start.start)
app.command("run")(run.run)
app.command("bench")(bench.bench)
app.command("plot")(plot.plot)
app.command("download")(download.download)
app.command("list")(list_models.list_models)
app.command("check")(check.check)
app.command("key")(key.key)
