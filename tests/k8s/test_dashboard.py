"""The Grafana dashboard as it is shipped. Whether a server exports its metrics: tests/serve."""

import json
import re

from k8s import dashboard
from k8s.panels import ROWS


def test_the_written_dashboard_is_what_its_panels_make():
    assert dashboard.TARGET.read_text() == dashboard.text(), "run: make k8s"


def test_every_panel_asks_the_chosen_data_source():
    document = json.loads(dashboard.text())
    variables = {one["name"]: one for one in document["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    charts = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert len(charts) == sum(map(len, ROWS.values())) > 30
    for chart in charts:
        assert chart["datasource"]["uid"] == "${datasource}"
        for target in chart["targets"]:
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= set(variables)


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = dashboard.dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_brackets_of_every_query_are_closed():
    for row in ROWS.values():
        for query in (query for panel in row for query in panel.queries):
            for opening, closing in ("()", "{}", "[]"):
                assert query.expr.count(opening) == query.expr.count(closing), query.expr
            assert query.expr.count('"') % 2 == 0
