import { isIP } from "node:net";
import { endpoint } from "../../gateway/address.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { type HostContext, type HostFacts, type HostPart, OPEN_DIRECTORY } from "../host/types.ts";
import { RECEIVER_KEYS, type Receiver } from "../watch/catalog.ts";
import { givenSecret } from "../watch/receivers.ts";
import type { MonitoringSettings } from "../watch/settings.ts";
import { planCanary } from "./canary.ts";
import { BINARIES, MONITOR_USER, WATCH_PORTS } from "./catalog.ts";
import { fleetFacts } from "./facts.ts";
import { DASHBOARDS, grafanaFiles } from "./grafana.ts";
import type { WatchNeed } from "./need.ts";
import { json, ownFile, watchPlaces } from "./places.ts";
import { alertmanager, blackbox, prometheus, redisExporter } from "./programs.ts";
import { program, unitText } from "./units.ts";

/** What every part of monitoring on a host shares: its user, folders and certificates. */
function ground({ self, paths }: HostContext): HostPart {
  const places = watchPlaces(paths);
  const own = { owner: MONITOR_USER, group: MONITOR_USER, mode: "0750" };
  return {
    users: { [MONITOR_USER]: { home: places.state } },
    directories: {
      [paths.etc]: OPEN_DIRECTORY,
      [places.etc]: { owner: "root", group: MONITOR_USER, mode: "0750" },
      [places.state]: own,
    },
    files: {
      [places.ca]: ownFile("{{secret tls.ca}}"),
      [places.cert]: ownFile(`{{secret tls.${self.name}.cert}}`),
      [places.key]: ownFile(`{{secret tls.${self.name}.key}}`),
    },
  };
}

/** What every host tells about itself, to whoever has a certificate of the fleet. */
export function planNodeExporter(context: HostContext, ports = WATCH_PORTS): HostPart {
  const places = watchPlaces(context.paths);
  const web = {
    tls_server_config: {
      cert_file: places.cert,
      key_file: places.key,
      client_auth_type: "RequireAndVerifyClientCert",
      client_ca_file: places.ca,
      min_version: "TLS13",
    },
  };
  const argv = [
    BINARIES.machine,
    `--web.listen-address=${endpoint(bindAddress(context.self), ports.machine)}`,
    `--web.config.file=${places.machineWeb}`,
    "--collector.disable-defaults",
    ...MACHINE_COLLECTORS.map((name) => `--collector.${name}`),
    "--collector.systemd.unit-include=openclaw-fleet-.+",
    // Of the file systems only those that fill.
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys)($|/)",
  ];
  const base = ground(context);
  const part = program("machine", {
    content: unitText({ description: "Machine metrics of the OpenClaw fleet", argv }),
    restartOn: [places.machineWeb],
  });
  return {
    ...base,
    ...part,
    files: { ...base.files, [places.machineWeb]: ownFile(json(web)) },
  };
}

/** What the rules and a person who looks need; the others are a thousand series a host. */
const MACHINE_COLLECTORS = [
  "cpu",
  "diskstats",
  "filesystem",
  "loadavg",
  "meminfo",
  "netdev",
  "pressure",
  "systemd",
  "time",
  "uname",
  "vmstat",
] as const;

/** A name may mean another address on the host itself; then all are listened on. */
function bindAddress({ address }: HostFacts): string {
  return isIP(address) === 0 ? "0.0.0.0" : address;
}

/**
 * The host that watches: as the settings say, else the one that did, as long as it is there, since its metrics
 * are on it; else a witness, else the last. Throws ConfigError.
 * @param before who watched after the last `up`; undefined before the first
 */
export function watchingHost(
  hosts: readonly HostFacts[],
  { host }: Pick<MonitoringSettings, "host">,
  before?: string,
): string {
  if (host !== undefined) {
    if (hosts.some(({ name }) => name === host)) return host;
    const names = hosts.map(({ name }) => name).join(", ");
    throw new ConfigError(
      "monitoring.host",
      `is ${host}, and no host has that name`,
      `Name one of ${names}`,
    );
  }
  const chosen =
    hosts.find(({ name }) => name === before) ??
    hosts.find(({ witness }) => witness) ??
    hosts.at(-1);
  if (!chosen) throw new Error("a fleet without hosts is watched by nobody");
  return chosen.name;
}

/**
 * Addresses that routers must let read metrics, for `scrapers` of fleet.json. Empty when the host that
 * watches is known by a name only: it has a token then.
 */
export function scraperAddresses(hosts: readonly HostFacts[], watching: string): string[] {
  const address = hosts.find(({ name }) => name === watching)?.address ?? "";
  return isIP(address) === 0 ? [] : [address];
}

/** Prometheus, Alertmanager, the exporters that ask others, and the canary, for the host that watches. */
export function planPrometheus(context: HostContext, need: WatchNeed): HostPart {
  checkSecrets(need.settings);
  const places = watchPlaces(context.paths);
  const base = ground(context);
  const facts = fleetFacts(context, need);
  const { ports = WATCH_PORTS, settings } = need;
  const parts: HostPart[] = [
    base,
    prometheus(context, need, places),
    alertmanager(need, places),
    blackbox(need, places),
    ...(need.redis.length > 0 ? [redisExporter(context, need, places)] : []),
    planCanary(context, need),
    settings.grafana
      ? {
          directories: { [DASHBOARDS]: OPEN_DIRECTORY },
          files: grafanaFiles(facts, `http://${endpoint("127.0.0.1", ports.prometheus)}`),
        }
      : {},
  ];
  return {
    packages: parts.flatMap((part) => part.packages ?? []),
    users: base.users ?? {},
    directories: Object.assign({}, ...parts.map((part) => part.directories)),
    files: Object.assign({}, ...parts.map((part) => part.files)),
    units: Object.assign({}, ...parts.map((part) => part.units)),
    checks: Object.assign({}, ...parts.map((part) => part.checks)),
  };
}

const MARK = /^\{\{secret [A-Za-z0-9._[\]-]+\}\}$/;

/**
 * Receivers need their secrets here: there is no Secrets Manager. As marks: a plan is shown. Throws
 * ConfigError with every one that is missing.
 */
function checkSecrets({ alerts }: MonitoringSettings): void {
  const faults: Fault[] = [];
  for (const kind of Object.keys(RECEIVER_KEYS) as Receiver[]) {
    if (alerts[kind] === undefined) continue;
    const field = kind === "pagerDuty" ? "key" : kind === "email" ? "password" : "url";
    const setting = `monitoring.alerts.${kind}.${field}`;
    const given = givenSecret(alerts, kind);
    if (given === undefined) {
      if (kind === "email" && alerts.email?.username === undefined) continue;
      faults.push({
        setting,
        problem: "is missing",
        remedy: `Set it to env:NAME or a Pulumi secret, or leave monitoring.alerts.${kind} out`,
      });
    } else if (!MARK.test(given)) {
      throw new Error(`${setting} came to the plan as it is, and a plan must hold no secret`);
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
}
