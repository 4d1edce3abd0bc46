import { FRONT } from "../../gateway/contract.ts";
import {
  ADMIN_PATHS,
  type Balancing,
  certificateFiles,
  endpoint,
  FRONT_ERRORS,
  type FrontPlan,
  frontError,
  frontState,
  FRONT_NUMBERS as N,
  ROUTER_NAME,
  SENT_ONCE,
  securityHeaders,
} from "../front/plan.ts";
import type { HostContext } from "../host/types.ts";

/** What differs between a host and a test. */
export interface NginxPlaces {
  readonly pid: string;
  /** Master and workers; null: whoever starts it. */
  readonly user: string | null;
  /** As Nginx names a log: the journal, or a file. */
  readonly accessLog: string;
  readonly errorLog: string;
  /** Bodies that are larger than a buffer, for as long as their request runs. */
  readonly temporary: string;
}

/** Journald keeps, rotates and forwards: there is no file to look after. */
const JOURNAL = "syslog:server=unix:/dev/log,nohostname,tag=openclaw_fleet_nginx";

export const NGINX_PLACES: NginxPlaces = {
  // Below /run itself: `nginx -t` opens it before the unit ever ran.
  pid: "/run/openclaw-fleet-nginx.pid",
  user: "www-data",
  accessLog: JOURNAL,
  errorLog: JOURNAL,
  temporary: "/var/lib/nginx",
};

/** Where ACME's answers lie below the state directory. */
export const ACME_FOLDER = "acme";
/** Path under which fronts ask each other for an answer of ACME: whoever asked for a certificate has it. */
const ACME_PEERS = "/.well-known/openclaw-fleet-acme/";

const BALANCING: Readonly<Record<Balancing, string>> = {
  round_robin: "",
  least_conn: "least_conn;",
  ip_hash: "ip_hash;",
};

/** Intermediate list of ssl-config.mozilla.org (5.7), for TLS 1.2; 1.3 has its own. */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

const indent = (lines: readonly string[], by = "  ") =>
  lines.filter((line) => line !== "").map((line) => by + line);

/** Text of nginx.conf, for Nginx 1.22 to 1.28 as Debian and Ubuntu build it. */
export function nginxConfig(
  context: HostContext,
  plan: FrontPlan,
  places: NginxPlaces = NGINX_PLACES,
): string {
  const acme = plan.certificate.kind === "acme";
  return [
    ...(places.user ? [`user ${places.user};`] : []),
    "worker_processes auto;",
    "worker_rlimit_nofile 65536;",
    `pid ${places.pid};`,
    "# Lines at `error` quote the request with its query, in which people's words may stand; what failed",
    "# upstream is in the access log, without it.",
    `error_log ${places.errorLog} crit;`,
    "# Streams of the old configuration end by themselves, at the latest then.",
    `worker_shutdown_timeout ${N.reloadSeconds}s;`,
    "events { worker_connections 16384; }",
    "",
    "http {",
    ...indent([
      ...general(context, places),
      ...limits(plan),
      ...upstreams(context, plan),
      ...(acme ? acmePeers(context, plan) : []),
      ...plain(context, plan),
      ...unknownNames(plan),
      ...secure(context, plan),
    ]),
    "}",
    "",
  ].join("\n");
}

