import { randomUUID } from "node:crypto";
import { bootClock, type Clock } from "../clock.ts";
import type { ChannelsReport } from "../contract.ts";
import { newestInbound } from "./channel-accounts.ts";
import { channelsReport } from "./channels-report.ts";
import { type CronJobSeen, type CronJobWish, planCron } from "./cron.ts";
import { ADMIN_SCOPES, CLIENT_SCOPES } from "./handshake.ts";
import type { GatewayPort, Reopenings, TurnRequest, TurnResult, UsageEvent } from "./port.ts";
import { Reopening } from "./reopening.ts";
import { listSessions } from "./session-rows.ts";
import { GatewayCallError, GatewaySocket } from "./socket.ts";
import { suppressedAccounts } from "./suppressed.ts";
import { Turns } from "./turns.ts";
import { UsageCounter } from "./usage.ts";

export interface GatewayClientOptions {
  /** @default "127.0.0.1" */
  host?: string;
  port: number;
  /** OpenClaw's own token, from its openclaw.json. */
  token: string;
  clock?: Clock;
  /** What went wrong without a caller to tell: one line, no secrets. */
  onProblem?: (message: string) => void;
}

/** OpenClaw ends a suspension after two minutes without this. */
const RENEW_MS = 30_000;
const CRON_PAGE = 200;

/** Large and frequent events that nothing here reads. */
const UNREAD = ["sessions.changed", "agent", "tick", "health", "presence", "heartbeat"];

/** Connects to one gateway, and again whenever the connection ends, until `close`. */
export function connectGateway(options: GatewayClientOptions): GatewayPort {
  return new GatewayClient(options);
}

class GatewayClient implements GatewayPort {
  readonly #turns: Turns;
  /** Turns and reading: what a person's token may do, and no more. */
  readonly #client: GatewaySocket;
  /** Suspend, cron, diagnostics. */
  readonly #admin: GatewaySocket;
  readonly #usage = new UsageCounter();
  readonly #listeners = new Set<(usage: UsageEvent) => void>();
  readonly #problem: (message: string) => void;
  /** Names all suspensions of this client: asked again under it, OpenClaw renews, and says the id again. */
  readonly #requestId = randomUUID();
  /** OpenClaw is to be suspended. It may be to run again before it has answered. */
  #closing = false;
  /** What OpenClaw calls the present suspension; null: there is none that is known of. */
  #suspensionId: string | null = null;
  /** A suspension was asked for and nobody heard the answer: OpenClaw may be suspended. */
  #unanswered = false;
  #renewal: NodeJS.Timeout | null = null;
  /** An account said so; once it was started it says so no more, but later ones are kept down too. */
  #breakerTripped = false;

