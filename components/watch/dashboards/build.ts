/** One query of a panel. */
export interface Query {
  readonly expr: string;
  /** Name of each line, with labels as `{{shard}}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly kind: "timeseries" | "stat" | "bars" | "table";
  /** Grafana's own name of a unit, e.g. `s`, `reqps`, `bytes`, `currencyUSD`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** What it means, and why it may be empty. */
  readonly description: string;
  /** Of twenty-four columns. @default 12, a stat 6 */
  readonly width?: number;
  /** Values from which it turns yellow and red. */
  readonly thresholds?: readonly [number, number];
}

export interface Dashboard {
  /** Part of its address, kept for ever. */
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

const COLUMNS = 24;
const HEIGHT = { stat: 4, timeseries: 8, bars: 8, table: 8 } as const;
const TYPE = { stat: "stat", timeseries: "timeseries", bars: "barchart", table: "table" } as const;
// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's.
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

/**
 * A dashboard as Grafana reads it. The data source is a variable, so that it works beside any other
 * Prometheus; a panel without data says so instead of showing nothing.
 */
export function grafana({ uid, title, panels }: Dashboard) {
  let x = 0;
  let y = 0;
  let row = 0;
  const placed = panels.map((panel, i) => {
    const w = panel.width ?? (panel.kind === "stat" ? 6 : 12);
    const h = HEIGHT[panel.kind];
    if (x + w > COLUMNS) {
      x = 0;
      y += row;
      row = 0;
    }
    const gridPos = { x, y, w, h };
    x += w;
    row = Math.max(row, h);
    return panelJson(panel, i + 1, gridPos);
  });
  return {
    uid,
    title,
    tags: ["openclaw-fleet"],
    schemaVersion: 41,
    editable: false,
    timezone: "browser",
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [
        {
          name: "datasource",
          label: "Prometheus",
          type: "datasource",
          query: "prometheus",
          current: {},
        },
      ],
    },
    panels: placed,
  };
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function panelJson(panel: Panel, id: number, gridPos: Place) {
  const { kind, title, description, unit, thresholds, queries } = panel;
  const instant = kind !== "timeseries";
  return {
    id,
    title,
    description,
    type: TYPE[kind],
    gridPos,
    datasource: DATASOURCE,
    fieldConfig: {
      defaults: {
        unit,
        noValue: "no data",
        thresholds: {
          mode: "absolute",
          steps: [
            { color: "green", value: null },
            ...(thresholds
              ? [
                  { color: "yellow", value: thresholds[0] },
                  { color: "red", value: thresholds[1] },
                ]
              : []),
          ],
        },
      },
      overrides: [],
    },
    options:
      kind === "stat" ? { reduceOptions: { calcs: ["lastNotNull"] }, colorMode: "value" } : {},
    targets: queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      instant,
      range: !instant,
      format: kind === "table" ? "table" : "time_series",
    })),
  };
}