function general(context: HostContext, places: NginxPlaces): string[] {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${places.temporary}/${kind.replace("client_", "")};`,
  );
  const fields = [
    '"time":"$time_iso8601","level":"info","msg":"request"',
    `"instanceId":"${context.self.name}","requestId":"$fleet_request","address":"$remote_addr"`,
    // Without the query: $uri, not $request_uri.
    '"method":"$request_method","path":"$uri","protocol":"$server_protocol","tls":"$ssl_protocol"',
    '"status":$status,"bytes":$body_bytes_sent,"seconds":$request_time',
    '"router":"$upstream_addr","routerStatus":"$upstream_status","routerSeconds":"$upstream_response_time"',
  ];
  return [
    "default_type application/json;",
    "server_tokens off;",
    ...temporary,
    "log_format fleet escape=json '{'",
    ...fields.map((field, n) => `  '${field}${n < fields.length - 1 ? "," : ""}'`),
    "  '}';",
    `access_log ${places.accessLog} fleet;`,
    "",
    "# A client's own id, if it can go into logs; else a new one.",
    'map $http_x_request_id $fleet_request { "~^[A-Za-z0-9_.:+/=-]{1,128}$" $http_x_request_id; default $request_id; }',
    "# Only WebSocket is ever upgraded to.",
    'map $http_upgrade $fleet_upgrade { "~*^websocket$" websocket; default ""; }',
    'map $http_upgrade $fleet_connection { "~*^websocket$" upgrade; default ""; }',
    "# 1 when no router was connected to: then nothing was sent, and a second attempt harms nobody.",
    'map $upstream_connect_time $fleet_unreached { "~[0-9]" ""; default 1; }',
    "",
    "# As the router has it: what it would refuse does not get there.",
    `client_max_body_size ${N.bodyBytes};`,
    `large_client_header_buffers 2 ${N.headBytes / 2};`,
    `client_header_timeout ${N.headSeconds}s;`,
    `client_body_timeout ${N.bodyIdleSeconds}s;`,
    `send_timeout ${N.sendSeconds}s;`,
    "reset_timedout_connection on;",
    "# Here, not at a name: Nginx takes them from the first server of a port, whatever name is asked for.",
    "ssl_protocols TLSv1.2 TLSv1.3;",
    `ssl_ciphers ${CIPHERS};`,
    "ssl_prefer_server_ciphers off;",
    "ssl_session_cache shared:fleet_tls:10m;",
    "ssl_session_tickets off;",
    "keepalive_timeout 75s;",
    "keepalive_requests 100000;",
    "",
  ];
}

function limits({ limits: { requestsPerSecond } }: FrontPlan): string[] {
  return [
    "limit_conn_zone $binary_remote_addr zone=fleet_connections:10m;",
    `limit_req_zone $binary_remote_addr zone=fleet_requests:10m rate=${requestsPerSecond}r/s;`,
    "limit_conn_status 429;",
    "limit_req_status 429;",
    "",
  ];
}

function upstreams({ ports }: HostContext, plan: FrontPlan): string[] {
  return [
    "upstream fleet_routers {",
    ...indent([
      "# All workers know of a router that failed.",
      "zone fleet_routers 256k;",
      BALANCING[plan.balancing],
      ...plan.routers.map(
        ({ address }) =>
          `server ${endpoint(address, ports.router)} max_fails=1 fail_timeout=${N.failSeconds}s;`,
      ),
      "keepalive 64;",
      "# Far below what routers keep: the front closes first.",
      `keepalive_timeout ${N.upstreamIdleSeconds}s;`,
      "keepalive_requests 1000000;",
    ]),
    "}",
    "",
  ];
}

function acmePeers({ self }: HostContext, plan: FrontPlan): string[] {
  const others = plan.fronts.filter(({ name }) => name !== self.name);
  if (others.length === 0) return [];
  return [
    "upstream fleet_fronts {",
    ...indent(
      others.map(({ address }) => `server ${endpoint(address, plan.httpPort)} max_fails=0;`),
    ),
    "}",
    "",
  ];
}

function listen(port: number, options: string, plan: FrontPlan): string[] {
  const proxied = plan.proxyProtocolFrom.length > 0 ? " proxy_protocol" : "";
  return [
    `listen ${port}${options}${proxied};`,
    plan.ipv6 ? `listen [::]:${port}${options}${proxied};` : "",
  ];
}

function realAddress(plan: FrontPlan): string[] {
  if (plan.proxyProtocolFrom.length === 0) return [];
  return [
    ...plan.proxyProtocolFrom.map((range) => `set_real_ip_from ${range};`),
    "real_ip_header proxy_protocol;",
  ];
}

/** Plain HTTP: answers of ACME, and the way to HTTPS. */
function plain(context: HostContext, plan: FrontPlan): string[] {
  const port = plan.httpsPort === 443 ? "" : `:${plan.httpsPort}`;
  // A name of ours, not whatever the request says: nobody is sent elsewhere.
  const to = plan.names[0]?.startsWith("*.") === false ? plan.names[0] : "$host";
  return [
    "server {",
    ...indent([
      ...listen(plan.httpPort, " default_server", plan),
      ...realAddress(plan),
      ...acmeLocations(context, plan),
      `location / { return 308 https://${plan.names.length > 1 ? "$host" : to}${port}$request_uri; }`,
    ]),
    "}",
    "",
  ];
}

