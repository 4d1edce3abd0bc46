import { COMPILES, hardening } from "../host/hardening.ts";
import { type HostContext, type HostPart, UNIT_ORDER } from "../host/types.ts";
import { REDIS_USERS, redisEtc, secretOf } from "./config.ts";
import { REDIS_USER, type RedisLayout } from "./layout.ts";

const SERVICE = "openclaw-fleet-redis-cluster.service";
const TIMER = "openclaw-fleet-redis-cluster.timer";
const WHOLE_SECONDS = 180;

/**
 * What makes a cluster of servers: a program that looks every minute, does what is missing and ends. It
 * forms the cluster when all servers are there, which while hosts are made one after the other no single
 * step of a deployment could.
 */
export function clusterPart(
  context: HostContext,
  layout: RedisLayout,
  cli: (context: HostContext, port: number) => string[],
): HostPart {
  const { paths, self } = context;
  const etc = redisEtc(paths);
  const file = {
    self: self.address,
    servers: layout.servers.map(({ host, port, shard, first }) => ({
      host: host.address,
      port,
      shard,
      first,
    })),
    user: REDIS_USERS.operator,
    password: secretOf(REDIS_USERS.operator),
    ca: `${etc}/tls/ca.pem`,
  };
  const config = `${etc}/cluster.json`;
  const ask = cli(context, context.ports.redis).join(" ");
  return {
    files: {
      [config]: {
        content: `${JSON.stringify(file, null, 2)}\n`,
        owner: "root",
        group: REDIS_USER,
        mode: "0640",
        format: "json",
      },
    },
    units: {
      [SERVICE]: {
        content: `[Unit]
Description=Forms and mends the OpenClaw fleet's Redis cluster
After=openclaw-fleet-redis.service

[Service]
Type=oneshot
User=${REDIS_USER}
Group=${REDIS_USER}
ExecStart=${paths.release}/bin/node ${paths.release}/runtime/redis-cluster.js ${config}
TimeoutStartSec=300
Nice=10
MemoryMax=256M
${hardening({ except: COMPILES })}
`,
        state: "triggered",
        order: UNIT_ORDER.sessions + 1,
      },
      [TIMER]: {
        content: `[Unit]
Description=Looks after the OpenClaw fleet's Redis cluster

[Timer]
OnActiveSec=1s
OnUnitInactiveSec=1min
AccuracySec=5s

[Install]
WantedBy=timers.target
`,
        state: "enabled",
        order: UNIT_ORDER.sessions + 2,
      },
    },
    checks: {
      "the Redis cluster is whole": {
        argv: [
          "/bin/sh",
          "-c",
          `info=$(${ask} CLUSTER INFO) && case $info in *cluster_state:ok*cluster_slots_assigned:16384*) ;; *) echo "$info" >&2; exit 1 ;; esac`,
        ],
        deadlineSeconds: WHOLE_SECONDS,
        needsFleet: true,
        remedy: `Look at journalctl -u ${SERVICE} on every host, and whether they reach each other on the ports of Redis and 10000 above`,
      },
    },
  };
}
