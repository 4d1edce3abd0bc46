import { Agent, request } from "node:http";
import { expect, test } from "vitest";
import { FastFleet } from "./fleet.ts";

/** Clients that ask again and again until told to stop; what was no answer is a fault. */
function load(fleet: FastFleet) {
  let over = false;
  let asked = 0;
  const faults: string[] = [];
  const kept = new Agent({ keepAlive: true });
  const once = (path: string, body: string | null, agent: Agent | false) =>
    new Promise<string | null>((resolve) => {
      const headers = { authorization: `Bearer ${fleet.tokens.client[0]}` };
      const method = body === null ? "GET" : "POST";
      const where = { host: "127.0.0.1", port: fleet.port, path, method, headers, agent };
      const req = request(where, (res) => {
        let text = "";
        res.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        res.on("error", (error) => resolve(`${path}: ${error}`));
        res.on("end", () => resolve(res.statusCode === 200 ? null : `${res.statusCode}: ${text}`));
      });
      req.on("error", (error) => resolve(`${path}: ${error}`));
      req.end(body);
    });
  const client = async (path: string, message: boolean, agent: Agent | false) => {
    while (!over) {
      asked += 1;
      const body = message ? JSON.stringify({ session: `s${asked % 9}`, message: "hi" }) : null;
      const fault = await once(path, body, agent);
      if (fault !== null) faults.push(fault);
    }
  };
  const clients = [false as const, kept].flatMap((agent) => [
    client("/healthz", false, agent),
    client("/api/v1/chat", true, agent),
  ]);
  return {
    asked: () => asked,
    stop: async () => {
      over = true;
      await Promise.all(clients);
      kept.destroy();
      return faults;
    },
  };
}

test.runIf(process.platform === "linux")(
  "every node stopped and started again under load: no client notices",
  { timeout: 300_000 },
  async () => {
    const fleet = await FastFleet.start({ nodes: ["a", "b"], shards: 2 });
    try {
      const clients = load(fleet);
      for (const node of fleet.nodes) {
        const before = clients.asked();
        await fleet.stopNode(node);
        await fleet.startNode(node);
        await fleet.served();
        expect(clients.asked()).toBeGreaterThan(before);
      }
      expect(await clients.stop()).toEqual([]);
      expect(fleet.faults()).toEqual([]);
    } finally {
      await fleet.remove();
    }
  },
);
