import { STATUS_PAGE } from "../../gateway/contract.ts";
import {
  ADMIN_PATHS,
  attemptsOf,
  CLOSED_BELOW,
  CONTENT_POLICY,
  certificateFiles,
  FRONT_ERRORS,
  type FrontPlan,
  frontError,
  FRONT_NUMBERS as N,
  ownHeaders,
  ROUTER_NAME,
  SENT_ONCE,
  securityHeaders,
} from "../front/plan.ts";
import type { HostContext } from "../host/types.ts";

/** The variable with a request's id. */
export const REQUEST_ID = "$fleet_request";

/** Lines one step further in; empty ones are left out. */
export const indent = (lines: readonly string[], by = "  ") =>
  lines.filter((line) => line !== "").map((line) => by + line);

/** The directives that open a port. */
export function listen(port: number, options: string, plan: FrontPlan): string[] {
  const proxied = plan.proxyProtocolFrom.length > 0 ? " proxy_protocol" : "";
  return [
    `listen ${port}${options}${proxied};`,
    plan.ipv6 ? `listen [::]:${port}${options}${proxied};` : "",
  ];
}

/** Who speaks the PROXY protocol, if anybody does. */
export function realAddress(plan: FrontPlan): string[] {
  if (plan.proxyProtocolFrom.length === 0) return [];
  return [
    ...plan.proxyProtocolFrom.map((range) => `set_real_ip_from ${range};`),
    "real_ip_header proxy_protocol;",
  ];
}

/** The server that people talk to. */
export function secure(context: HostContext, plan: FrontPlan): string[] {
  const { cert, key } = certificateFiles(plan, context.paths);
  const { connections, burst } = plan.limits;
  return [
    "server {",
    ...indent([
      "# The form that 1.22 knows; later ones say that there is a newer.",
      ...listen(
        plan.httpsPort,
        ` ssl http2${plan.names.length === 0 ? " default_server" : ""}`,
        plan,
      ),
      `server_name ${plan.names.length === 0 ? "_" : plan.names.join(" ")};`,
      ...realAddress(plan),
      `ssl_certificate ${cert};`,
      `ssl_certificate_key ${key};`,
      "",
      `limit_conn fleet_connections ${connections};`,
      `limit_req zone=fleet_requests burst=${burst} nodelay;`,
      "",
      ...towardsRouters(context, plan),
      "",
      ...ownAnswers(context, plan),
      ...headersOf(plan),
      "",
      ...locations(plan),
    ]),
    "}",
  ];
}

function towardsRouters({ paths: { tls } }: HostContext, plan: FrontPlan): string[] {
  return [
    "proxy_http_version 1.1;",
    `proxy_ssl_certificate ${tls}/node.pem;`,
    `proxy_ssl_certificate_key ${tls}/node.key;`,
    `proxy_ssl_trusted_certificate ${tls}/ca.pem;`,
    "proxy_ssl_protocols TLSv1.3;",
    "proxy_ssl_verify on;",
    "proxy_ssl_verify_depth 2;",
    `proxy_ssl_name ${ROUTER_NAME};`,
    "proxy_ssl_server_name on;",
    "# Event by event, never kept back. Requests are read whole first: a slow client holds no router.",
    "proxy_buffering off;",
    "proxy_request_buffering on;",
    `proxy_connect_timeout ${N.connectSeconds}s;`,
    `proxy_read_timeout ${N.idleSeconds}s;`,
    `proxy_send_timeout ${N.idleSeconds}s;`,
    "# Another router only where Nginx knows that nothing was sent, or for a GET. Without `non_idempotent`",
    "# a POST is never sent twice.",
    "proxy_next_upstream error timeout;",
    `proxy_next_upstream_tries ${attemptsOf(plan)};`,
    "proxy_set_header Host $host;",
    "proxy_set_header Upgrade $fleet_upgrade;",
    "proxy_set_header Connection $fleet_connection;",
    "proxy_set_header X-Request-Id $fleet_request;",
    "# Set, not appended: what a client says of its own address counts for nothing.",
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Proto https;",
    "proxy_set_header X-Forwarded-Host $host;",
    ...["Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP", "True-Client-IP"].map(
      (name) => `proxy_set_header ${name} "";`,
    ),
  ];
}

