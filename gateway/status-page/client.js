"use strict";
(() => {
  /** Between two looks, ms. */
  const LOOK_MS = 3_000;
  /** What is older than this is shown as old, ms: two looks were missed. */
  const STALE_MS = 10_000;
  /** An answer that takes longer is none, ms. */
  const PATIENCE_MS = 8_000;
  const EVENTS = 20;
  const COLOUR = { ok: "good", degraded: "warn", down: "bad" };
  const STATE_COLOUR = { active: "good", serving: "good", lost: "bad", failed: "bad" };

  const at = (id) => document.getElementById(id);
  /** In memory only: never in the address, a cookie or the browser's storage. */
  let token = null;
  /** The newest answers, and when they came, ms since 1970; null before the first. */
  let seen = null;
  /** Why the last look brought nothing; null when it did. */
  let fault = null;
  let looking = false;

  /** An answer that says no: what a person can do about it is in its message. */
  class Refused extends Error {
    constructor(status, message) {
      super(message);
      this.status = status;
    }
  }

  async function get(path, secret) {
    const answer = await fetch(path, {
      headers: secret === null ? {} : { authorization: `Bearer ${secret}` },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const body = await answer.json().catch(() => null);
    // A fleet of which nothing serves says so with 503, and is an answer all the same.
    if (body !== null && (answer.ok || body.status === "down")) return body;
    throw new Refused(answer.status, body?.error?.message ?? `HTTP ${answer.status}`);
  }

  async function look() {
    if (looking || document.hidden) return;
    looking = true;
    const asked = token;
    try {
      const [health, status, history] = await Promise.all([
        get("/api/v1/health", null),
        asked === null ? null : get("/api/v1/fleet", asked),
        asked === null ? null : get(`/api/v1/history?limit=${EVENTS}`, asked),
      ]);
      if (asked !== token) return;
      seen = { health, status, events: history?.entries ?? [], at: Date.now() };
      fault = null;
      render();
    } catch (error) {
      if (asked !== token) return;
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        forget(error.status === 401 ? "This is not a token of this fleet." : error.message);
      } else {
        fault = error instanceof Refused ? error.message : "no answer";
      }
    } finally {
      looking = false;
      tick();
      // Somebody who gave a token meanwhile does not wait for the next look.
      if (asked !== token) look();
    }
  }

  function forget(why) {
    token = null;
    if (seen !== null) seen = { ...seen, status: null, events: [] };
    at("refused").textContent = why;
    render();
  }

  const seconds = (ms) => Math.max(0, Math.round(ms / 1_000));
  function age(ms) {
    if (ms === null) return "–";
    const s = seconds(ms);
    if (s < 100) return `${s} s`;
    if (s < 6_000) return `${Math.round(s / 60)} min`;
    return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} d`;
  }
  const bytes = (n) =>
    n === null ? "–" : n < 2 ** 30 ? `${Math.round(n / 2 ** 20)} MiB` : `${(n / 2 ** 30).toFixed(1)} GiB`;

  /** How old the view is, every second: a page that nobody feeds must say so by itself. */
  function tick() {
    const since = seen === null ? null : Date.now() - seen.at;
    const old = seen === null ? fault !== null : since > STALE_MS;
    document.body.classList.toggle("stale", old);
    if (seen === null) {
      at("age").textContent = fault === null ? "Asking …" : `No router answers: ${fault}`;
      return;
    }
    const by = `as node ${seen.health.instanceId} saw it ${age(since)} ago`;
    const why = fault === null ? "" : `, ${fault}`;
    at("age").textContent = old ? `Not up to date${why}: this is ${by}` : by;
  }

  /** Element with its class and children; text is never read as HTML. */
  function el(name, kind, ...children) {
    const node = document.createElement(name);
    if (kind) node.className = kind;
    node.append(...children);
    return node;
  }

  /** `columns`: names, with "#" before those of numbers. A cell is text, or [class, text]. */
  function table(title, columns, rows) {
    const numeric = columns.map((name) => name.startsWith("#"));
    const head = columns.map((name, i) => {
      const cell = el("th", numeric[i] ? "n" : "", name.replace("#", ""));
      cell.scope = "col";
      return cell;
    });
    const body = rows.map((row) =>
      el(
        "tr",
        "",
        ...row.map((value, i) => {
          const [kind, text] = Array.isArray(value) ? value : ["", value];
          return el("td", `${kind}${numeric[i] ? " n" : ""}`.trim(), String(text));
        }),
      ),
    );
    return [
      el("h2", "", title),
      el("div", "card", el("table", "", el("thead", "", el("tr", "", ...head)), el("tbody", "", ...body))),
    ];
  }

  const stateCell = (state) => [STATE_COLOUR[state] ?? "warn", state];

  function replicaCell(replica) {
    if (!replica) return "–";
    if (replica.unreplicated) return ["bad", `none for ${seconds(replica.lagMs)} s`];
    return replica.lagMs < 1_000 ? "current" : ["warn", `${seconds(replica.lagMs)} s behind`];
  }

  function noteCell({ state, restarts, reason, channels }) {
    const notes = (channels?.down ?? []).map(({ bot, why }) => `${bot} reaches nobody: ${why}`);
    if (reason !== null && (state !== "serving" || restarts > 0)) notes.unshift(reason);
    return ["long", notes.join("; ")];
  }

  function factsOf({ store, heldRequests, update }) {
    const facts = [
      el(
        "span",
        store.ok ? "" : "bad",
        `Lease store ${store.kind}: ${store.ok ? "ok" : "does not answer, so this is what the node last knew"}`,
      ),
      el("span", heldRequests > 0 ? "warn" : "", `Requests held: ${heldRequests}`),
    ];
    if (update) {
      const { to, waiting, refused } = update;
      const text = refused
        ? `OpenClaw ${to} failed on ${refused.shard}: ${refused.why}`
        : `OpenClaw ${to} comes to ${waiting.join(", ")}`;
      facts.push(el("span", refused ? "bad" : "warn", text));
    }
    const leave = el("button", "", "Forget the token");
    leave.type = "button";
    leave.addEventListener("click", () => forget(""));
    return el("div", "facts", ...facts, leave);
  }

  function render() {
    const status = seen?.status ?? null;
    at("ask").hidden = token !== null;
    at("view").hidden = status === null;
    if (seen === null) return;
    const { health } = seen;
    const { serving, total } = health.shards;
    at("fleet").textContent = health.fleet;
    at("command").textContent = `./fleet output adminToken --show-secrets --stack ${health.fleet}`;
    document.title = `${health.status === "ok" ? "" : `${health.status}: `}${health.fleet}`;
    at("verdict").className = COLOUR[health.status] ?? "warn";
    at("verdict").textContent = `${health.status}: ${serving} of ${total} shards serving`;
    if (status === null) {
      at("view").replaceChildren();
      return;
    }
    at("view").replaceChildren(
      factsOf(status),
      ...table(
        "Nodes",
        ["Node", "State", "Shards", "OpenClaw", "#Memory", "#Seen"],
        status.nodes.map((node) => [
          node.id,
          stateCell(node.state),
          ["long", node.shards.join(" ") || "–"],
          node.version,
          bytes(node.memoryBytes),
          node.seenMsAgo === null ? "–" : `${age(node.seenMsAgo)} ago`,
        ]),
      ),
      ...table(
        "Shards",
        ["Shard", "State", "Owner", "#Epoch", "#Age", "#Memory", "#Sessions", "#Restarts", "Replica", "Note"],
        status.shards.map((shard) => [
          shard.id,
          stateCell(shard.state),
          shard.owner ?? "–",
          shard.epoch,
          age(shard.startedAt === null ? null : Date.now() - Date.parse(shard.startedAt)),
          bytes(shard.memoryBytes),
          shard.sessions,
          shard.restarts,
          replicaCell(shard.replica),
          noteCell(shard),
        ]),
      ),
      ...table(
        "Newest events",
        ["Time (UTC)", "Shard", "Node", "Event", "Detail"],
        seen.events
          .toReversed()
          .map((entry) => [
            entry.at.replace("T", " ").slice(0, 19),
            entry.shard ?? "–",
            entry.node ?? "–",
            entry.event,
            ["long", entry.detail],
          ]),
      ),
    );
  }

  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = at("token");
    token = field.value.trim();
    field.value = "";
    at("refused").textContent = "";
    render();
    look();
  });
  document.addEventListener("visibilitychange", look);
  setInterval(look, LOOK_MS);
  setInterval(tick, 1_000);
  render();
  tick();
  look();
})();
