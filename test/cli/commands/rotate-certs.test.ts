import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stepsToGo } from "../../../cli/commands/rotate-certs.ts";
import { CredentialsHandler } from "../../../plugin/host/credentials.ts";

const HOSTS = 3;
/** How an `up` ends: refused or declined, at a host (by number), with no answer of the fleet, or well. */
const ending = fc.oneof(
  fc.constant("refused" as const),
  fc.nat(HOSTS - 1),
  fc.constant("unproved" as const),
  fc.constant("well" as const),
);
type Ending = typeof ending extends fc.Arbitrary<infer T> ? T : never;
const runs = fc.array(
  fc.record({
    command: fc.constantFrom("up", "rotate-certs"),
    // Of one `up` after the other, as far as the command gets.
    endings: fc.array(ending, { minLength: 3, maxLength: 3 }),
  }),
  { maxLength: 12 },
);

/** Number of the authority that certificates of a step are signed by, and those that are trusted then. */
const presented = (step: number) => Math.floor((step + 1) / 3);
const trusted = (step: number) => [Math.floor(step / 3), Math.floor((step + 2) / 3)];

/** A stack whose authority is exchanged: the setting, what the state holds, and what each host took. */
class World {
  setting: number;
  /** Of `Credentials` in the state. */
  made: number;
  hosts: number[];
  /** The stack's output. */
  taken: number | undefined;

  constructor(step: number, { hosts = Array(HOSTS).fill(step), written = true } = {}) {
    [this.setting, this.made, this.hosts] = [step, step, [...hosts]];
    this.taken = written ? step : undefined;
  }

  rotate(endings: readonly Ending[] = []): boolean {
    return stepsToGo(this.setting, this.taken).every((step, i) => {
      this.setting = step;
      return this.up(endings[i]);
    });
  }

  /** False: the command ends here. */
  up(end: Ending = "well"): boolean {
    if (end === "refused") return false;
    const [olds, news] = [this.made, this.setting].map((authorityStep) => ({
      ...{ fleet: "vps", certificates: {}, passwords: [], sshKeys: [], tokens: {} },
      ...{ certificateDays: 600, generation: 0, authorityStep },
    }));
    expect(new CredentialsHandler().check(olds, news ?? {}).failures).toEqual([]);
    this.made = this.setting;
    for (const i of this.hosts.keys()) {
      if (end === i) return false;
      this.hosts[i] = this.made;
      for (const one of this.hosts) {
        for (const other of this.hosts) expect(trusted(one)).toContain(presented(other));
      }
    }
    if (end === "unproved") return false;
    this.taken = this.made;
    return true;
  }

  /** All of it, as one list. */
  get all() {
    return [this.setting, this.made, ...this.hosts, this.taken];
  }
}

describe("an exchange of the authority", () => {
  test("is three steps, and after them the next begins", () => {
    expect(stepsToGo(0, 0)).toEqual([1, 2, 3]);
    expect(stepsToGo(3, 3)).toEqual([4, 5, 6]);
  });

  test.each([
    ["the first one was declined", 1, 0, [1, 2, 3]],
    ["one ended at a host", 2, 1, [2, 3]],
    ["the last one was declined", 3, 2, [3]],
    ["steps were counted that nobody took", 4, 0, [1, 2, 3]],
    ["the settings are older than the hosts", 0, 4, [5, 6]],
    ["nobody wrote down what hosts took, and it may be half of them", 1, undefined, [1, 2, 3]],
    ["nobody wrote it down, and no exchange is under way", 3, undefined, [4, 5, 6]],
  ])("when %s, goes on behind what every host took", (_, setting, taken, steps) => {
    expect(stepsToGo(setting, taken)).toEqual(steps);
  });

  test("however often it is cut off, is never refused, divides no hosts, and comes to its end", () => {
    fc.assert(
      fc.property(fc.nat(6), runs, (start, all) => {
        const world = new World(start);
        for (const { command, endings } of all) {
          if (command === "up") world.up(endings[0]);
          else world.rotate(endings);
        }
        const end = Math.floor((world.taken ?? 0) / 3) * 3 + 3;
        expect(world.rotate()).toBe(true);
        expect(world.all).toEqual(Array(HOSTS + 3).fill(end));
      }),
    );
  });

  test("is the same on a stack that an earlier version left half way", () => {
    fc.assert(
      fc.property(
        fc.nat(6),
        fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
        (step, late) => {
          const hosts = late.map((is) => (is && step > 0 ? step - 1 : step));
          const world = new World(step, { hosts, written: false });
          expect(world.rotate()).toBe(true);
          expect(world.made % 3).toBe(0);
        },
      ),
    );
  });
});
