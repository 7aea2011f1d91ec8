"""Tables, also where nobody looks at a terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

WIDEST = 1000


def table_for(console: Console, *columns: str) -> Table:
    """An empty table with this head: framed on a terminal, plain elsewhere."""
    return Table(*columns, box=box.ROUNDED if console.is_terminal else None, pad_edge=False)


def show(console: Console, table: Table) -> None:
    """Print it; as wide as it needs to be where there is no terminal to fit into."""
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    console.print(table)
