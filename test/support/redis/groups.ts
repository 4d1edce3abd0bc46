import { Redis, type RedisOptions } from "ioredis";
import { eventually } from "../eventually.ts";
import { RedisServer } from "./server.ts";

/** How long a server must be silent before the others act, ms. */
const SILENT_MS = 2_000;
/** Longest wait for servers to agree, ms. */
const AGREE_MS = 90_000;
const SLOTS = 16_384;

/** A server that is asked, and as whom. */
export interface Asked {
  readonly host: string;
  readonly port: number;
  /** @default plain, as the default user */
  readonly access?: Pick<RedisOptions, "username" | "password" | "tls">;
}

/** One command, over a connection of its own. */
export async function ask(server: Asked, ...command: string[]): Promise<unknown> {
  const client = new Redis({
    ...server.access,
    host: server.host,
    port: server.port,
    lazyConnect: true,
    retryStrategy: null,
    enableReadyCheck: false,
    commandTimeout: 10_000,
    maxRetriesPerRequest: 0,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    return await client.call(command[0] as string, ...command.slice(1));
  } finally {
    client.disconnect();
  }
}

const info = async (server: RedisServer, section: string) =>
  String(await ask(server, "INFO", section));

export interface SentinelGroup {
  name: string;
  servers: RedisServer[];
  sentinels: RedisServer[];
  /** The server that Sentinels name as master now. */
  master(): Promise<RedisServer>;
  close(): Promise<void>;
}

/** A master with two replicas and three Sentinels that agree, two of which decide. */
export async function sentinelGroup(config: readonly string[] = []): Promise<SentinelGroup> {
  const name = "fleet";
  const servers: RedisServer[] = [await RedisServer.start({ config })];
  const [first] = servers as [RedisServer];
  const replica = [...config, `replicaof ${first.host} ${first.port}`];
  for (let n = 0; n < 2; n++) servers.push(await RedisServer.start({ config: replica }));
  await eventually(async () => {
    if (!/connected_slaves:2/.test(await info(first, "replication")))
      throw new Error("no replicas");
  }, AGREE_MS);
  const watched = [
    `sentinel monitor ${name} ${first.host} ${first.port} 2`,
    `sentinel down-after-milliseconds ${name} ${SILENT_MS}`,
    `sentinel failover-timeout ${name} 10000`,
    `sentinel parallel-syncs ${name} 2`,
  ];
  const sentinels: RedisServer[] = [];
  for (let n = 0; n < 3; n++) {
    sentinels.push(await RedisServer.start({ sentinel: true, config: watched }));
  }
  for (const sentinel of sentinels) {
    await eventually(async () => {
      const seen = await info(sentinel, "sentinel");
      if (!/status=ok,.*slaves=2,sentinels=3/.test(seen)) throw new Error(seen);
    }, AGREE_MS);
  }
  return {
    name,
    servers,
    sentinels,
    async master() {
      const asked = ["SENTINEL", "get-master-addr-by-name", name];
      const named = (await ask(sentinels[0] as RedisServer, ...asked)) as [string, string];
      return servers.find((server) => server.port === Number(named[1])) as RedisServer;
    },
    async close() {
      await Promise.all([...sentinels, ...servers].map((server) => server.close()));
    },
  };
}

export interface ClusterGroup {
  servers: RedisServer[];
  /** The master of a hash slot now. */
  masterOf(slot: number): Promise<RedisServer>;
  masters(): Promise<RedisServer[]>;
  close(): Promise<void>;
}

/** Three masters, each with one replica. */
export async function clusterGroup(): Promise<ClusterGroup> {
  const config = ["cluster-enabled yes", `cluster-node-timeout ${SILENT_MS}`];
  const servers: RedisServer[] = [];
  for (let n = 0; n < 6; n++) servers.push(await RedisServer.start({ config }));
  const [first, ...others] = servers as [RedisServer, ...RedisServer[]];
  const busOf = async (server: RedisServer) =>
    String(((await ask(server, "CONFIG", "GET", "cluster-port")) as string[])[1]);
  for (const other of others) {
    await ask(first, "CLUSTER", "MEET", other.host, String(other.port), await busOf(other));
  }
  const masters = servers.slice(0, 3);
  for (const [n, master] of masters.entries()) {
    const from = Math.round((n * SLOTS) / 3);
    const to = Math.round(((n + 1) * SLOTS) / 3) - 1;
    await ask(master, "CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
  }
  for (const [n, replica] of servers.slice(3).entries()) {
    const id = String(await ask(masters[n] as RedisServer, "CLUSTER", "MYID"));
    await eventually(() => ask(replica, "CLUSTER", "REPLICATE", id), AGREE_MS);
  }
  const whole = async () => {
    for (const server of servers) {
      const state = String(await ask(server, "CLUSTER", "INFO"));
      if (!/cluster_state:ok/.test(state)) throw new Error(state);
      const nodes = String(await ask(server, "CLUSTER", "NODES"));
      if (nodes.split("slave").length !== 4) throw new Error(nodes);
    }
    for (const master of masters) {
      const seen = await info(master, "replication");
      if (!/state=online/.test(seen)) throw new Error(seen);
    }
  };
  await eventually(whole, AGREE_MS);
  const ranges = async () => {
    for (const server of servers) {
      const slots = await ask(server, "CLUSTER", "SLOTS").catch(() => null);
      if (slots) return slots as [number, number, [string, number]][];
    }
    throw new Error("no server of the cluster answers");
  };
  const at = (port: number) => servers.find((server) => server.port === port) as RedisServer;
  return {
    servers,
    async masterOf(slot) {
      const range = (await ranges()).find(([from, to]) => from <= slot && slot <= to);
      return at(range?.[2][1] as number);
    },
    async masters() {
      return [...new Set((await ranges()).map(([, , [, port]]) => at(port)))];
    },
    async close() {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}
