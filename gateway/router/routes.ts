import { STATUS_PAGE } from "../contract.ts";
import { RouterError } from "./errors.ts";

/** Where a path leads. `pattern` is the metric's label, so it comes from a fixed list. */
export interface Target {
  kind: RouteKind;
  pattern: string;
  /** Path and query as OpenClaw shall see them: without the agent prefix. */
  upstreamPath: string;
  query: URLSearchParams;
  pathAgent: string | null;
  /** Of `/channels/<channel>/…`. */
  channel: string | null;
}

export type RouteKind =
  | "healthz"
  | "readyz"
  | "startupz"
  | "health"
  | "status-page"
  | "metrics"
  | "chat"
  | "chat-stream"
  | "openai"
  | "hooks"
  | "channels"
  | "fleet"
  | "fleet-drain"
  | "fleet-resume"
  | "fleet-move"
  | "fleet-backups"
  | "fleet-restore"
  | "fleet-adopt"
  | "history"
  | "agent-drain"
  | "websocket";

interface Fixed {
  kind: RouteKind;
  methods: readonly string[];
}

const GET = ["GET", "HEAD"] as const;
const POST = ["POST"] as const;

const FIXED = new Map<string, Fixed>([
  ["/healthz", { kind: "healthz", methods: GET }],
  ["/health", { kind: "healthz", methods: GET }],
  ["/readyz", { kind: "readyz", methods: GET }],
  ["/startupz", { kind: "startupz", methods: GET }],
  ["/api/v1/health", { kind: "health", methods: GET }],
  [STATUS_PAGE, { kind: "status-page", methods: GET }],
  ["/api/v1/metrics", { kind: "metrics", methods: GET }],
  ["/metrics", { kind: "metrics", methods: GET }],
  ["/api/v1/chat", { kind: "chat", methods: POST }],
  ["/api/v1/chat/stream", { kind: "chat-stream", methods: ["GET", "POST"] }],
  ["/api/v1/fleet", { kind: "fleet", methods: GET }],
  ["/api/v1/fleet/drain", { kind: "fleet-drain", methods: POST }],
  ["/api/v1/fleet/resume", { kind: "fleet-resume", methods: POST }],
  ["/api/v1/fleet/move", { kind: "fleet-move", methods: POST }],
  ["/api/v1/fleet/backups", { kind: "fleet-backups", methods: GET }],
  ["/api/v1/fleet/restore", { kind: "fleet-restore", methods: POST }],
  ["/api/v1/fleet/adopt", { kind: "fleet-adopt", methods: POST }],
  ["/api/v1/history", { kind: "history", methods: GET }],
  ["/internal/agent/drain", { kind: "agent-drain", methods: POST }],
  ["/v1/models", { kind: "openai", methods: GET }],
  ["/v1/chat/completions", { kind: "openai", methods: POST }],
  ["/v1/responses", { kind: "openai", methods: POST }],
  ["/v1/embeddings", { kind: "openai", methods: POST }],
  ["/", { kind: "websocket", methods: GET }],
]);

/** Routes that an agent's prefix may stand before. */
const PREFIXED = new Set<RouteKind>([
  "chat",
  "chat-stream",
  "openai",
  "hooks",
  "channels",
  "websocket",
]);

/** Every value of the `route` label. */
export const PATTERNS: readonly string[] = [
  ...FIXED.keys(),
  "/v1/models/*",
  "/hooks/*",
  "/channels/*",
  "other",
];

/** Segments that a server behind might read in another way than this one. */
const AMBIGUOUS = /\/\/|\\|\/\.{1,2}(?:\/|$)|%2e|%2f|%5c|%00|%25/i;

/**
 * Finds the route of a request target. Throws RouterError: `bad_request` for a path that two servers
 * could read differently, `not_found`, `method_not_allowed`.
 */
export function resolveTarget(rawUrl: string, method: string, upgrade = false): Target {
  let url = rawUrl;
  if (/^https?:\/\//i.test(url)) url = url.replace(/^https?:\/\/[^/?]*/i, "") || "/";
  if (!url.startsWith("/")) throw new RouterError("bad_request", "the request target is no path");
  const mark = url.indexOf("?");
  const fullPath = mark < 0 ? url : url.slice(0, mark);
  const search = mark < 0 ? "" : url.slice(mark);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (AMBIGUOUS.test(fullPath) || /[\u0000-\u0020\u007f-\uffff]/.test(url)) {
    throw new RouterError("bad_request", "the path is ambiguous: dots, doubled or encoded slashes");
  }
  let path = fullPath;
  let pathAgent: string | null = null;
  const prefix = /^\/agents\/([^/]+)(\/.*)?$/.exec(fullPath);
  if (prefix?.[1]) {
    pathAgent = decode(prefix[1]);
    path = prefix[2] ?? "/";
  }
  const found = match(path);
  if (!found || (pathAgent !== null && !PREFIXED.has(found.kind))) {
    throw new RouterError("not_found", `there is nothing at ${fullPath.slice(0, 200)}`);
  }
  if (found.kind === "websocket" && !upgrade) {
    throw new RouterError("not_found", "this path speaks WebSocket only; try /api/v1/chat");
  }
  if (!found.methods.includes(method)) {
    throw new RouterError(
      "method_not_allowed",
      `${method} is not for ${path.slice(0, 200)}; use ${found.methods.join(" or ")}`,
    );
  }
  return {
    kind: found.kind,
    pattern: found.pattern,
    upstreamPath: path + search,
    query: new URLSearchParams(search),
    pathAgent,
    channel: found.channel,
  };
}

/** The `route` label of a target, also of one that was refused. */
export function patternOf(rawUrl: string): string {
  const path = (rawUrl.split("?", 1)[0] ?? "").replace(/^\/agents\/[^/]+/, "") || "/";
  return match(path)?.pattern ?? "other";
}

const ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

function match(path: string): (Fixed & { pattern: string; channel: string | null }) | null {
  const fixed = FIXED.get(path);
  if (fixed) return { ...fixed, pattern: path, channel: null };
  if (path.startsWith("/v1/models/")) {
    return { kind: "openai", methods: GET, pattern: "/v1/models/*", channel: null };
  }
  if (path.startsWith("/hooks/")) {
    return { kind: "hooks", methods: ANY, pattern: "/hooks/*", channel: null };
  }
  const channel = /^\/channels\/([A-Za-z0-9_-]+)(?:\/.*)?$/.exec(path)?.[1];
  if (channel) {
    return { kind: "channels", methods: ANY, pattern: "/channels/*", channel };
  }
  return null;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new RouterError("bad_request", "the agent in the path is not valid percent-encoding");
  }
}
