import { endpoint } from "../../gateway/address.ts";
import { STATUS_PAGE } from "../../gateway/contract.ts";
import {
  ADMIN_PATHS,
  attemptsOf,
  CLOSED_BELOW,
  CONTENT_POLICY,
  certificateFiles,
  DRAIN_HOOK,
  FRONT_ERRORS,
  type FrontPlan,
  frontError,
  frontEtc,
  FRONT_NUMBERS as N,
  ownHeaders,
  ROUTER_NAME,
  SENT_ONCE,
  securityHeaders,
} from "../front/plan.ts";
import type { HostContext } from "../host/types.ts";

/** What differs between a host and a test. */
export interface CaddyPlaces {
  /** Socket of its own interface, through which it is reloaded. */
  readonly admin: string;
  /** `stdout`, or `file PATH`. */
  readonly accessLog: string;
}

export const CADDY_PLACES: CaddyPlaces = {
  admin: "/run/openclaw-fleet-caddy/admin.sock",
  accessLog: "stdout",
};

const indent = (lines: readonly string[]) => lines.map((line) => `\t${line}`);
const block = (head: string, lines: readonly string[]) => [`${head} {`, ...indent(lines), "}"];

/** Text of a Caddyfile, for Caddy 2.6 as Debian builds it. */
export function caddyConfig(
  context: HostContext,
  plan: FrontPlan,
  places: CaddyPlaces = CADDY_PLACES,
): string {
  return [
    ...block("", options(plan, places)),
    "",
    ...block(`http://:${plan.httpPort}`, [
      ...bind(plan),
      // In this order: by itself Caddy writes the headers before the request has an id.
      ...block("route", [
        ...NAMED,
        ...block("header", own(context)),
        `redir https://${redirectHost(plan)}{uri} 308`,
      ]),
    ]),
    "",
    ...block(sites(plan), site(context, plan)),
    "",
  ]
    .join("\n")
    .replace(/^ \{/, "{");
}

function redirectHost(plan: FrontPlan): string {
  const port = plan.httpsPort === 443 ? "" : `:${plan.httpsPort}`;
  const [only] = plan.names;
  return `${plan.names.length === 1 && only && !only.startsWith("*.") ? only : "{host}"}${port}`;
}

/** Names that are served; a client that asks for another gets no certificate. */
function sites(plan: FrontPlan): string {
  if (plan.names.length === 0) return `https://:${plan.httpsPort}`;
  return plan.names.map((name) => `https://${name}:${plan.httpsPort}`).join(", ");
}

function options(plan: FrontPlan, places: CaddyPlaces): string[] {
  const { certificate } = plan;
  return [
    `admin unix/${places.admin}`,
    `http_port ${plan.httpPort}`,
    `https_port ${plan.httpsPort}`,
    ...filtered(places),
    ...(certificate.kind === "acme"
      ? [
          ...(certificate.email ? [`email ${certificate.email}`] : []),
          ...(certificate.directory ? [`acme_ca ${certificate.directory}`] : []),
          ...(certificate.directoryCa ? [`acme_ca_root ${certificate.directoryCa}`] : []),
          // Redirects are ours; the answers of ACME are its own.
          "auto_https disable_redirects",
        ]
      : ["auto_https off"]),
    "# What runs on old settings after a reload may end within this. WebSockets are closed at once.",
    `grace_period ${N.reloadSeconds}s`,
    ...block("servers", [
      "protocols h1 h2",
      `max_header_size ${N.headBytes}`,
      ...block("timeouts", [
        `read_header ${N.headSeconds}s`,
        "# No read_body: in Go it would end the answer of a request that was read long ago.",
        `idle ${N.idleSeconds}s`,
      ]),
    ]),
  ];
}

/** Gives every request an id: a client's own, if it can go into logs; else a new one. */
const NAMED = [
  "@nameless not header_regexp X-Request-Id ^[A-Za-z0-9_.:+/=-]{1,128}$",
  "request_header @nameless X-Request-Id {http.request.uuid}",
];
const REQUEST_ID = "{http.request.header.X-Request-Id}";

/** Headers of an answer that no router gave. */
const own = ({ self }: HostContext): string[] => named(ownHeaders(self.name, REQUEST_ID));

const named = (headers: Readonly<Record<string, string>>): string[] =>
  Object.entries(headers).map(([name, value]) => `${name} "${value}"`);

const bind = (plan: FrontPlan): string[] => (plan.ipv6 ? [] : ["bind 0.0.0.0"]);

/** The way to the routers; `again`: methods that may be sent to another once they may have arrived. */
function routers(context: HostContext, plan: FrontPlan, again: string): string[] {
  const { ports, paths } = context;
  const tls = `${frontEtc(paths)}/tls`;
  const to = plan.routers.map(({ address }) => endpoint(address, ports.router)).join(" ");
  return block(`reverse_proxy ${to}`, [
    `lb_policy ${plan.balancing}`,
    "# Another router where none was connected to; or for a GET, where that changes nothing.",
    `lb_retries ${attemptsOf(plan) - 1}`,
    "lb_try_duration 5s",
    ...block("lb_retry_match", [`method ${again}`]),
    `fail_duration ${N.failSeconds}s`,
    "max_fails 1",
    "# No flush_interval: event streams are never kept back, and -1 would hide that a client left. No",
    "# buffer_requests: what is larger than allowed would arrive cut short, and whole as it seems.",
    "header_up Host {host}",
    "# X-Forwarded-For, -Proto and -Host are Caddy's own by default: nobody who calls is a trusted proxy.",
    ...["Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP", "True-Client-IP"].map(
      (name) => `header_up -${name}`,
    ),
    ...block("transport http", [
      "versions 1.1",
      "tls",
      `tls_client_auth ${tls}/node.pem ${tls}/node.key`,
      `tls_trusted_ca_certs ${tls}/ca.pem`,
      `tls_server_name ${ROUTER_NAME}`,
      `dial_timeout ${N.connectSeconds}s`,
      `keepalive ${N.upstreamIdleSeconds}s`,
      `read_buffer 16KiB`,
      `response_header_timeout ${N.idleSeconds}s`,
    ]),
  ]);
}

function site(context: HostContext, plan: FrontPlan): string[] {
  const certificate = caddyCertificate(plan, context);
  return [
    ...(certificate
      ? block(`tls ${certificate.cert} ${certificate.key}`, ["protocols tls1.2 tls1.3"])
      : block("tls", ["protocols tls1.2 tls1.3"])),
    ...bind(plan),
    "log",
    ...NAMED,
    ...headersOf(plan),
    "# The page says itself what it may do.",
    `@policed not path ${STATUS_PAGE}`,
    ...block("header @policed", [...named(CONTENT_POLICY), "defer"]),
    `request_body {`,
    `\tmax_size ${N.bodyBytes}`,
    "}",
    // In this order, which Caddy would otherwise choose.
    ...block("route", [
      "# Inside only, but for what is named.",
      ...block("@closed", [`path ${CLOSED_BELOW}*`, `not path ${DRAIN_HOOK}`]),
      "error @closed 404",
      ...adminOnly(plan),
      "# Only WebSocket is ever upgraded to.",
      "@plain not header_regexp Upgrade (?i)^websocket$",
      "request_header @plain -Upgrade",
      "# A turn begins, or a webhook counts, by any method here: sent again only if nothing was sent.",
      `@once path_regexp ${SENT_ONCE}`,
      ...block("handle @once", routers(context, plan, "NONE")),
      ...block("handle", routers(context, plan, "GET")),
    ]),
    ...ownAnswers(context, plan),
  ];
}

/** The fleet's own API, from where it may be reached. */
function adminOnly({ adminFrom }: FrontPlan): string[] {
  if (adminFrom === null) return [];
  return [
    ...block("@admin", [
      `path ${ADMIN_PATHS.join(" ")}`,
      ...(adminFrom.length > 0 ? [`not remote_ip ${adminFrom.join(" ")}`] : []),
    ]),
    "error @admin 403",
  ];
}

/**
 * One line of JSON a request, without its query and headers. For all that Caddy says: its own errors name
 * requests as well, and a site's own log misses those that name it without its port.
 */
function filtered(places: CaddyPlaces): string[] {
  return block("log", [
    `output ${places.accessLog}`,
    ...block("format filter", [
      "wrap json",
      ...block("fields", ["request>headers delete", 'request>uri regexp "[?].*" ""']),
    ]),
  ]);
}

function headersOf(plan: FrontPlan, more: readonly string[] = []): string[] {
  return block("header", [
    ...more,
    `X-Request-Id ${REQUEST_ID}`,
    ...named(securityHeaders(plan)),
    "-Server",
    "defer",
  ]);
}

/** Answers of the front itself, in the router's form. What a router answers passes as it is. */
function ownAnswers(context: HostContext, plan: FrontPlan): string[] {
  const say = (status: number) => `\`${frontError(status, REQUEST_ID)}\` ${status}`;
  // Caddy's words when it got no connection, with its handshake: then nothing was sent. A body it cannot send again:
  // where its first router was not there, the next one gets none of it (2.6.2).
  const unreached = "(?i)dial |no upstreams|x509|tls: |handshake|read on closed body";
  const lost = [502, 503, 504];
  return block("handle_errors", [
    "header Content-Type application/json",
    ...headersOf(plan, [...own(context), ...named(CONTENT_POLICY)]),
    `@unreached expression \`{err.status_code} in [502, 503, 504] && {err.message}.matches("${unreached}")\``,
    ...block("handle @unreached", ["header Retry-After 1", `respond ${say(503)}`]),
    '@too_large expression {err.message}.contains("body too large")',
    ...block("handle @too_large", [`respond ${say(413)}`]),
    ...Object.keys(FRONT_ERRORS)
      .map(Number)
      .filter((status) => status !== 503)
      .flatMap((status) => [
        `@is_${status} expression {err.status_code} == ${status}`,
        ...block(`handle @is_${status}`, [`respond ${say(status)}`]),
      ]),
    ...block("handle", [`respond ${say(lost[0] as number)}`]),
  ]);
}

/** Certificate that Caddy serves, where it does not make its own. */
function caddyCertificate(
  plan: FrontPlan,
  context: HostContext,
): { cert: string; key: string } | null {
  const etc = frontEtc(context.paths);
  switch (plan.certificate.kind) {
    case "acme":
      return null;
    case "fleet":
      return { cert: `${etc}/tls/node.pem`, key: `${etc}/tls/node.key` };
    case "own":
      return certificateFiles(plan, context.paths);
  }
}