function acmeLocations(context: HostContext, plan: FrontPlan): string[] {
  if (plan.certificate.kind !== "acme") return [];
  const folder = `${frontState(context.paths)}/${ACME_FOLDER}/.well-known/acme-challenge/`;
  const others = plan.fronts.length > 1;
  return [
    "# One name leads to every front, so the one that is asked may not be the one that asked ACME.",
    `location /.well-known/acme-challenge/ { alias ${folder}; default_type text/plain; ${
      others ? "error_page 404 = @fronts; log_not_found off;" : ""
    } }`,
    ...(others
      ? [
          `location ${ACME_PEERS} { alias ${folder}; default_type text/plain; log_not_found off; }`,
          "location @fronts {",
          ...indent([
            `rewrite ^/.well-known/acme-challenge/(.*)$ ${ACME_PEERS}$1 break;`,
            "proxy_pass http://fleet_fronts;",
            "proxy_connect_timeout 2s;",
            "proxy_read_timeout 5s;",
            "proxy_next_upstream error timeout http_404;",
          ]),
          "}",
        ]
      : []),
  ];
}

/** Whoever asks for a name that is not ours learns nothing, not even a certificate. */
function unknownNames(plan: FrontPlan): string[] {
  if (plan.names.length === 0) return [];
  return [
    "server {",
    ...indent([
      ...listen(plan.httpsPort, " ssl http2 default_server", plan),
      "ssl_reject_handshake on;",
    ]),
    "}",
    "",
  ];
}

function secure(context: HostContext, plan: FrontPlan): string[] {
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
      ...towardsRouters(context),
      "",
      ...ownAnswers(plan),
      ...headersOf(plan),
      "",
      ...locations(plan),
    ]),
    "}",
  ];
}

function towardsRouters({ paths: { tls } }: HostContext): string[] {
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
    "proxy_next_upstream_tries 2;",
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

const headersOf = (plan: FrontPlan): string[] =>
  Object.entries(securityHeaders(plan)).map(
    ([name, value]) => `add_header ${name} "${value}" always;`,
  );

/** Answers of the front itself, in the router's form. What a router answers passes as it is. */
function ownAnswers(plan: FrontPlan): string[] {
  const answers = Object.keys(FRONT_ERRORS).map(Number);
  // Nginx's own number for headers that are too large.
  const raised = (status: number) => (status === 431 ? "494 =431" : `${status}`);
  const say = (status: number) => `return ${status} '${frontError(status, "$fleet_request")}';`;
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
      "if ($fleet_unreached) { return 503; }",
      `if ($status = 504) { ${say(504)} }`,
      say(502),
    ]),
    "}",
    "recursive_error_pages on;",
  ];
}

function locations(plan: FrontPlan): string[] {
  const closed = FRONT.closedPaths.map((path) =>
    path.endsWith("/*")
      ? `location ^~ ${path.slice(0, -1)} { return 404; }`
      : `location = ${path} { return 404; }`,
  );
  const admin = plan.adminFrom === null ? [] : adminLocations(plan.adminFrom);
  return [
    "# Inside only.",
    ...closed,
    ...admin,
    "# A turn begins, or a webhook counts, by any method here: sent again only if nothing was sent.",
    `location ~ ${SENT_ONCE} {`,
    ...indent([
      "proxy_next_upstream off;",
      "error_page 502 504 = @fleet_once_more;",
      "proxy_pass https://fleet_routers;",
    ]),
    "}",
    "location @fleet_once_more {",
    ...indent([
      "proxy_next_upstream off;",
      "error_page 502 504 @fleet_lost;",
      "if ($fleet_unreached = '') { return 502; }",
      "proxy_pass https://fleet_routers;",
    ]),
    "}",
    "location / { proxy_pass https://fleet_routers; }",
  ];
}

function adminLocations(from: readonly string[]): string[] {
  const allow = [...from.map((range) => `allow ${range};`), "deny all;"].join(" ");
  return ADMIN_PATHS.map((path) =>
    path.endsWith("/*")
      ? `location ^~ ${path.slice(0, -1)} { ${allow} proxy_pass https://fleet_routers; }`
      : `location = ${path} { ${allow} proxy_pass https://fleet_routers; }`,
  );
}
