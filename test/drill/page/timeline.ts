import type { PageData } from "./data.ts";

const WIDTH = 1_000;
const LEFT = 90;
const RIGHT = 10;
const ROW = 26;
const BAR = 16;
const TOP = 34;
/** Calm, and told apart by people who see few colours. */
const NODE_COLOURS = ["#4477aa", "#ddaa33", "#228833", "#aa3377", "#66ccee", "#bbbbbb"];
const GOOD = "#777777";
const BAD = "#cc3311";
/** Ticks of the time axis: about this many. */
const TICKS = 10;

const quoted = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/**
 * The drill in one picture: each fault with how long it lasted until all were well again, and below it who
 * owned each shard, with the lives of its gateways. SVG, without scripts. Pure.
 */
export function timelineSvg(data: PageData): string {
  const x = (t: number): number =>
    Math.round((LEFT + (t / data.end) * (WIDTH - LEFT - RIGHT)) * 10) / 10;
  const out: string[] = [];
  const text = (at: number, y: number, words: string, more = ""): void => {
    out.push(`<text x="${at}" y="${y}" ${more}>${quoted(words)}</text>`);
  };
  const bar = (
    row: number,
    from: number,
    to: number,
    fill: string,
    title: string,
    height = BAR,
  ) => {
    const width = Math.max(1, Math.round((x(to) - x(from)) * 10) / 10);
    const y = TOP + row * ROW + (BAR - height);
    out.push(
      `<rect x="${x(from)}" y="${y}" width="${width}" height="${height}" fill="${fill}"><title>${quoted(title)}</title></rect>`,
    );
  };
  const label = (row: number, words: string) => text(4, TOP + row * ROW + 13, words);

  data.nodes.forEach((node, i) => {
    const at = LEFT + i * 110;
    const fill = NODE_COLOURS[i % NODE_COLOURS.length];
    out.push(`<rect x="${at}" y="8" width="12" height="12" fill="${fill}"/>`);
    text(at + 17, 18, `on ${node}`);
  });
  let row = 0;
  // Faults follow one another; on two rows their names do not meet.
  for (const fault of data.faults) {
    const place = row + (fault.n % 2);
    const title = `${fault.n}. ${fault.title} (${fault.target}), ${fault.ok ? "whole again" : "not whole again"}`;
    bar(place, fault.from, fault.to, fault.ok ? GOOD : BAD, title);
    text(x(fault.from) + 2, TOP + place * ROW + 12, String(fault.n), 'fill="#ffffff"');
  }
  label(row, "faults");
  row += 2;
  for (const lane of data.lanes) {
    label(row, lane.name);
    for (const span of lane.spans) {
      const fill = NODE_COLOURS[Math.max(0, data.nodes.indexOf(span.node)) % NODE_COLOURS.length];
      const title = `${lane.name} on ${span.node}, epoch ${span.epoch}, ${span.state}`;
      bar(row, span.from, span.to, fill ?? GOOD, title);
    }
    row++;
    label(row, "its gateways");
    for (const { pid, from, to } of lane.processes) {
      bar(row, from, to, "#333333", `process ${pid}`, BAR / 2);
    }
    row++;
  }
  label(row, "bot polled");
  for (const { from, to } of data.polls) bar(row, from, to, "#66ccee", "polled", BAR / 2);
  row++;
  const bottom = TOP + row * ROW;
  const step = Math.max(60, Math.ceil(data.end / TICKS / 60) * 60);
  for (let t = 0; t <= data.end; t += step) {
    out.push(`<line x1="${x(t)}" x2="${x(t)}" y1="${TOP - 4}" y2="${bottom}" stroke="#00000022"/>`);
    text(x(t), bottom + 14, `${t / 60} min`);
  }
  const height = bottom + 24;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    ...out,
    "</svg>",
    "",
  ].join("\n");
}
