import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { HEADER } from "../../gateway/contract.ts";

/** A fleet as its admin routes show it; tests change what it says. */
export class FakeFleet {
  readonly calls: string[] = [];
  readonly nodes = new Map<string, string>();
  shard: { state: string; owner: string | null; reason: string | null } = {
    state: "serving",
    owner: "a",
    reason: null,
  };
  chat = { status: 200, body: { reply: "OK" } as unknown };
  update: object | undefined;
  version = "1";
  /** Revision of the settings that a node says it follows; undefined: it does not say. */
  follows: (node: string) => string | undefined = () => undefined;
  readonly server: Server;
  port = 0;

  constructor() {
    this.server = createServer(async (request, response) => {
      let text = "";
      for await (const part of request) text += part;
      const { node } = text ? JSON.parse(text) : { node: "" };
      const send = (status: number, body: unknown) => {
        response.writeHead(status, { connection: "close" }).end(JSON.stringify(body));
      };
      const path = request.url ?? "";
      const alive = /^\/(\w+)\/internal\/alive$/.exec(path)?.[1];
      if (alive)
        return send(request.headers[HEADER.peerToken] ? 200 : 401, {
          instanceId: alive,
          settings: this.follows(alive),
        });
      if (path === "/api/v1/chat") {
        this.calls.push("chat");
        return send(this.chat.status, this.chat.body);
      }
      if (path === "/api/v1/fleet/drain") {
        this.calls.push(`drain ${node}`);
        this.nodes.set(node, "maintenance");
        if (this.shard.owner === node) {
          this.shard.owner = [...this.nodes.keys()].find((id) => id !== node) ?? null;
        }
      } else if (path === "/api/v1/fleet/resume") {
        this.calls.push(`resume ${node}`);
        this.nodes.set(node, "active");
      }
      send(200, {
        fleet: "dev",
        update: this.update,
        nodes: [...this.nodes].map(([id, state]) => ({
          id,
          state,
          version: this.version,
          // One server stands for all nodes: the path tells which is asked.
          address: `127.0.0.1:${this.port}/${id}`,
        })),
        shards: [{ id: "s1", agents: ["main"], epoch: 1, ...this.shard }],
      });
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.port = (this.server.address() as AddressInfo).port;
  }
}
