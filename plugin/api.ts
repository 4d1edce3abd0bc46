import { bracketed } from "../gateway/address.ts";
import type { FleetConfig } from "../gateway/config.ts";
import { type FleetStatus, HEADER } from "../gateway/contract.ts";
import { readFleet } from "./files.ts";

/** The fleet did not do what was asked, in its own words. `status` 0: it could not be reached. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const ANSWER_WITHIN_MS = 5_000;

/** The admin's side of a running fleet, for the deployment. Tokens come from the fleet's own file. */
export class FleetApi {
  readonly #base: string;
  readonly #config: FleetConfig;

  constructor(config: FleetConfig) {
    this.#config = config;
    this.#base = `http://${reachable(config.host)}:${config.port}`;
  }

  static of(dataDir: string): FleetApi {
    const config = readFleet(dataDir);
    if (!config) throw new Error(`${dataDir} holds no fleet`);
    return new FleetApi(config);
  }

  /** Null while no router answers. */
  async status(signal: AbortSignal): Promise<FleetStatus | null> {
    try {
      return (await this.#call("GET", "/api/v1/fleet", signal)) as FleetStatus;
    } catch (error) {
      if (error instanceof ApiError) return null;
      throw error;
    }
  }

  async drain(node: string, signal: AbortSignal): Promise<void> {
    await this.#call("POST", "/api/v1/fleet/drain", signal, { node });
  }

  async resume(node: string, signal: AbortSignal): Promise<void> {
    await this.#call("POST", "/api/v1/fleet/resume", signal, { node });
  }

  /** One real turn, as a client. */
  async chat(message: string, session: string, timeoutMs: number, signal: AbortSignal) {
    const [token = ""] = this.#config.tokens.client;
    const body = { agent: "main", session, message };
    const answer = await this.#call("POST", "/api/v1/chat", signal, body, timeoutMs, token);
    return (answer as { reply?: unknown }).reply;
  }

  /** Whether the router behind a node's own address answers, and is that node's. */
  async nodeAnswers(address: string, node: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#alive(address, node, signal)) !== null;
  }

  /**
   * Whether a node was brought to the settings of this revision. One that does not say, of a version before this
   * was asked, counts as brought.
   */
  async nodeFollows(
    address: string,
    node: string,
    revision: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const alive = await this.#alive(address, node, signal);
    return alive !== null && (alive.settings === undefined || alive.settings === revision);
  }

  /** What a node says of itself; null: it does not answer, or is another one. */
  async #alive(
    address: string,
    node: string,
    signal: AbortSignal,
  ): Promise<{ settings?: unknown } | null> {
    try {
      const answer = await fetch(`http://${address}/internal/alive`, {
        headers: { [HEADER.peerToken]: this.#config.tokens.peer },
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
      });
      const said = (await answer.json()) as { instanceId?: unknown; settings?: unknown };
      return answer.ok && said.instanceId === node ? said : null;
    } catch {
      return null;
    }
  }

  async #call(
    method: string,
    path: string,
    signal: AbortSignal,
    body?: unknown,
    timeoutMs = ANSWER_WITHIN_MS,
    token = this.#config.tokens.admin,
  ): Promise<unknown> {
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(this.#base + path, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      text = await answer.text();
    } catch (error) {
      const { cause } = error as { cause?: Error };
      throw new ApiError(
        0,
        `no answer from ${this.#base}${path}: ${(cause ?? (error as Error)).message}`,
      );
    }
    const parsed = parse(text);
    if (!answer.ok) {
      const said = (parsed as { error?: { message?: string } } | null)?.error?.message ?? text;
      throw new ApiError(answer.status, `${path} answered ${answer.status}: ${said.slice(0, 500)}`);
    }
    return parsed;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An address that listens everywhere is reached on loopback. */
export function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return bracketed(host);
}
