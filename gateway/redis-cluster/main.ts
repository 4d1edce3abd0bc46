import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { z } from "zod";
import { nextSteps, type PlannedServer, parseNodes, type Step } from "./steps.ts";

/** Passes in a row, with a pause between them for servers to tell each other. */
const PASSES = 30;
const PAUSE_MS = 1_000;
const ANSWER_MS = 3_000;
/** A cluster's servers talk on this much more than their port. */
const BUS = 10_000;

/** The file that is named as argument. */
export const clusterFile = z.strictObject({
  /** This host's address. */
  self: z.string(),
  servers: z.array(
    z.strictObject({
      host: z.string(),
      port: z.number(),
      shard: z.number(),
      first: z.boolean(),
    }),
  ),
  user: z.string(),
  password: z.string(),
  /** File of the fleet's authority. */
  ca: z.string(),
});

/** Forms and mends the cluster as far as it goes now. Gives back how many commands it took. */
export async function mendCluster(
  file: z.infer<typeof clusterFile>,
  say: (line: string) => void,
  passes = PASSES,
): Promise<number> {
  const tls = { ca: readFileSync(file.ca, "utf8") };
  const clients = file.servers.map(({ host, port }) => {
    const client = new Redis({
      ...{ host, port, tls, username: file.user, password: file.password, protocol: 2 },
      lazyConnect: true,
      enableReadyCheck: false,
      disableClientInfo: true,
      connectTimeout: ANSWER_MS,
      commandTimeout: ANSWER_MS,
      maxRetriesPerRequest: 0,
      retryStrategy: null,
    });
    // What fails is seen by whoever asks.
    client.on("error", () => {});
    return client;
  });
  let done = 0;
  try {
    for (let pass = 0; pass < passes; pass++) {
      const views = await Promise.all(
        clients.map(async (client) => {
          try {
            if (client.status !== "ready") await client.connect();
            return parseNodes(String(await client.call("CLUSTER", "NODES")));
          } catch {
            return null;
          }
        }),
      );
      const steps = nextSteps(file.self, file.servers, views);
      if (steps.length === 0) return done;
      for (const step of steps) {
        const client = clients[step.on] as Redis;
        const { host, port } = file.servers[step.on] as PlannedServer;
        const command = await commandOf(step);
        try {
          await client.call("CLUSTER", ...command);
          done += 1;
          say(`${host}:${port}: CLUSTER ${command.join(" ")}`);
        } catch (error) {
          // Others act, too: the next pass sees what is left.
          say(`${host}:${port}: CLUSTER ${command.join(" ")}: ${(error as Error).message}`);
        }
      }
      await sleep(PAUSE_MS);
    }
    return done;
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function commandOf(step: Step): Promise<string[]> {
  switch (step.kind) {
    case "meet": {
      const { host, port } = step.other;
      // Servers meet by address, not by name.
      const address = isIP(host) ? host : (await lookup(host)).address;
      return ["MEET", address, String(port), String(port + BUS)];
    }
    case "slots":
      return ["ADDSLOTSRANGE", String(step.from), String(step.to)];
    case "replicate":
      return ["REPLICATE", step.master];
    case "forget":
      return ["FORGET", step.id];
    case "take-over":
      return ["FAILOVER"];
  }
}

if (import.meta.main) {
  const [path = ""] = process.argv.slice(2);
  const file = clusterFile.parse(JSON.parse(readFileSync(path, "utf8")));
  await mendCluster(file, (msg) =>
    process.stdout.write(
      `${JSON.stringify({ time: new Date().toISOString(), level: "info", msg })}\n`,
    ),
  );
}
