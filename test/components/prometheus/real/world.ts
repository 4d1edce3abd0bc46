import { once } from "node:events";
import { createServer as createHttp, type Server } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import type { HostPart } from "../../../../components/host/types.ts";
import { UNITS, type WatchPorts } from "../../../../components/prometheus/catalog.ts";
import type { WatchNeed } from "../../../../components/prometheus/need.ts";
import { planNodeExporter, planPrometheus } from "../../../../components/prometheus/plan.ts";
import { monitoringSettings } from "../../../../components/watch/settings.ts";
import { createMetrics } from "../../../../gateway/observe/metrics.ts";
import { eventually } from "../../../support/eventually.ts";
import { freePorts } from "../../../support/free-ports.ts";
import type { HostWorld } from "../../../support/host-world.ts";
import { PlannedRedis } from "../../../support/redis/planned.ts";
import { watchPrograms } from "../../../support/watch-programs.ts";
import { Programs } from "./programs.ts";

const SHARDS = ["s1", "s2"];
/** The host that watches. */
const WATCHER = "b";

/** A start on a loaded machine may take this long, ms. */
const START_MS = 60_000;

/** A message of Alertmanager's webhook, as far as it is looked at. */
export interface Message {
  readonly receiver: string;
  readonly status: string;
  readonly alerts: readonly {
    readonly status: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

/**
 * Two hosts on loopback, with a real Redis and the real programs of monitoring, started by the command
 * lines of their units. Routers and the front are small servers with the fleet's certificates.
 */
export class WatchWorld {
  readonly hosts: HostWorld;
  readonly messages: Message[] = [];
  readonly ports: WatchPorts;
  readonly #redis: PlannedRedis;
  readonly #programs: Programs;
  readonly #servers = new Map<string, Server>();
  /** What the front says to a chat. */
  reply: { status: number; body: unknown } = { status: 200, body: { reply: "pong" } };

  private constructor(redis: PlannedRedis, root: string, ports: WatchPorts) {
    this.#redis = redis;
    this.hosts = redis.hosts;
    this.#programs = new Programs(root);
    this.ports = ports;
  }

  static async start(): Promise<WatchWorld> {
    const root = await watchPrograms();
    const redis = await PlannedRedis.start("single", 2);
    const addresses = ["127.0.0.1", ...redis.hosts.hosts.map(({ address }) => address)];
    const [machine, prometheus, alertmanager, blackbox, exporter, canary, front] = (await freePorts(
      addresses,
      7,
    )) as [number, number, number, number, number, number, number];
    const ports = { machine, prometheus, alertmanager, blackbox, redis: exporter, canary };
    const world = new WatchWorld(redis, root, ports);
    try {
      await world.#run(front);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  async #run(front: number): Promise<void> {
    const { hosts } = this;
    hosts.secrets.set("token.canary", "canary-token-of-thirty-letters");
    const webhook = await this.#receive();
    hosts.secrets.set("setting.webhook", `${webhook}/alerts`);
    hosts.secrets.set("setting.heartbeat", `${webhook}/heartbeat`);
    for (const { name } of hosts.hosts) await this.startRouter(name);
    await this.#serve("front", hosts.hosts[0]?.address ?? "", front, false, (req) => {
      if (req === "/readyz") return { status: 200, body: { ready: true } };
      return this.reply;
    });
    const need = this.#need(front);
    for (const { name } of hosts.hosts) {
      const context = hosts.context(name);
      const parts = [planNodeExporter(context, this.ports)];
      if (name === WATCHER) parts.push(planPrometheus(context, need));
      for (const part of parts) await this.#install(name, part);
    }
  }

  #need(front: number): WatchNeed {
    const settings = monitoringSettings.parse({ canary: { minutes: 1 } });
    return {
      settings: {
        ...settings,
        alerts: {
          webhook: { url: "{{secret setting.webhook}}" },
          heartbeat: { url: "{{secret setting.heartbeat}}", minutes: 1 },
          repeatHours: 1,
        },
      },
      shards: SHARDS.map((id) => ({ id, recycleMiB: 2560 })),
      replicated: true,
      etcd: [],
      redis: [{ host: "a", port: this.hosts.ports.redis }],
      front: { hosts: ["a"], names: [], port: front, fleetAuthority: true },
      ports: this.ports,
      timing: { scrapeSeconds: 1, probeSeconds: 2, patience: 1 / 40, groupWaitSeconds: 1 },
    };
  }

