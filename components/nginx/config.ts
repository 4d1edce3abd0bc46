import { endpoint } from "../../gateway/address.ts";
import {
  type Balancing,
  type FrontPlan,
  frontState,
  FRONT_NUMBERS as N,
  ownHeaders,
} from "../front/plan.ts";
import type { HostContext } from "../host/types.ts";
import { indent, listen, marks, REQUEST_ID, realAddress, secure } from "./server.ts";

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
    "# What the router's answer has not, because there is none.",
    ...Object.entries(ownHeaders(context.self.name, REQUEST_ID)).map(([name, value]) => {
      const variable = name.replaceAll("-", "_");
      return `map $upstream_http_${variable} $fleet_own_${variable} { "" "${value}"; default ""; }`;
    }),
    ...marks(),
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
    "# When connections run out, Nginx closes idle ones itself.",
    `keepalive_timeout ${N.idleSeconds}s;`,
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
