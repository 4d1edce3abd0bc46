import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  from: Socket;
  to: Socket;
  /** Process at the calling end; null when it is none that was named. */
  caller: number | null;
}

/**
 * A port that passes connections on, until it is told that those of some caller do not get through: then
 * nothing is passed in either direction, as with packets that are dropped, and nobody is told.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #target: number;
  #blocked: (caller: number | null) => boolean = () => false;
  #callers: readonly number[] = [];

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on("connection", (socket) => this.#accept(socket));
  }

  static async open(target: number): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TcpProxy(server, target);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where connections lead from now on. */
  set target(port: number) {
    this.#target = port;
  }

  /** Holds back what comes from these callers. Callers are told apart among the given processes. */
  block(blocked: (caller: number | null) => boolean, callers: readonly number[] = []): void {
    this.#blocked = blocked;
    this.#callers = callers;
    for (const pair of this.#pairs) {
      pair.caller ??= callerOf(pair.from, callers);
      if (!blocked(pair.caller)) continue;
      pair.from.unpipe(pair.to);
      pair.to.unpipe(pair.from);
      pair.from.pause();
      pair.to.pause();
    }
  }

  /** Lets everything through again. What was held back ends: both ends begin anew. */
  heal(): void {
    const held = this.#blocked;
    this.#blocked = () => false;
    for (const pair of this.#pairs) if (held(pair.caller)) destroy(pair);
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) destroy(pair);
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(from: Socket): void {
    const to = connect({ host: "127.0.0.1", port: this.#target });
    const pair: Pair = { from, to, caller: callerOf(from, this.#callers) };
    this.#pairs.add(pair);
    for (const socket of [from, to]) {
      socket.on("error", () => destroy(pair));
      socket.on("close", () => {
        destroy(pair);
        this.#pairs.delete(pair);
      });
    }
    if (this.#blocked(pair.caller)) return;
    from.pipe(to);
    to.pipe(from);
  }
}

function destroy({ from, to }: Pair): void {
  from.destroy();
  to.destroy();
}

/** Which of the processes holds the other end of a connection that came over loopback. */
function callerOf(socket: Socket, pids: readonly number[]): number | null {
  if (pids.length === 0 || socket.remotePort === undefined) return null;
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  const ends = [`:${hex(socket.remotePort)}`, `:${hex(socket.localPort as number)}`];
  const line = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((text) => text.trim().split(/\s+/))
    .find(
      ([, local, remote]) =>
        local?.endsWith(ends[0] as string) && remote?.endsWith(ends[1] as string),
    );
  const inode = line?.[9];
  if (!inode) return null;
  for (const pid of pids) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        try {
          if (readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`) return pid;
        } catch {
          // closed meanwhile
        }
      }
    } catch {
      // ended meanwhile
    }
  }
  return null;
}
