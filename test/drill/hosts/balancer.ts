import { request as plain } from "node:http";
import { request as secured } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * What a provider's balancer does before several fronts: TCP to one that is ready, to any that answers when none is, and an end
 * for the connections of one that is silent, which otherwise would wait for a host without power. One that says that it
 * is not ready, as before a planned end, keeps the connections it has.
 */
export interface Balancer {
  /** `https://127.0.0.1:port`; each front's own certificate is seen through it. `http:` before routers. */
  readonly endpoint: string;
  close(): Promise<void>;
}

interface Front {
  readonly address: string;
  ready: boolean;
  /** Looks in a row that found it not ready, and those without any answer. */
  misses: number;
  silences: number;
  readonly sockets: Set<Socket>;
}

const LOOK_EVERY_MS = 1_000;
const LOOK_TIMEOUT_MS = 2_000;
/** Looks in a row after which a front counts as not ready, or as gone when none had an answer. */
const MISSES = 2;
const CONNECT_MS = 2_000;
const HTTPS = 443;

/**
 * @param ca certificate of the authority that the fronts' certificates are from, in PEM; null: they are routers
 *   without one
 * @param port of every front
 * @param at where it listens; port 0 is a free one
 */
export async function startBalancer(
  addresses: readonly string[],
  ca: string | null,
  port = HTTPS,
  at = { host: "127.0.0.1", port: 0 },
): Promise<Balancer> {
  const fronts: Front[] = addresses.map((address) => {
    return { address, ready: false, misses: 0, silences: MISSES, sockets: new Set() };
  });
  const look = async (front: Front): Promise<void> => {
    const status = await statusOf(front.address, port, ca);
    const good = status === 200;
    front.misses = good ? 0 : front.misses + 1;
    front.silences = status === null ? front.silences + 1 : 0;
    if (good) front.ready = true;
    else if (front.misses >= MISSES) front.ready = false;
    if (front.silences >= MISSES) for (const socket of front.sockets) socket.destroy();
  };
  let closed = false;
  const watch = async (front: Front): Promise<void> => {
    while (!closed) {
      await look(front);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  };
  const pass = (client: Socket): void => {
    const ready = fronts.filter((one) => one.ready);
    const there = ready.length > 0 ? ready : fronts.filter((one) => one.silences < MISSES);
    const [front] = there.sort((one, other) => one.sockets.size - other.sockets.size);
    if (!front) {
      client.destroy();
      return;
    }
    const server = connect({ host: front.address, port });
    const late = setTimeout(() => server.destroy(), CONNECT_MS);
    server.once("connect", () => clearTimeout(late));
    front.sockets.add(server);
    const end = () => {
      clearTimeout(late);
      front.sockets.delete(server);
      server.destroy();
      client.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    client.pipe(server).pipe(client);
  };
  const server = createServer(pass);
  await new Promise<void>((resolve) => server.listen(at.port, at.host, resolve));
  await Promise.all(fronts.map(look));
  const watches = fronts.map(watch);
  return {
    endpoint: `${ca === null ? "http" : "https"}://${at.host}:${(server.address() as AddressInfo).port}`,
    close: async () => {
      closed = true;
      for (const { sockets } of fronts) for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await Promise.all(watches);
    },
  };
}

/** What a front answers to the question whether it is ready; null: nothing. */
function statusOf(host: string, port: number, ca: string | null): Promise<number | null> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(LOOK_TIMEOUT_MS);
    const options = { host, port, path: "/readyz", agent: false as const, signal };
    const sent = ca === null ? plain(options) : secured({ ...options, ca });
    sent.once("error", () => resolve(null));
    sent.once("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    });
    sent.end();
  });
}
