import type { ChannelsReport, ShardId } from "../contract.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { Timers } from "../shard/timers.ts";

export interface ChannelWatchDeps {
  /** The gateway that serves a shard here now; null: none does. */
  gateway: (shard: ShardId) => GatewayPort | null;
  /** Whether the settings give an agent that is at home on the shard a channel. */
  wanted: (shard: ShardId) => boolean;
  timers: Timers;
  log: (level: "info" | "warn", msg: string, fields: Record<string, unknown>) => void;
  /** Some shard's bots do otherwise than was last reported. */
  onChange: () => void;
}

export const CHANNEL_WATCH = {
  /** Pause between two looks at first: a bot that is down answers nobody. A look costs 5 ms. */
  soonMs: 1_000,
  soonLooks: 30,
  /** Pause between the later ones. */
  laterMs: 15_000,
  /**
   * OpenClaw's breaker counts starts within 5 minutes and looks at itself every 5 more: afterwards
   * it starts its channels by itself.
   */
  laterLooks: 48,
  /**
   * A look in this many is for every closed conversation, the first of them this many after the start; the others are for
   * those of the last minutes. It reads the list of all conversations, of which a shard may have tens of thousands, so
   * it leaves the time in which turns are taken up again, and comes seldom afterwards.
   */
  everyLooks: 30,
  /** Afterwards it is only asked how the bots do: a token may be revoked at any time. */
  idleMs: 60_000,
} as const;

/**
 * Looks after the bots of gateways that have just begun to serve, or got other settings. A gateway
 * that was killed three times within five minutes starts none of its bots; that it was killed was
 * the fleet's doing or the machine's, not the bots' fault, so they are started, and what they talked about is opened
 * again where OpenClaw closed it for the same reason. How they do is reported as long as the gateway serves.
 */
export class ChannelWatch {
  readonly #deps: ChannelWatchDeps;
  readonly #watches = new Map<ShardId, { cancel: () => void }>();
  /** What was last said of a shard's channels: a gateway that drains says the same each second. */
  readonly #said = new Map<ShardId, string>();
  readonly #found = new Map<ShardId, { gateway: GatewayPort; report: ChannelsReport }>();

  constructor(deps: ChannelWatchDeps) {
    this.#deps = deps;
  }

  /** Watches from now on; the shard's gateway serves, or its settings changed. */
  watch(shard: ShardId): void {
    this.forget(shard);
    const gateway = this.#deps.gateway(shard);
    if (gateway && this.#deps.wanted(shard)) this.#again(shard, gateway, 0);
  }

  /** How the shard's bots did when last looked at, under the gateway that serves now; null: nobody looked. */
  report(shard: ShardId): ChannelsReport | null {
    const found = this.#found.get(shard);
    const isNow = found !== undefined && this.#deps.gateway(shard) === found.gateway;
    return isNow && this.#deps.wanted(shard) ? found.report : null;
  }

  forget(shard: ShardId): void {
    this.#watches.get(shard)?.cancel();
    this.#watches.delete(shard);
  }

  close(): void {
    for (const shard of [...this.#watches.keys()]) this.forget(shard);
  }

  #again(shard: ShardId, gateway: GatewayPort, look: number): void {
    const { soonLooks, laterLooks } = CHANNEL_WATCH;
    const starts = look <= soonLooks + laterLooks;
    const pauseMs = this.#pauseMs(shard, look);
    let over = false;
    const cancel = this.#deps.timers.after(pauseMs, () => {
      void this.#look(shard, gateway, look, starts).then((more) => {
        if (over) return;
        if (more) this.#again(shard, gateway, look + 1);
        else this.#watches.delete(shard);
      });
    });
    this.#watches.set(shard, {
      cancel: () => {
        over = true;
        cancel();
      },
    });
  }

  #pauseMs(shard: ShardId, look: number): number {
    const { soonMs, soonLooks, laterMs, laterLooks, idleMs } = CHANNEL_WATCH;
    if (look === 0) return 0;
    if (look <= soonLooks) return soonMs;
    // What was found wrong is soon seen to be well again.
    const isWrong = (this.#found.get(shard)?.report.down.length ?? 0) > 0;
    return look <= soonLooks + laterLooks || isWrong ? laterMs : idleMs;
  }

  /** False when this gateway serves no more. */
  async #look(
    shard: ShardId,
    gateway: GatewayPort,
    look: number,
    starts: boolean,
  ): Promise<boolean> {
    const { log } = this.#deps;
    if (this.#deps.gateway(shard) !== gateway) return false;
    try {
      const started = starts ? await gateway.ensureChannels() : [];
      if (started.length > 0) {
        const bots = started.join(", ");
        log("info", `started ${bots}, which OpenClaw kept down after repeated crashes`, { shard });
      }
      this.#note(shard, gateway, await gateway.channels());
      const { everyLooks } = CHANNEL_WATCH;
      const all = look % everyLooks === everyLooks - 1;
      const { opened, refused } = await gateway.reopenBots(all);
      for (const { key, why } of refused) {
        log(
          "warn",
          `${key} stays closed, and its bot fails there until somebody says /new: ${why}`,
          {
            shard,
          },
        );
      }
      for (const key of opened) {
        log("warn", `${key} is open again, which OpenClaw had closed after repeated crashes`, {
          shard,
        });
      }
      this.#said.delete(shard);
    } catch (error) {
      // It is draining, restarting or gone; the next look tells.
      const { message } = error as Error;
      if (this.#said.get(shard) !== message)
        log("warn", `the channels could not be looked at: ${message}`, { shard });
      this.#said.set(shard, message);
    }
    return true;
  }

  #note(shard: ShardId, gateway: GatewayPort, report: ChannelsReport): void {
    const before = this.report(shard);
    this.#found.set(shard, { gateway, report });
    if (JSON.stringify(before) === JSON.stringify(report)) return;
    for (const { bot, why } of report.down) {
      if (before?.down.some((one) => one.bot === bot && one.why === why)) continue;
      this.#deps.log("warn", `${bot} reaches nobody: ${why}`, { shard });
    }
    this.#deps.onChange();
  }
}
