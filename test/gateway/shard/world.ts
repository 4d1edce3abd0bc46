import type { ShardState } from "../../../gateway/contract.ts";
import { BootSlots } from "../../../gateway/shard/boot-slots.ts";
import { ShardRunner } from "../../../gateway/shard/runner.ts";
import type { ShardEvent } from "../../../gateway/shard/states.ts";
import type { ProbeResult, RunnerDeps, RunnerEvent } from "../../../gateway/shard/types.ts";
import { FakeGateway, FakeKeeper, FakeTime } from "./fakes.ts";

/** A runner of shard s1 with everything around it in the test's hands. */
export class World {
  readonly time = new FakeTime();
  readonly keeper = new FakeKeeper();
  readonly gateways: FakeGateway[] = [];
  readonly events: RunnerEvent[] = [];
  readonly transitions: { from: ShardState; event: ShardEvent; to: ShardState | null }[] = [];
  readonly slots = new BootSlots(2);
  /** What `/startupz` says from a moment after each start on. */
  probe: ProbeResult = "started";
  launchError: string | null = null;
  /** From now. */
  holdMs = 7_000;
  recycleTurns: { asked: number; given: number; back: number } = { asked: 0, given: 0, back: 0 };
  grantRecycle = true;
  readonly runner: ShardRunner;

  constructor(more: Partial<RunnerDeps> = {}, options: { strict?: boolean } = { strict: true }) {
    const { time } = this;
    this.runner = new ShardRunner(
      {
        shard: { id: "s1", agents: ["main"], recycleMiB: 1_000 },
        keeper: this.keeper,
        launch: () => {
          if (this.launchError) throw new Error(this.launchError);
          const port = 19_000 + this.gateways.length;
          return { command: "/bin/node", args: [], cwd: "/", env: {}, port, token: "t" };
        },
        gateway: () => {
          const gateway = new FakeGateway();
          this.gateways.push(gateway);
          return gateway;
        },
        probe: async () => (this.keeper.running ? this.probe : "down"),
        holdDeadline: () => time.clock.now() + this.holdMs,
        bootSlots: this.slots,
        recycleTurn: async () => {
          this.recycleTurns.asked += 1;
          if (!this.grantRecycle) throw new Error("not now");
          this.recycleTurns.given += 1;
          return () => {
            this.recycleTurns.back += 1;
          };
        },
        clock: time.clock,
        timers: time,
        random: () => 0,
        log: () => {},
        onEvent: (event) => this.events.push(event),
        onTransition: (_shard, from, event, to) => this.transitions.push({ from, event, to }),
        ...more,
      },
      options,
    );
  }

  get state(): ShardState {
    return this.runner.report().state;
  }

  get gateway(): FakeGateway {
    return this.gateways.at(-1) as FakeGateway;
  }

  /** Events but `changed`, as words. */
  get told(): string[] {
    return this.events.map(({ type }) => type).filter((type) => type !== "changed");
  }

  last<T extends RunnerEvent["type"]>(type: T) {
    return this.events.findLast((event) => event.type === type) as Extract<
      RunnerEvent,
      { type: T }
    >;
  }

  /** Starts epoch 1 and waits until it serves. */
  async serving(): Promise<this> {
    this.runner.start(1, "i1");
    await this.time.pass(0);
    return this;
  }
}
