import { endpoint } from "../../gateway/address.ts";
import type { HostContext, HostPart } from "../host/types.ts";
import { ALERT_TIMING, alertmanagerConfig } from "../watch/receivers.ts";
import { ruleFile } from "../watch/rules/index.ts";
import { BINARIES, MONITOR_USER, UNITS, WATCH_PORTS, WATCH_TIMING } from "./catalog.ts";
import { watchRules } from "./facts.ts";
import type { WatchNeed } from "./need.ts";
import { hostNamed, json, ownFile, type WatchPlaces } from "./places.ts";
import { blackboxConfig } from "./probes.ts";
import { needsToken, prometheusConfig } from "./scrape.ts";
import { program, unitText } from "./units.ts";

/** Share of the bound that old blocks may fill; the rest is for the newest hours and a compaction. */
const BLOCKS_SHARE = 0.8;

export function prometheus(context: HostContext, need: WatchNeed, places: WatchPlaces): HostPart {
  const { ports = WATCH_PORTS, settings } = need;
  const state = `${places.state}/prometheus`;
  const listen = endpoint("127.0.0.1", ports.prometheus);
  const bound = Math.max(256, Math.floor(settings.metricsGiB * 1024 * BLOCKS_SHARE));
  const reloadOn = [places.prometheus, places.rules];
  return {
    ...program("prometheus", {
      content: unitText({
        description: "Prometheus of the OpenClaw fleet",
        argv: [
          BINARIES.prometheus,
          `--config.file=${places.prometheus}`,
          `--storage.tsdb.path=${state}`,
          `--storage.tsdb.retention.time=${settings.metricsDays}d`,
          `--storage.tsdb.retention.size=${bound}MB`,
          `--web.listen-address=${listen}`,
          `--web.external-url=http://${listen}`,
        ],
        writes: [state],
        reloads: true,
        lines: ["TimeoutStopSec=60", "LimitNOFILE=32768"],
      }),
      reloadOn,
      ...(needsToken(context) ? { restartOn: [places.token] } : {}),
      verify: [BINARIES.promtool, "check", "config", places.prometheus],
    }),
    directories: { [state]: { owner: MONITOR_USER, group: MONITOR_USER, mode: "0750" } },
    files: {
      [places.prometheus]: ownFile(json(prometheusConfig(context, need, places))),
      [places.rules]: ownFile(json(ruleFile(watchRules(context, need)))),
      ...(needsToken(context) ? { [places.token]: ownFile("{{secret token.admin}}") } : {}),
    },
    checks: {
      "Prometheus answers": {
        argv: [BINARIES.promtool, "query", "instant", `http://${listen}`, "vector(1)"],
        deadlineSeconds: 120,
        remedy: `Look at journalctl -u ${UNITS.prometheus}`,
      },
    },
  };
}

export function alertmanager(need: WatchNeed, places: WatchPlaces): HostPart {
  const { ports = WATCH_PORTS, settings, timing = WATCH_TIMING } = need;
  const state = `${places.state}/alertmanager`;
  const listen = endpoint("127.0.0.1", ports.alertmanager);
  const waits =
    timing.groupWaitSeconds === undefined
      ? ALERT_TIMING
      : {
          groupWaitSeconds: timing.groupWaitSeconds,
          groupIntervalSeconds: timing.groupWaitSeconds,
        };
  return {
    ...program("alertmanager", {
      content: unitText({
        description: "Alertmanager of the OpenClaw fleet",
        argv: [
          BINARIES.alertmanager,
          `--config.file=${places.alertmanager}`,
          `--storage.path=${state}`,
          `--web.listen-address=${listen}`,
          `--web.external-url=http://${listen}`,
          // There is one; its port for others stays shut.
          "--cluster.listen-address=",
        ],
        writes: [state],
        reloads: true,
      }),
      reloadOn: [places.alertmanager],
      verify: [BINARIES.amtool, "check-config", places.alertmanager],
    }),
    directories: { [state]: { owner: MONITOR_USER, group: MONITOR_USER, mode: "0750" } },
    files: {
      [places.alertmanager]: ownFile(
        json(alertmanagerConfig(settings.alerts, "inline", waits)),
        "json",
      ),
    },
    checks: {
      "Alertmanager answers": {
        argv: [BINARIES.amtool, `--alertmanager.url=http://${listen}`, "alert", "query"],
        deadlineSeconds: 60,
        remedy: `Look at journalctl -u ${UNITS.alertmanager}`,
      },
    },
  };
}

export function blackbox(need: WatchNeed, places: WatchPlaces): HostPart {
  const { ports = WATCH_PORTS } = need;
  return {
    ...program("blackbox", {
      content: unitText({
        description: "Probes of the OpenClaw fleet",
        argv: [
          BINARIES.blackbox,
          `--config.file=${places.blackbox}`,
          `--web.listen-address=${endpoint("127.0.0.1", ports.blackbox)}`,
        ],
        reloads: true,
      }),
      reloadOn: [places.blackbox],
      verify: [BINARIES.blackbox, "--config.check", `--config.file=${places.blackbox}`],
    }),
    files: { [places.blackbox]: ownFile(json(blackboxConfig(need, places))) },
  };
}

/** The user of Redis's that may only look; its password is the secret `redis.exporter`. */
const REDIS_READER = "exporter";

/** One exporter asks every server: a host with Redis alone has nothing of ours to look after besides. */
export function redisExporter(
  context: HostContext,
  need: WatchNeed,
  places: WatchPlaces,
): HostPart {
  const { ports = WATCH_PORTS } = need;
  const passwords = Object.fromEntries(
    need.redis.flatMap(({ host, port }) => {
      const server = endpoint(hostNamed(context, host).address, port);
      // Versions differ in whether they look for the user too.
      return [`rediss://${server}`, `rediss://${REDIS_READER}@${server}`].map((key) => [
        key,
        `{{secret redis.${REDIS_READER}}}`,
      ]);
    }),
  );
  return {
    ...program("redis", {
      content: unitText({
        description: "Redis metrics of the OpenClaw fleet",
        argv: [
          BINARIES.redis,
          `-web.listen-address=${endpoint("127.0.0.1", ports.redis)}`,
          // Nothing of its own: every server is a target.
          "-redis.addr=",
          `-redis.user=${REDIS_READER}`,
          `-redis.password-file=${places.redisPasswords}`,
          `-tls-ca-cert-file=${places.ca}`,
          `-tls-client-cert-file=${places.cert}`,
          `-tls-client-key-file=${places.key}`,
        ],
      }),
      restartOn: [places.redisPasswords, places.ca, places.cert, places.key],
    }),
    files: { [places.redisPasswords]: ownFile(json(passwords), "json") },
  };
}
