import { readFile, stat } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { createSecureContext } from "node:tls";
import { StoreUnavailable } from "./store.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  ca: string;
  cert: string;
  key: string;
}

/** Requests to one member at once: renewal, look, acquire and release, each with a second try. */
const MAX_SOCKETS = 8;
/** How often the files are looked at, ms. A certificate is exchanged days before it ends. */
const LOOK_EVERY_MS = 10_000;
/** An agent that is not used any more is closed after this, ms. */
const RETIRE_MS = 5_000;

/**
 * Connections to etcd, kept open, with certificates from files. A changed file makes a new agent for later
 * requests; those under way end on the old one. The files are looked at beside the requests, never before
 * one: a disk that stands still must not hold a renewal up.
 */
export class EtcdConnections {
  readonly #files: TlsFiles | null;
  readonly #warn: (message: string) => void;
  readonly #lookEveryMs: number;
  #agent: HttpAgent | null = null;
  #stamp = "";
  #timer: NodeJS.Timeout | undefined;
  #opening: Promise<HttpAgent> | null = null;

  constructor(
    files: TlsFiles | null,
    warn: (message: string) => void,
    lookEveryMs = LOOK_EVERY_MS,
  ) {
    this.#files = files;
    this.#warn = warn;
    this.#lookEveryMs = lookEveryMs;
  }

  /** The agent for a request now. Throws StoreUnavailable while the files cannot be read. */
  agent(): HttpAgent | Promise<HttpAgent> {
    if (this.#agent) return this.#agent;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#agent?.destroy();
    this.#agent = null;
  }

  async #open(): Promise<HttpAgent> {
    const files = this.#files;
    if (!files) {
      this.#agent = new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS });
      return this.#agent;
    }
    try {
      this.#agent = await this.#load(files);
    } catch (error) {
      throw new StoreUnavailable(
        `the certificates for etcd cannot be read: ${(error as Error).message}; they are put there by the deployment, readable for this user`,
        { cause: error },
      );
    }
    this.#watch(files);
    return this.#agent;
  }

  async #load(files: TlsFiles): Promise<HttpAgent> {
    const stamp = await stampOf(files);
    const [ca, cert, key] = await Promise.all([
      readFile(files.ca),
      readFile(files.cert),
      readFile(files.key),
    ]);
    // Caught between two of them, they do not fit: that must show here, not at the next connection.
    createSecureContext({ ca, cert, key });
    const agent = new HttpsAgent({
      keepAlive: true,
      maxSockets: MAX_SOCKETS,
      minVersion: "TLSv1.3",
      ca,
      cert,
      key,
    });
    this.#stamp = stamp;
    return agent;
  }

  #watch(files: TlsFiles): void {
    this.#timer = setTimeout(async () => {
      try {
        if ((await stampOf(files)) !== this.#stamp) {
          const old = this.#agent;
          const fresh = await this.#load(files);
          if (!this.#agent) return fresh.destroy();
          this.#agent = fresh;
          // Requests under way end first; each takes a second at most.
          if (old) setTimeout(() => old.destroy(), RETIRE_MS).unref();
        }
      } catch (error) {
        this.#warn(
          `new certificates for etcd are not used yet: ${(error as Error).message}; going on with those read before`,
        );
      }
      if (this.#agent) this.#watch(files);
    }, this.#lookEveryMs);
    this.#timer.unref();
  }
}

async function stampOf(files: TlsFiles): Promise<string> {
  const stats = await Promise.all([files.ca, files.cert, files.key].map((file) => stat(file)));
  return stats.map(({ mtimeMs, ino, size }) => `${mtimeMs} ${ino} ${size}`).join();
}
