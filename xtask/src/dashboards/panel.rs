//! Panels as Grafana reads them.

use serde_json::{Value, json};

use super::source::{Dashboard, Kind, Panel, Query, Step};

const COLUMNS: u32 = 24;
const HEIGHT: u32 = 8;
/// Of a panel that shows one number.
const LOW: u32 = 4;

const RUNBOOKS: &str = "https://github.com/tidemill/tidemill/blob/main/docs/operations/";

/// Where queries go: the Prometheus that is chosen at the top.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// Every row with its panels, from left to right and from top to bottom.
pub(super) fn all(dashboard: &Dashboard) -> Vec<Value> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for row in &dashboard.row {
        panels.push(json!({
            "type": "row",
            "id": panels.len() + 1,
            "title": row.title,
            "collapsed": false,
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
            "panels": [],
        }));
        y += 1;
        let (mut x, mut tallest) = (0, 0);
        for panel in &row.panel {
            if x + panel.width > COLUMNS {
                (x, y, tallest) = (0, y + tallest, 0);
            }
            let height = if panel.kind == Kind::Number {
                LOW
            } else {
                HEIGHT
            };
            let place = json!({ "x": x, "y": y, "w": panel.width, "h": height });
            panels.push(one(panel, panels.len() + 1, &place));
            x += panel.width;
            tallest = tallest.max(height);
        }
        y += tallest;
    }
    panels
}

fn one(panel: &Panel, id: usize, place: &Value) -> Value {
    let targets = panel.queries.iter().zip('A'..='Z');
    let targets: Vec<_> = targets
        .map(|(query, name)| target(panel, query, name))
        .collect();
    json!({
        "id": id,
        "type": form(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "datasource": datasource(),
        "gridPos": place,
        "targets": targets,
        "fieldConfig": { "defaults": defaults(panel), "overrides": [] },
        "options": options(panel.kind),
        "links": links(panel),
    })
}

const fn form(kind: Kind) -> &'static str {
    match kind {
        Kind::Lines => "timeseries",
        Kind::Number => "stat",
        Kind::Heat => "heatmap",
        Kind::States => "state-timeline",
        Kind::Bars => "bargauge",
        Kind::Table => "table",
    }
}

fn target(panel: &Panel, query: &Query, name: char) -> Value {
    let is_of_now = matches!(panel.kind, Kind::Number | Kind::Bars | Kind::Table);
    let format = match panel.kind {
        Kind::Heat => "heatmap",
        Kind::Table => "table",
        Kind::Lines | Kind::Number | Kind::States | Kind::Bars => "time_series",
    };
    json!({
        "refId": name.to_string(),
        "datasource": datasource(),
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": format,
        "instant": is_of_now,
        "range": !is_of_now,
        "exemplar": panel.exemplars,
    })
}

fn defaults(panel: &Panel) -> Value {
    let steps = panel.steps.iter().map(|step| match step {
        Step::First(colour) => json!({ "color": colour, "value": null }),
        Step::From(value, colour) => json!({ "color": colour, "value": value }),
    });
    let mut steps: Vec<_> = steps.collect();
    let is_judged = !steps.is_empty();
    if !is_judged {
        steps.push(json!({ "color": "green", "value": null }));
    }
    let custom = match panel.kind {
        Kind::Lines => json!({
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 10,
            "showPoints": "never",
            "thresholdsStyle": { "mode": if is_judged { "line" } else { "off" } },
        }),
        Kind::States => json!({ "fillOpacity": 70, "lineWidth": 0 }),
        Kind::Number | Kind::Heat | Kind::Bars | Kind::Table => json!({}),
    };
    let mut defaults = json!({
        "unit": panel.unit.as_deref().unwrap_or("short"),
        "thresholds": { "mode": "absolute", "steps": steps },
        "custom": custom,
    });
    for (name, bound) in [("min", panel.min), ("max", panel.max)] {
        if let Some(bound) = bound {
            defaults[name] = json!(bound);
        }
    }
    defaults
}

fn options(kind: Kind) -> Value {
    let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
    match kind {
        Kind::Lines => json!({
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        }),
        Kind::Number => json!({
            "reduceOptions": last,
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
        }),
        Kind::Heat => json!({
            "calculate": false,
            "cellGap": 1,
            "color": { "mode": "scheme", "scheme": "Oranges", "steps": 64 },
            "exemplars": { "color": "rgba(255,0,255,0.7)" },
            "yAxis": { "unit": "s" },
            "tooltip": { "mode": "single", "yHistogram": true },
        }),
        Kind::States => json!({
            "mergeValues": true,
            "showValue": "never",
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
        }),
        Kind::Bars => json!({
            "reduceOptions": last,
            "displayMode": "basic",
            "orientation": "horizontal",
        }),
        Kind::Table => json!({ "showHeader": true }),
    }
}

fn links(panel: &Panel) -> Vec<Value> {
    let link = |title: &str, url: String| {
        json!({
            "type": "link",
            "title": title,
            "url": url,
            "targetBlank": true,
            "asDropdown": false,
            "includeVars": false,
            "keepTime": false,
            "icon": "external link",
            "tags": [],
            "tooltip": "",
        })
    };
    let runbook = panel.runbook.as_ref();
    let runbook = runbook.map(|section| link("What to do", format!("{RUNBOOKS}{section}")));
    let dead = panel.dead_letters.then(|| {
        let url = "${control}/api/v1/dead".to_owned();
        link("Dead letters", url)
    });
    runbook.into_iter().chain(dead).collect()
}