const add = (headers: Readonly<Record<string, string>>): string[] =>
  Object.entries(headers).map(([name, value]) => `add_header ${name} "${value}" always;`);

/** Shard, epoch, instance and request on every answer that has them from no router: Nginx leaves empty ones out. */
export const marks = (): string[] =>
  Object.keys(ownHeaders("", "")).map(
    (name) => `add_header ${name} $fleet_own_${name.replaceAll("-", "_")} always;`,
  );

const headersOf = (plan: FrontPlan): string[] => [
  ...marks(),
  ...add({ ...securityHeaders(plan), ...CONTENT_POLICY }),
];

/** Answers of the front itself, in the router's form. What a router answers passes as it is. */
function ownAnswers({ self }: HostContext, plan: FrontPlan): string[] {
  const answers = Object.keys(FRONT_ERRORS).map(Number);
  // Nginx's own number for headers that are too large.
  const raised = (status: number) => (status === 431 ? "494 =431" : `${status}`);
  const say = (status: number) => `return ${status} '${frontError(status, REQUEST_ID)}';`;
  const lost = [502, 504];
  return [
    ...answers
      .filter((status) => !lost.includes(status))
      .flatMap((status) => {
        const again = status === 429 || status === 503;
        // A location with a header of its own has none of the others.
        const headers = again ? ['add_header Retry-After "1" always;', ...headersOf(plan)] : [];
        return [
          `error_page ${raised(status)} @fleet_${status};`,
          `location @fleet_${status} { ${[...headers, say(status)].join(" ")} }`,
        ];
      }),
    "error_page 502 504 @fleet_lost;",
    "location @fleet_lost {",
    ...indent([
      "# A router that was lost within its head left some of it behind.",
      ...add({
        ...ownHeaders(self.name, REQUEST_ID),
        ...securityHeaders(plan),
        ...CONTENT_POLICY,
      }),
      "if ($fleet_unreached) { return 503; }",
      `if ($status = 504) { ${say(504)} }`,
      say(502),
    ]),
    "}",
    "recursive_error_pages on;",
  ];
}

function locations(plan: FrontPlan): string[] {
  return [
    "# Inside only, but for what is named.",
    `location ^~ ${CLOSED_BELOW} { return 404; }`,
    ...adminLocations(plan.adminFrom),
    "# A page, which says itself what it may do. A location with a header of its own has none of the others.",
    `location = ${STATUS_PAGE} {`,
    ...indent([...marks(), ...add(securityHeaders(plan)), "proxy_pass https://fleet_routers;"]),
    "}",
    ...sentOnce(attemptsOf(plan)),
    "location / { proxy_pass https://fleet_routers; }",
  ];
}

/** A location for each attempt: only between two of them can be told whether anything was sent. */
function sentOnce(attempts: number): string[] {
  const named = (attempt: number) => `@fleet_attempt_${attempt}`;
  return [
    "# A turn begins, or a webhook counts, by any method here: sent again only if nothing was sent.",
    ...Array.from({ length: attempts }, (_, n) => n + 1).flatMap((attempt) => [
      `location ${attempt === 1 ? `~ ${SENT_ONCE}` : named(attempt)} {`,
      ...indent([
        "proxy_next_upstream off;",
        `error_page 502 504 ${attempt === attempts ? "@fleet_lost" : `= ${named(attempt + 1)}`};`,
        ...(attempt === 1 ? [] : ["if ($fleet_unreached = '') { return 502; }"]),
        "proxy_pass https://fleet_routers;",
      ]),
      "}",
    ]),
  ];
}

/** The fleet's own API, from where it may be reached. */
function adminLocations(from: readonly string[] | null): string[] {
  const ranges = from === null ? [] : [...from.map((range) => `allow ${range};`), "deny all;"];
  const allow = ranges.join(" ");
  return ADMIN_PATHS.map((path) =>
    path.endsWith("/*")
      ? `location ^~ ${path.slice(0, -1)} { ${allow} proxy_pass https://fleet_routers; }`
      : `location = ${path} { ${allow} proxy_pass https://fleet_routers; }`,
  );
}
