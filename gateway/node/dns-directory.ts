import { lookup, resolveSrv } from "node:dns/promises";
import type { NodeId } from "../contract.ts";

/** Pause between two looks, ms: an address changes with a machine, and is tried until then. */
const LOOK_EVERY_MS = 10_000;
/** SRV records of a fleet are below this, RFC 2782. */
const SERVICE = "_openclaw-fleet._tcp";

export interface DnsDirectoryOptions {
  /** Domain of the nodes: `<node>.<name>`, or targets of `_openclaw-fleet._tcp.<name>`. */
  name: string;
  /** Port of the peers' listener where no SRV record says one. */
  port: number;
  /** Nodes whose names may be looked up. */
  nodes: () => NodeId[];
  log: { warn(message: string): void };
  /** @default node:dns */
  resolver?: {
    srv(name: string): Promise<{ name: string; port: number }[]>;
    /** Throws when the name has no address. */
    host(name: string): Promise<unknown>;
  };
  lookEveryMs?: number;
}

/**
 * Where nodes are, by DNS instead of what they published in the lease store: for hosts whose addresses
 * change, or that see each other under other addresses than they know. Which nodes there are, and which
 * of them live, the store alone says. What DNS does not know is dialled as published; what it once knew
 * and does not answer for now is dialled as before.
 */
export class DnsDirectory {
  readonly #options: DnsDirectoryOptions;
  readonly #resolver: NonNullable<DnsDirectoryOptions["resolver"]>;
  readonly #known = new Map<NodeId, string>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** The domain had SRV records: their ports are not the names' own. */
  #hasSrv = false;
  #told = "";

  constructor(options: DnsDirectoryOptions) {
    this.#options = options;
    this.#resolver = options.resolver ?? { srv: resolveSrv, host: lookup };
  }

  start(): void {
    void this.look();
    const everyMs = this.#options.lookEveryMs ?? LOOK_EVERY_MS;
    this.#timer = setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** `host:port` to dial. */
  addressOf(node: NodeId, published: string): string {
    return this.#known.get(node) ?? published;
  }

  /** One look at all; never rejects. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#lookUp();
      this.#told = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#told) {
        this.#options.log.warn(`nodes cannot be looked up in DNS: ${message}`);
      }
      this.#told = message;
    } finally {
      this.#looking = false;
    }
  }

  /** Names also come from where no SRV records do (/etc/hosts, a VPN), and there asking for these may fail. */
  async #lookUp(): Promise<void> {
    let fault: unknown = null;
    try {
      if (await this.#bySrv()) return;
    } catch (error) {
      if (this.#hasSrv) throw error;
      fault = error;
    }
    const found = await this.#byName();
    if (fault !== null && !found) throw fault;
  }

  /** False when the domain has no such records. */
  async #bySrv(): Promise<boolean> {
    const records = await this.#resolver.srv(`${SERVICE}.${this.#options.name}`).catch(absent);
    if (!records || records.length === 0) return false;
    this.#hasSrv = true;
    for (const { name, port } of records) {
      const host = name.replace(/\.$/, "");
      this.#known.set(host.split(".", 1)[0] as string, `${host}:${port}`);
    }
    return true;
  }

  /** Whether any node has a name there. */
  async #byName(): Promise<boolean> {
    const { name, port, nodes } = this.#options;
    const found = await Promise.all(
      nodes().map(async (node) => {
        const host = `${node}.${name}`;
        if ((await this.#resolver.host(host).catch(absent)) === null) return false;
        this.#known.set(node, `${host}:${port}`);
        return true;
      }),
    );
    return found.includes(true);
  }
}

/** DNS says that there is none, which is an answer; everything else is a fault. */
function absent(error: Error & { code?: string }): null {
  if (error.code === "ENOTFOUND" || error.code === "ENODATA") return null;
  throw error;
}
