"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("main");
  const LEFT = 64;
  const RIGHT = 14;

  /** Element with attributes and children; text is never read as HTML. */
  function el(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  function svg(name, attributes = {}, title = null, content = null) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (content !== null) node.append(content);
    if (title !== null) {
      const tip = document.createElementNS("http://www.w3.org/2000/svg", "title");
      tip.append(title);
      node.append(tip);
    }
    return node;
  }
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (i) => `var(--c${i % 7})`;
  const clock = (t) => `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`;
  const took = (t) => (t === null ? "never" : `${t.toFixed(1)} s`);

  function table(head, rows) {
    const numeric = (i) => (head[i].startsWith("#") ? { class: "n" } : {});
    const title = (text) => text.replace(/^#/, "");
    return el(
      "div",
      { class: "card scroll" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", numeric(i), title(text))))),
        el(
          "tbody",
          {},
          ...rows.map((row) =>
            el("tr", {}, ...row.map((value, i) => {
              const cell = el("td", numeric(i));
              cell.append(value);
              return cell;
            })),
          ),
        ),
      ),
    );
  }

  // Verdict and checks.
  main.append(
    el("h1", { class: data.ok ? "good" : "bad" }, data.verdict),
    el("p", { class: "facts" }, data.facts),
    el("h2", {}, "Checks"),
    el(
      "ul",
      { class: "checks card" },
      ...data.checks.map((check) => {
        const good = check.status === "passed";
        const item = el(
          "li",
          { class: good ? "" : "bad" },
          el("span", { class: `mark ${good ? "good" : "bad"}` }, good ? "✓" : "✗"),
          el("b", {}, check.law),
          ": ",
          el("span", { class: "note" }, check.evidence),
        );
        if (check.violations.length > 0) {
          const more = el("details", {}, el("summary", {}, `${check.violations.length} more`));
          for (const text of check.violations) more.append(el("div", {}, text));
          item.append(more);
        }
        return item;
      }),
    ),
    el("h2", {}, "Timeline"),
  );

  const card = el("div", { class: "card" });
  const lanes = el("div");
  main.append(card);
  card.append(lanes);

  function step(width) {
    const most = Math.max(2, Math.floor(width / 90));
    return [5, 10, 15, 30, 60, 120, 300, 600, 1800].find((s) => data.end / s <= most) ?? 3600;
  }

  function drawLanes() {
    const width = card.clientWidth - 32;
    const inner = width - LEFT - RIGHT;
    const x = (t) => LEFT + (t / data.end) * inner;
    const TOP = 26;
    const LANE = 44;
    const pollTop = TOP + data.lanes.length * LANE;
    const hasPolls = data.polls.length > 0;
    const bottom = pollTop + (hasPolls ? 26 : 0);
    const picture = svg("svg", {
      width,
      height: bottom + 22,
      role: "img",
      "aria-label": "Owners of each shard over time, with the faults",
    });
    for (let t = 0; t <= data.end; t += step(inner)) {
      picture.append(
        svg("line", { x1: x(t), x2: x(t), y1: TOP - 4, y2: bottom, class: "grid" }),
        svg("text", { x: x(t), y: bottom + 15, "text-anchor": "middle", class: "soft" }, null, clock(t)),
      );
    }
    for (const fault of data.faults) {
      const result = fault.ok ? `answered after ${took(fault.recovery)}` : fault.detail || "not recovered";
      const tip = `${fault.n}. ${fault.title} (${fault.target}) at ${clock(fault.from)}: ${result}`;
      picture.append(
        svg("rect", {
          x: x(fault.from), width: Math.max(1.5, x(fault.to) - x(fault.from)),
          y: TOP - 6, height: bottom - TOP + 6, class: "band",
        }, tip),
        svg("line", { x1: x(fault.from), x2: x(fault.from), y1: TOP - 6, y2: bottom, class: "bandline" }),
        svg("circle", { cx: x(fault.from), cy: TOP - 14, r: 8, class: "flag" }, tip),
        svg("text", { x: x(fault.from), y: TOP - 10.5, class: "flagtext" }, tip, String(fault.n)),
      );
    }
    data.lanes.forEach((lane, i) => {
      const y = TOP + i * LANE;
      picture.append(svg("text", { x: 0, y: y + 17 }, null, lane.name));
      for (const span of lane.spans) {
        const w = Math.max(1, x(span.to) - x(span.from));
        const serving = span.state === "serving";
        const tip = `${lane.name}: ${span.node}, epoch ${span.epoch}, ${span.state}, ${clock(span.from)} to ${clock(span.to)}`;
        picture.append(svg("rect", {
          x: x(span.from), width: w, y: y + 4, height: 18, class: "span",
          fill: color(data.nodes.indexOf(span.node)), opacity: serving ? 1 : 0.38,
        }, tip));
        if (serving && w > 46) {
          picture.append(svg("text", { x: x(span.from) + 5, y: y + 17, class: "inspan" }, null, `${span.node} · ${span.epoch}`));
        }
      }
      for (const process of lane.processes) {
        picture.append(svg("rect", {
          x: x(process.from), width: Math.max(1, x(process.to) - x(process.from)),
          y: y + 26, height: 4, class: "proc",
        }, `process ${process.pid}, ${clock(process.from)} to ${clock(process.to)}`));
      }
    });
    if (hasPolls) {
      picture.append(svg("text", { x: 0, y: pollTop + 14 }, null, "bot"));
      for (const poll of data.polls) {
        picture.append(svg("rect", {
          x: x(poll.from), width: Math.max(1, x(poll.to) - x(poll.from)),
          y: pollTop + 6, height: 10, class: "poll", rx: 2,
        }, `polled ${clock(poll.from)} to ${clock(poll.to)}`));
      }
    }
    lanes.replaceChildren(picture);
  }

  const legend = el("div", { class: "legend" });
  const sample = (style, text) => {
    const mark = el("i");
    mark.setAttribute("style", style);
    legend.append(el("span", {}, mark, text));
  };
  data.nodes.forEach((node, i) => sample(`background:${color(i)}`, `${node} serves (its epoch)`));
  sample(`background:${color(0)};opacity:.38`, "starting, draining");
  sample("background:var(--ink);opacity:.62;height:4px;vertical-align:3px", "gateway process able to run");
  if (data.polls.length > 0) sample("background:var(--c5)", "bot polled");
  sample("background:var(--band);border-left:2px solid var(--bandline)", "fault until all is whole again");
  card.append(legend);

  // Charts, on the lanes' own time axis.
  const charts = [];
  function chart(title, height, build) {
    const box = el("div", { class: "chart" }, el("p", { class: "title" }, title));
    const host = el("div");
    box.append(host);
    card.append(box);
    charts.push({ host, height, build, plot: null });
  }
  const bands = {
    hooks: {
      drawClear: (u) => {
        u.ctx.save();
        u.ctx.fillStyle = css("--band");
        for (const fault of data.faults) {
          const from = u.valToPos(fault.from, "x", true);
          const to = u.valToPos(fault.to, "x", true);
          u.ctx.fillRect(from, u.bbox.top, Math.max(1, to - from), u.bbox.height);
        }
        u.ctx.restore();
      },
    },
  };
  const base = (height) => {
    const axis = { stroke: css("--soft"), grid: { stroke: css("--grid"), width: 1 }, ticks: { stroke: css("--grid"), width: 1 }, font: "11px system-ui" };
    const width = card.clientWidth - 32;
    const every = step(width - LEFT - RIGHT);
    const marks = Array.from({ length: Math.floor(data.end / every) + 1 }, (_, i) => i * every);
    return {
      width,
      height,
      padding: [8, RIGHT, 0, 0],
      cursor: { sync: { key: "drill" }, points: { show: false }, drag: { x: false, y: false } },
      plugins: [bands],
      xaxis: { ...axis, splits: () => marks, values: (_, list) => list.map(clock) },
      yaxis: { ...axis, size: LEFT },
      x: { time: false, range: [0, data.end] },
    };
  };

  const kinds = data.series.filter((one) => one.points.length > 0);
  if (kinds.length > 0) {
    chart("Time added to each request beyond the model's own, seconds (logarithmic); × is an error", 230, (size) => {
      const all = [];
      kinds.forEach((one, i) => one.points.forEach(([t, v]) => all.push([t, i, v])));
      data.errors.forEach((error) => all.push([error.t, kinds.length, 100]));
      all.sort((a, b) => a[0] - b[0]);
      const columns = [all.map((p) => p[0]), ...kinds.map((_, i) => all.map((p) => (p[1] === i ? p[2] : null)))];
      const error = all.map((p) => (p[1] === kinds.length ? p[2] : null));
      const { xaxis, yaxis, x, ...rest } = base(size);
      const stroke = (i) => css(`--c${i % 7}`);
      const cross = (u, i) => {
        const path = new Path2D();
        const r = 4 * devicePixelRatio;
        u.data[i].forEach((v, k) => {
          if (v === null) return;
          const cx = u.valToPos(u.data[0][k], "x", true);
          const cy = u.bbox.top + 8 * devicePixelRatio;
          path.moveTo(cx - r, cy - r); path.lineTo(cx + r, cy + r);
          path.moveTo(cx + r, cy - r); path.lineTo(cx - r, cy + r);
        });
        return { stroke: path, fill: null, clip: null, flags: 0 };
      };
      return [
        {
          ...rest,
          scales: { x, y: { distr: 3, range: [0.01, 200] } },
          axes: [xaxis, { ...yaxis, splits: () => [0.01, 0.1, 1, 10, 100], values: (_, list) => list.map((v) => (v === null ? "" : String(v))) }],
          legend: { live: false },
          series: [
            { label: "time" },
            ...kinds.map((one, i) => ({
              label: `${one.kind} (${one.points.length})`,
              stroke: stroke(i),
              paths: () => null,
              points: { show: true, size: 5, fill: stroke(i), stroke: stroke(i) },
            })),
            { label: `errors (${data.errors.length})`, stroke: css("--bad"), width: 2, paths: cross, points: { show: false } },
          ],
        },
        [...columns, error],
      ];
    });
  }
  chart("Requests open, and those held by a router", 130, (size) => {
    const { xaxis, yaxis, x, ...rest } = base(size);
    const at = (points, t) => {
      let value = 0;
      for (const [when, n] of points) if (when <= t) value = n;
      return value;
    };
    const ts = data.open.map(([t]) => t);
    const steps = uPlot.paths.stepped({ align: 1 });
    return [
      {
        ...rest,
        scales: { x, y: { range: (_, low, high) => [0, Math.max(4, Math.ceil(high * 1.1))] } },
        axes: [xaxis, yaxis],
        legend: { live: true },
        series: [
          { label: "time", value: (_, v) => (v === null ? "" : clock(v)) },
          { label: "open", stroke: css("--c0"), width: 1.5, paths: steps, points: { show: false } },
          { label: "held", stroke: css("--c1"), fill: `${css("--c1")}44`, width: 1.5, paths: steps, points: { show: false } },
        ],
      },
      [ts, data.open.map(([, n]) => n), ts.map((t) => at(data.held, t))],
    ];
  });

  function drawAll() {
    drawLanes();
    for (const one of charts) {
      one.plot?.destroy();
      const [options, columns] = one.build(one.height);
      one.plot = new uPlot(options, columns, one.host);
    }
  }

  // Tables.
  const must = (row) =>
    row.met === null ? row.must : el("span", { class: row.met ? "good" : "bad" }, `${row.must} ${row.met ? "✓" : "✗"}`);
  main.append(
    el("h2", {}, "Faults"),
    table(
      ["fault", "#times", "#next answer, median", "#max", "#must", "not recovered"],
      data.faultTable.map((row) => [
        row.title, String(row.count), row.median, row.max, must(row),
        row.failed > 0 ? el("span", { class: "bad" }, String(row.failed)) : "0",
      ]),
    ),
    el("h2", {}, "Requests"),
    table(
      ["kind", "#sent", "#answered", "#sent again", "errors", "#added, median", "#p99", "#max"],
      data.requests.map((row) => [
        row.kind, String(row.sent), String(row.answered), String(row.resent), row.errors, row.median, row.p99, row.max,
      ]),
    ),
    el("h2", {}, "Each fault"),
    table(
      ["#no.", "at", "fault", "hit", "#next answer", "result"],
      data.faults.map((fault) => [
        String(fault.n), clock(fault.from), fault.title, fault.target, took(fault.recovery),
        fault.ok ? "whole again" : el("span", { class: "bad" }, fault.detail || "not recovered"),
      ]),
    ),
  );
  if (data.runs.length > 0) {
    main.append(
      el("h2", {}, "Earlier runs on this machine"),
      table(
        ["when (UTC)", "verdict", "#minutes", "#seed"],
        data.runs.map((run) => [
          run.when, el("span", { class: run.ok ? "good" : "bad" }, run.verdict), String(run.minutes), String(run.seed),
        ]),
      ),
    );
  }

  drawAll();
  let timer = null;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(drawAll, 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
