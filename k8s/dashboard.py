"""Writes the Grafana dashboard from its panels: `python -m k8s.dashboard`, or `make k8s`.

A test fails when the written file is not what this module would write, another one when a live
server does not export what the panels ask for.
"""

import json
from pathlib import Path
from typing import Any

from k8s.panels import CLUSTER, REQUESTS, ROWS, Panel

TARGET = Path(__file__).parents[1] / "configs" / "grafana" / "inpaint-serve.json"

IN_A_ROW, WIDTH, HEIGHT = 3, 8, 8
"""Panels, and their sizes in Grafana's units; the page is 24 wide."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]


def dashboard() -> Json:
    """The dashboard, as Grafana 10 and later import it."""
    return {
        "uid": "inpaint-serve",
        "title": "inpaint-serve",
        "tags": ["inpaint-serve", "ray"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "templating": {"list": _variables()},
        "panels": [{"id": number, **panel} for number, panel in enumerate(_panels(), 1)],
    }


def text() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=1) + "\n"


def _variables() -> list[Json]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource"}
    return [
        {**source, "query": "prometheus", "refresh": 1},
        _choice("cluster", "Cluster", "ray_serve_deployment_status", "ray_io_cluster"),
        _choice("family", "Family", f"{REQUESTS}{{{CLUSTER}}}", "family"),
    ]


def _choice(name: str, label: str, series: str, tag: str) -> Json:
    """Values of a tag, one or several. All of them is ".*", which fits series without it too."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({series}, {tag})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> list[Json]:
    panels: list[Json] = []
    top = 0
    for title, row in ROWS.items():
        place = {"x": 0, "y": top, "w": IN_A_ROW * WIDTH, "h": 1}
        head = {"type": "row", "title": title, "collapsed": False, "panels": []}
        panels.append({**head, "gridPos": place})
        for index, panel in enumerate(row):
            line, column = divmod(index, IN_A_ROW)
            place = {"x": column * WIDTH, "y": top + 1 + line * HEIGHT, "w": WIDTH, "h": HEIGHT}
            panels.append({**_chart(panel), "gridPos": place})
        top = panels[-1]["gridPos"]["y"] + HEIGHT
    return panels


def _chart(panel: Panel) -> Json:
    look = {"fillOpacity": 10, "showPoints": "never", "spanNulls": True}
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": look},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def main() -> None:
    """Write the file."""
    TARGET.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