  /** Starts a node's router: its metrics, behind certificates of the fleet. */
  async startRouter(name: string): Promise<void> {
    const { metrics } = routerMetrics(name);
    const address = this.hosts.hosts.find((host) => host.name === name)?.address ?? "";
    await this.#serve(`router-${name}`, address, this.hosts.ports.router, true, async (path) => {
      if (path === "/metrics") return { status: 200, body: await metrics.registry.metrics() };
      return { status: 200, body: { ok: true } };
    });
  }

  async stopRouter(name: string): Promise<void> {
    await stop(this.#servers.get(`router-${name}`));
  }

  async #serve(
    name: string,
    address: string,
    port: number,
    mutual: boolean,
    answer: (path: string) => Answer | Promise<Answer>,
  ): Promise<void> {
    const { cert, key } = this.hosts.pair("a" === name.at(-1) || name === "front" ? "a" : "b");
    const ca = this.hosts.authority.cert;
    const options = {
      cert,
      key,
      ...(mutual && { ca, requestCert: true, rejectUnauthorized: true }),
    };
    const server = createHttps(options, async (req, res) => {
      req.resume();
      const { status, body } = await answer(req.url ?? "");
      res.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
    });
    server.listen(port, address);
    await once(server, "listening");
    this.#servers.set(name, server);
  }

  async #receive(): Promise<string> {
    const server = createHttp(async (req, res) => {
      const parts: Buffer[] = [];
      for await (const part of req) parts.push(part as Buffer);
      const message = JSON.parse(Buffer.concat(parts).toString()) as Message;
      this.messages.push({ ...message, receiver: req.url ?? "" });
      res.end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#servers.set("webhook", server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Writes a part and starts its units by their own command lines. */
  async #install(host: string, part: HostPart): Promise<void> {
    this.hosts.write(part);
    const { prometheus, ...first } = UNITS;
    for (const unit of [...Object.values(first), prometheus]) {
      const text = part.units?.[unit]?.content;
      if (text === undefined) continue;
      // An alert that finds nobody is sent again only after a minute.
      if (unit === prometheus) await this.#answers(this.ports.alertmanager);
      this.#programs.spawn(`${host}/${unit}`, text);
    }
  }

  async #answers(port: number): Promise<void> {
    await eventually(async () => {
      const { ok } = await fetch(`http://127.0.0.1:${port}/-/ready`);
      if (!ok) throw new Error(`nothing answers yet:\n${this.#programs.said("alertmanager")}`);
    }, START_MS);
  }

  /** Series of a query, by Prometheus's own API. */
  async query(expr: string): Promise<{ metric: Record<string, string>; value: string }[]> {
    const url = new URL(`http://127.0.0.1:${this.ports.prometheus}/api/v1/query`);
    url.searchParams.set("query", expr);
    const { data } = (await (await fetch(url)).json()) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result.map(({ metric, value: [, value] }) => ({ metric, value }));
  }

  async close(): Promise<void> {
    await this.#programs.close();
    await Promise.all([...this.#servers.values()].map(stop));
    await this.#redis.close();
  }
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function stop(server: Server | undefined): Promise<void> {
  if (!server?.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

/** What a node that is well says: a serving shard, a store that answers. */
function routerMetrics(name: string) {
  const metrics = createMetrics();
  const shard = SHARDS[name === "a" ? 0 : 1] as string;
  metrics.setShardState(shard, "serving");
  metrics.leaseEpoch.set({ shard }, 1);
  metrics.replicaLag.set({ shard }, 0.1);
  metrics.storeUp.set(1);
  metrics.sessionStoreUp.set(1);
  return { metrics };
}
