import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

export interface ConnectProxy {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * An HTTPS proxy on loopback that knows one name better: connections to `host` go to a local port,
 * where the tunnel begins, all others go straight out. So kubectl, Pulumi and the AWS CLI use the
 * cluster's own name and check its own certificate, and nothing in a kubeconfig changes.
 */
export async function connectProxy(args: {
  /** Name of the cluster's API. */
  readonly host: string;
  /** Local end of the tunnel. */
  readonly tunnelPort: number;
  /** 0: any free one. */
  readonly port: number;
}): Promise<ConnectProxy> {
  const open = new Set<Socket>();
  const server: Server = createServer((_, response) => {
    response.writeHead(405, { "content-type": "text/plain" });
    response.end("this proxy only takes CONNECT\n");
  });
  server.on("connect", (request, client: Socket, head: Buffer) => {
    open.add(client);
    client.once("close", () => open.delete(client));
    const wanted = parseTarget(request.url ?? "");
    if (!wanted) return client.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    const ours = wanted.host.toLowerCase() === args.host.toLowerCase();
    const upstream = ours
      ? connect(args.tunnelPort, "127.0.0.1")
      : connect(wanted.port, wanted.host);
    open.add(upstream);
    upstream.once("close", () => {
      open.delete(upstream);
      // What it said last is still on its way.
      client.end();
    });
    upstream.once("connect", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      upstream.write(head);
      client.pipe(upstream).pipe(client);
    });
    upstream.once("error", () => {
      if (upstream.connecting || upstream.bytesRead === 0) {
        client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      } else client.destroy();
    });
    client.once("error", () => upstream.destroy());
    client.once("close", () => upstream.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(args.port, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** `name:443`, `[::1]:443`. */
function parseTarget(url: string): { host: string; port: number } | null {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(url);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port > 0 && port < 65_536 ? { host, port } : null;
}
