import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "vitest";
import type { NodeApiAccess } from "../../../../plugin/host/agent/protocol.ts";

/** Node `a` of a fleet as its router answers on loopback, while `up` says that it runs. */
export class FakeNode {
  /** What was asked of it, by the last word of the route. */
  readonly calls: string[] = [];
  state: "active" | "maintenance" | "lost" = "active";
  /** The only shard's owner. A drain gives it to `b`. */
  owner = "a";
  others = ["b"];
  /** How the others are. */
  othersAre: "active" | "maintenance" | "lost" = "active";
  /** Nobody takes its shard, whatever it is told. */
  keeps = false;
  /** The route, by its last word, that it refuses. */
  refuses = "";
  store = true;
  readonly #server;

  constructor(up: () => boolean) {
    this.#server = createServer(async (request, response) => {
      for await (const _ of request);
      const { url = "", method, headers } = request;
      if (method === "POST" && up()) {
        expect(headers.authorization).toBe("Bearer the-token");
        this.calls.push(url.split("/").at(-1) as string);
        if (this.refuses !== "" && url.endsWith(this.refuses)) {
          response.writeHead(409, { connection: "close" }).end("not now");
          return;
        }
        this.state = url.endsWith("drain") ? "maintenance" : "active";
        if (url.endsWith("drain") && !this.keeps) this.owner = "b";
      }
      response.writeHead(up() ? 200 : 503, { connection: "close" }).end(
        JSON.stringify({
          instanceId: "a",
          nodes: [
            { id: "a", state: this.state },
            ...this.others.map((id) => ({ id, state: this.othersAre })),
          ],
          shards: [{ id: "s1", owner: this.owner, state: "serving" }],
          store: { kind: "etcd", ok: this.store },
        }),
      );
    });
  }

  async listen(): Promise<NodeApiAccess> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return { port: (this.#server.address() as AddressInfo).port, token: "the-token" };
  }

  async close(): Promise<void> {
    await new Promise((done) => this.#server.close(done));
  }
}
