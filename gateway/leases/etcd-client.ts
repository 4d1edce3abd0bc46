import { type Agent, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { EtcdConnections, type TlsFiles } from "./etcd-tls.ts";
import { StoreUnavailable } from "./store.ts";

export interface EtcdClientOptions {
  /** Client URLs of the members, the nearest first. */
  endpoints: readonly string[];
  tls: TlsFiles | null;
  /** How often the certificates' files are looked at, ms. @default 10000 */
  lookEveryMs?: number;
  warn(message: string): void;
}

/** A member that failed is asked after the others for this long, ms. */
const AVOID_MS = 5_000;
/** Pause after all members refused at once (an election), ms. */
const ROUND_PAUSE_MS = 100;
/** gRPC's codes for a request that no other member would take either: bad argument, compacted, unknown method. */
const FINAL_CODES = [3, 11, 12];
/** gRPC's code for a database that is full. */
const EXHAUSTED = 8;

/**
 * One request to whichever member answers first. The members are asked one after the other, without
 * waiting for one that takes too long: a slow first answer is as good as a quick second one. So a request
 * may be carried out twice; callers must make that harmless.
 */
export class EtcdClient {
  #endpoints: readonly string[] = [];
  readonly #connections: EtcdConnections;
  readonly #avoidUntil = new Map<string, number>();
  #closed = false;

  constructor(options: EtcdClientOptions) {
    this.useEndpoints(options.endpoints);
    this.#connections = new EtcdConnections(options.tls, options.warn, options.lookEveryMs);
  }

  /** Other members from now on; requests under way end with those before. */
  useEndpoints(endpoints: readonly string[]): void {
    if (endpoints.length === 0) throw new Error("etcd has no endpoints");
    this.#endpoints = endpoints.map((url) => url.replace(/\/+$/, ""));
  }

  /**
   * Calls `path` (`/v3/kv/txn`) with a JSON body. Throws StoreUnavailable when no member answered within
   * `timeoutMs`, with what each of them said.
   */
  async call<T>(path: string, body: object, timeoutMs: number): Promise<T> {
    if (this.#closed) throw new StoreUnavailable("the etcd client is closed");
    const agent = await this.#connections.agent();
    const payload = JSON.stringify(body);
    const order = this.#order();
    const faults = new Map<string, string>();
    const under = new AbortController();
    return new Promise<T>((resolve, reject) => {
      const inFlight = new Set<string>();
      let next = 0;
      let pause: NodeJS.Timeout | undefined;
      const finish = (act: () => void) => {
        clearTimeout(late);
        clearTimeout(pause);
        clearInterval(hedge);
        under.abort();
        act();
      };
      // Who has not answered yet is passed over: the others may do it by now.
      const nextIdle = (): string | undefined => {
        for (let looked = 0; looked < order.length; looked++) {
          const endpoint = order[next++ % order.length] as string;
          if (!inFlight.has(endpoint)) return endpoint;
        }
        return undefined;
      };
      const attempt = () => {
        const endpoint = nextIdle();
        if (endpoint === undefined) return;
        inFlight.add(endpoint);
        post<T>({ url: endpoint + path, agent, payload, signal: under.signal }).then(
          (answer) => {
            if (under.signal.aborted) return;
            this.#avoidUntil.delete(endpoint);
            // Who was endpoint before and is silent still is endpoint later next time.
            for (const other of inFlight) if (other !== endpoint) this.#avoid(other);
            finish(() => resolve(answer));
          },
          (error: Error) => {
            if (under.signal.aborted) return;
            inFlight.delete(endpoint);
            faults.set(endpoint, error.message);
            this.#avoid(endpoint);
            if (error instanceof Refused && FINAL_CODES.includes(error.code)) {
              finish(() => reject(unavailable(faults)));
            } else if (next < order.length) attempt();
            else pause = setTimeout(attempt, ROUND_PAUSE_MS);
          },
        );
      };
      const late = setTimeout(() => {
        for (const endpoint of inFlight) {
          this.#avoid(endpoint);
          // What it said when it was asked before tells more.
          if (faults.has(endpoint)) continue;
          faults.set(endpoint, `no answer within ${Math.round(timeoutMs)} ms`);
        }
        finish(() => reject(unavailable(faults)));
      }, timeoutMs);
      const hedge = setInterval(attempt, timeoutMs / (order.length + 1));
      attempt();
    });
  }

  close(): void {
    this.#closed = true;
    this.#connections.close();
  }

  #avoid(endpoint: string): void {
    this.#avoidUntil.set(endpoint, performance.now() + AVOID_MS);
  }

  #order(): string[] {
    const now = performance.now();
    const avoided = (url: string) => (this.#avoidUntil.get(url) ?? 0) > now;
    return [
      ...this.#endpoints.filter((url) => !avoided(url)),
      ...this.#endpoints.filter((url) => avoided(url)),
    ];
  }
}

/** etcd's own refusal. */
class Refused extends Error {
  override readonly name = "Refused";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

function unavailable(faults: ReadonlyMap<string, string>): StoreUnavailable {
  const words = [...faults].map(([endpoint, fault]) => `${endpoint}: ${fault}`);
  return new StoreUnavailable(`etcd did not do it (${words.join("; ") || "not asked"})`);
}

interface Post {
  url: string;
  agent: Agent;
  payload: string;
  signal: AbortSignal;
}

function post<T>({ url, agent, payload, signal }: Post): Promise<T> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const sent = send(
      url,
      {
        method: "POST",
        agent,
        signal,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(payload),
          // A member that knows of no leader says so instead of waiting for one.
          "grpc-metadata-hasleader": "true",
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          try {
            const text = Buffer.concat(chunks).toString();
            if (response.statusCode === 200) resolve(JSON.parse(text) as T);
            else reject(refusal(response.statusCode ?? 0, text));
          } catch (error) {
            reject(error as Error);
          }
        });
      },
    );
    sent.on("error", (error) => reject(new Error(words(error))));
    sent.end(payload);
  });
}

function refusal(status: number, text: string): Error {
  let said: { code?: number; message?: string };
  try {
    said = JSON.parse(text);
  } catch {
    return new Error(`answered ${status}`);
  }
  const message = said.message || `answered ${status}`;
  const hint =
    said.code === EXHAUSTED && message.includes("space")
      ? "; its database is full: see its alarms, compact, defragment and disarm"
      : "";
  return new Refused(said.code ?? 0, message + hint);
}

/** A refused connection to a name with several addresses has no message of its own. */
function words(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return error.message || code || error.name;
}
