import { expect } from "vitest";
import type { FleetStatus } from "../../../gateway/contract.ts";
import { ask } from "../../../plugin/host/ask.ts";

/** Outputs of a stack that a person who calls its fleet needs. */
export interface FleetOutputs {
  readonly endpoint: string;
  readonly token: string;
  readonly adminToken: string;
  readonly caCertificate: string;
}

export interface Answered {
  readonly reply: string;
  readonly session: string;
  readonly shard: string;
  readonly usage: Readonly<Record<string, number>>;
}

/** A turn may wait for a shard that boots on a busy machine, ms. */
const ANSWER_MS = 120_000;

/** Calls a fleet as people do. Every answer but a good one fails the test. */
export class FleetClient {
  readonly #outputs: FleetOutputs;

  constructor(outputs: FleetOutputs) {
    this.#outputs = outputs;
  }

  async call(path: string, token: string, body?: object): Promise<unknown> {
    const answer = await ask(new URL(path, this.#outputs.endpoint), {
      method: body ? "POST" : "GET",
      token,
      ...(body ? { body } : {}),
      ca: this.#outputs.caCertificate,
      timeoutMs: ANSWER_MS,
      signal: new AbortController().signal,
    });
    expect(answer.fault, JSON.stringify(answer.body)).toBe("");
    return answer.body;
  }

  async admin(path: string, body?: object): Promise<unknown> {
    return await this.call(path, this.#outputs.adminToken, body);
  }

  async status(): Promise<FleetStatus> {
    return (await this.admin("/api/v1/fleet")) as FleetStatus;
  }

  async chat(session: string, message = "hello"): Promise<Answered> {
    return (await this.call("/api/v1/chat", this.#outputs.token, {
      session,
      message,
    })) as Answered;
  }
}
