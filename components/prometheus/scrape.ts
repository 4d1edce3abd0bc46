import { isIP } from "node:net";
import { endpoint } from "../../gateway/address.ts";
import type { HostContext } from "../host/types.ts";
import { HOST_JOBS, JOB } from "../watch/catalog.ts";
import { WATCH_PORTS, WATCH_TIMING } from "./catalog.ts";
import { hasCanary } from "./front.ts";
import type { WatchNeed } from "./need.ts";
import { hostNamed, type WatchPlaces } from "./places.ts";
import { MODULE, probes } from "./probes.ts";

/** One target under the name that alerts say. */
interface Target {
  readonly address: string;
  readonly instance: string;
}

/** `prometheus.yml` of the host that watches. */
export function prometheusConfig(context: HostContext, need: WatchNeed, places: WatchPlaces) {
  const { hosts, ports } = context;
  const { ports: own = WATCH_PORTS, timing = WATCH_TIMING } = need;
  const every = `${timing.scrapeSeconds}s`;
  const tls = {
    ca_file: places.ca,
    cert_file: places.cert,
    key_file: places.key,
    min_version: "TLS13",
  };
  const nodes = hosts.filter((host) => !host.witness);
  const job = (name: string, targets: readonly Target[], more: object = {}) =>
    targets.length === 0
      ? []
      : [{ job_name: name, static_configs: targets.map(staticConfig), ...more }];
  const overTls = { scheme: "https", tls_config: tls };
  const local = (port: number) => endpoint("127.0.0.1", port);
  return {
    global: {
      scrape_interval: every,
      // The default is as long as ten seconds: longer than the interval is refused.
      scrape_timeout: `${Math.min(timing.scrapeSeconds, 8)}s`,
      evaluation_interval: every,
      external_labels: { fleet: context.fleet },
    },
    rule_files: [places.rules],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [local(own.alertmanager)] }] }] },
    scrape_configs: [
      ...job(
        JOB,
        nodes.map(({ name, address }) => ({
          address: endpoint(address, ports.router),
          instance: name,
        })),
        {
          ...overTls,
          ...(needsToken(context) ? { authorization: { credentials_file: places.token } } : {}),
        },
      ),
      ...job(
        HOST_JOBS.machine,
        hosts.map(({ name, address }) => ({
          address: endpoint(address, own.machine),
          instance: name,
        })),
        overTls,
      ),
      ...job(
        HOST_JOBS.etcd,
        need.etcd.map((name) => ({
          address: endpoint(hostNamed(context, name).address, ports.etcdClient),
          instance: name,
        })),
        overTls,
      ),
      ...job(
        HOST_JOBS.redis,
        need.redis.map(({ host, port }) => ({
          address: `rediss://${endpoint(hostNamed(context, host).address, port)}`,
          instance:
            need.redis.filter((each) => each.host === host).length > 1 ? `${host}:${port}` : host,
        })),
        { metrics_path: "/scrape", relabel_configs: through(local(own.redis)) },
      ),
      ...probeJobs(context, need, local(own.blackbox)),
      ...(hasCanary(need)
        ? job(HOST_JOBS.canary, [{ address: local(own.canary), instance: "canary" }])
        : []),
      ...job(HOST_JOBS.watcher, [
        { address: local(own.prometheus), instance: "prometheus" },
        { address: local(own.alertmanager), instance: "alertmanager" },
        { address: local(own.blackbox), instance: "blackbox-exporter" },
        ...(need.redis.length > 0
          ? [{ address: local(own.redis), instance: "redis-exporter" }]
          : []),
      ]),
    ],
  };
}

/**
 * Routers let a scraper in by its address, which needs no secret here. An address that is a name cannot
 * be compared with one; then the admin token goes along.
 */
export function needsToken({ self }: HostContext): boolean {
  return isIP(self.address) === 0;
}

function probeJobs(context: HostContext, need: WatchNeed, blackbox: string) {
  const { timing = WATCH_TIMING } = need;
  return probes(context, need).map(({ job, module, targets }) => ({
    job_name: module === MODULE.byName ? `${job}-of-each-host` : job,
    metrics_path: "/probe",
    params: { module: [module] },
    scrape_interval: `${timing.probeSeconds}s`,
    scrape_timeout: `${Math.min(timing.probeSeconds, 10)}s`,
    static_configs: targets.map(staticConfig),
    relabel_configs: [
      ...through(blackbox),
      // Rules know one job, whatever the module.
      { target_label: "job", replacement: job },
    ],
  }));
}

function staticConfig({ address, instance }: Target) {
  return { targets: [address], labels: { instance } };
}

/** The target becomes a parameter of an exporter that asks it. */
function through(exporter: string) {
  return [
    { source_labels: ["__address__"], target_label: "__param_target" },
    { target_label: "__address__", replacement: exporter },
  ];
}
