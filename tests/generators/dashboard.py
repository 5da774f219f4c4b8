"""Writes Grafana's dashboard from `panels`; it is never edited by hand.

`python -m tests.generators.dashboard > config/grafana/dashboards/localpayment-proxy.json`
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from tests.generators.panels import ROWS

if TYPE_CHECKING:
    from tests.generators.queries import Panel, Row

_WIDTH: Final = 24  # columns of Grafana's grid
_SIZES: Final = {"stat": (4, 4), "timeseries": (8, 8)}  # columns, rows
_SCHEMA: Final = 39  # of Grafana 11; later ones read it
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> str:
    """Return the dashboard, JSON that ends with a newline."""
    whole = {
        "uid": "localpayment-proxy",
        "title": "localpayment-proxy",
        "tags": ["localpayment", "payments"],
        "editable": False,
        "schemaVersion": _SCHEMA,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_source_variable(), _variable("job"), _variable("instance", ',job=~"$job"')]},
        "annotations": {"list": [_starts()]},
        "panels": _panels(),
    }
    return json.dumps(whole, indent=2) + "\n"


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(label: str, matchers: str = "") -> dict[str, Any]:
    query = f'label_values(localpayment_proxy_build_info{{version!=""{matchers}}}, {label})'
    return {
        "name": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def _starts() -> dict[str, Any]:
    return {
        "name": "Starts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": 'changes(process_start_time_seconds{job=~"$job",instance=~"$instance"}[1m]) > 0',
        "titleFormat": "started",
        "textFormat": "{{instance}}",
    }


def _panels() -> list[dict[str, Any]]:
    """Lay the rows out from top to bottom, their panels from left to right."""
    placed: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": len(placed) + 1, **heading, "gridPos": {"h": 1, "w": _WIDTH, "x": 0, "y": top}})
        top = _place(row, placed, top + 1)
    return placed


def _place(row: Row, placed: list[dict[str, Any]], top: int) -> int:
    left, height = 0, 0
    for panel in row.panels:
        width, tall = _SIZES[panel.kind]
        if left + width > _WIDTH or (height and tall != height):
            left, top = 0, top + height
        position = {"h": tall, "w": width, "x": left, "y": top}
        placed.append({"id": len(placed) + 1, **_panel(panel), "gridPos": position})
        left, height = left + width, tall
    return top + height


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": _SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend,
            "exemplar": "request_duration_seconds_bucket" in query.expr,
        }
        for place, query in enumerate(panel.queries)
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": _steps(panel)}}
    options: dict[str, Any] = {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}}
    if panel.kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
        options = {"colorMode": "background", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    elif panel.bad_above is not None or panel.bad_below is not None:
        defaults["custom"] = {"thresholdsStyle": {"mode": "dashed"}}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": targets,
    }


def _steps(panel: Panel) -> list[dict[str, Any]]:
    if panel.bad_below is not None:
        return [{"color": "red", "value": None}, {"color": "green", "value": panel.bad_below}]
    if panel.bad_above is not None:
        return [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_above}]
    return [{"color": "blue", "value": None}]


if __name__ == "__main__":
    sys.stdout.write(dashboard())