  constructor(options: GatewayClientOptions) {
    const { host = "127.0.0.1", port, token, clock = bootClock } = options;
    this.#problem = options.onProblem ?? (() => {});
    const at = { host, port, token, ignore: UNREAD };
    this.#client = new GatewaySocket({
      ...at,
      scopes: CLIENT_SCOPES,
      onEvent: (event, payload) => this.#onEvent(event, payload),
      onDown: () => this.#turns.onDown(),
      // Rows of every session, with their usage; nothing tells of them otherwise.
      onUp: async (socket) => {
        await socket.call("sessions.subscribe", {});
      },
    });
    this.#admin = new GatewaySocket({ ...at, scopes: ADMIN_SCOPES });
    this.#turns = new Turns(this.#client, this.#admin, clock);
  }

  get connected(): boolean {
    return this.#client.connected && this.#admin.connected;
  }

  async ready(signal?: AbortSignal): Promise<void> {
    await Promise.all([this.#client.ready(signal), this.#admin.ready(signal)]);
  }

  runTurn(request: TurnRequest): Promise<TurnResult> {
    return this.#turns.run(request);
  }

  presentSession(key: string): Promise<string> {
    return this.#turns.presentSession(key);
  }

  async turns(): Promise<{ active: number; queued: number }> {
    // A suspended gateway answers no question about lanes; it only tells whether it is empty.
    if (this.#suspensionId !== null) return { active: (await this.suspended()) ? 0 : 1, queued: 0 };
    const { lanes = [] } = await this.#admin.call<{
      lanes?: { lane: string; activeCount?: number; queuedCount?: number }[];
    }>("diagnostics.lanes");
    // Every lane that does work for somebody: chats, cron, sub-agents, background.
    return lanes.reduce(
      (sum, lane) => ({
        active: sum.active + (lane.activeCount ?? 0),
        queued: sum.queued + (lane.queuedCount ?? 0),
      }),
      { active: 0, queued: 0 },
    );
  }

  async lastInbound(): Promise<number | null> {
    return newestInbound(await this.#admin.call("channels.status", { probe: false }));
  }

  async suspend(): Promise<void> {
    this.#closing = true;
    await this.#prepare();
    if (!this.#closing) return;
    this.#renewal ??= setInterval(() => {
      this.#prepare().catch((error: Error) =>
        this.#problem(`could not renew the suspension: ${error.message}`),
      );
    }, RENEW_MS);
  }

  async #prepare(): Promise<void> {
    const answer = await this.#admin
      .call<{ status: string; suspensionId?: string }>("gateway.suspend.prepare", {
        requestId: this.#requestId,
        drain: true,
        terminalPolicy: "terminate",
      })
      .catch((error: unknown) => {
        this.#unanswered = !(error instanceof GatewayCallError);
        throw error;
      });
    this.#unanswered = false;
    const { status, suspensionId } = answer;
    if (!suspensionId) throw new Error(`OpenClaw did not close its admission: ${status}`);
    if (this.#closing) this.#suspensionId = suspensionId;
    // Nobody knew its id when it was to run again.
    else await this.#reopen(suspensionId);
  }

  async suspended(): Promise<boolean> {
    if (this.#suspensionId === null) return false;
    const answer = await this.#admin.call<{ status: string }>("gateway.suspend.status", {
      suspensionId: this.#suspensionId,
    });
    return answer.status === "ready";
  }

  async resume(): Promise<void> {
    const suspensionId = this.#suspensionId;
    this.#endSuspension();
    if (suspensionId !== null) await this.#reopen(suspensionId);
    // It says the id again, by which what may have been suspended is opened.
    else if (this.#unanswered) await this.#prepare();
  }

  async #reopen(suspensionId: string): Promise<void> {
    await this.#admin.call("gateway.suspend.resume", { suspensionId });
  }

  async sessions(): Promise<{ agent: string; session: string }[]> {
    const found: { agent: string; session: string }[] = [];
    // What is in the archive has its place here as well: a conversation whose session was closed goes on here.
    for (const archived of [false, true]) {
      for await (const { key } of listSessions(this.#client, { archived })) {
        const match = Reopening.isCopy(key) ? null : /^agent:([^:]+):(.+)$/.exec(key);
        if (match?.[1] && match[2]) found.push({ agent: match[1], session: match[2] });
      }
    }
    return found;
  }

  async syncCron(jobs: CronJobWish[]): Promise<void> {
    const seen: CronJobSeen[] = [];
    for (let offset = 0; ; ) {
      const page = await this.#admin.call<{
        jobs: CronJobSeen[];
        hasMore?: boolean;
        nextOffset?: number | null;
      }>("cron.list", { includeDisabled: true, limit: CRON_PAGE, offset });
      seen.push(...page.jobs);
      if (!page.hasMore || typeof page.nextOffset !== "number") break;
      offset = page.nextOffset;
    }
    const plan = planCron(jobs, seen);
    for (const job of plan.remove) await this.#admin.call("cron.remove", job);
    for (const job of plan.update) await this.#admin.call("cron.update", job);
    for (const job of plan.add) await this.#admin.call("cron.add", job);
  }

  async ensureChannels(): Promise<string[]> {
    const status = await this.#admin.call("channels.status", { probe: false });
    const { tripped, down } = suppressedAccounts(status, this.#breakerTripped);
    this.#breakerTripped = tripped;
    const started: string[] = [];
    for (const { channel, account } of down) {
      try {
        const answer = await this.#admin.call<{ started?: boolean }>("channels.start", {
          channel,
          accountId: account,
        });
        if (answer.started) started.push(`${channel}/${account}`);
      } catch (error) {
        this.#problem(`${channel}/${account} would not start: ${(error as Error).message}`);
      }
    }
    return started;
  }

  reopenBots(all: boolean): Promise<Reopenings> {
    return this.#turns.reopenBots(all);
  }

  async channels(): Promise<ChannelsReport> {
    return channelsReport(await this.#admin.call("channels.status", { probe: false }));
  }

  onUsage(listener: (usage: UsageEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#endSuspension();
    this.#client.close();
    this.#admin.close();
  }

  #onEvent(event: string, payload: unknown): void {
    this.#turns.onEvent(event, payload);
    if (event !== "session.message" || this.#listeners.size === 0) return;
    const usage = this.#usage.read(payload);
    if (usage) for (const listener of this.#listeners) listener(usage);
  }

  #endSuspension(): void {
    if (this.#renewal) clearInterval(this.#renewal);
    this.#renewal = null;
    this.#closing = false;
    this.#suspensionId = null;
  }
}
