import fc from "fast-check";
import { expect, test } from "vitest";
import {
  BATCH_EVERY_MS,
  type Held,
  HoldQueue,
  MAX_DOUBT_MS,
} from "../../../gateway/router/hold.ts";

const item = (seq: number, over: Partial<Held> = {}): Held => ({
  seq,
  session: null,
  bytes: 1,
  deadline: 60_000,
  ...over,
});

test("while the shard serves and nobody waits, everything passes", () => {
  const queue = new HoldQueue(true);
  for (let seq = 0; seq < 1000; seq += 1) expect(queue.enter(item(seq), 0)).toBe("pass");
});

test("exactly 256 requests and exactly 64 MiB are held, one more is refused", () => {
  const byCount = new HoldQueue(false);
  for (let seq = 0; seq < 256; seq += 1) expect(byCount.enter(item(seq), 0)).toBe("held");
  expect(byCount.enter(item(256), 0)).toBe("full");
  const byBytes = new HoldQueue(false);
  expect(byBytes.enter(item(0, { bytes: 64 * 2 ** 20 }), 0)).toBe("held");
  expect(byBytes.enter(item(1), 0)).toBe("full");
});

test("batches of 8, 16, 32 … leave, one each 250 ms, and then the line is open", () => {
  const queue = new HoldQueue(false);
  for (let seq = 0; seq < 100; seq += 1) queue.enter(item(seq), 0);
  queue.setServing(true, 1000);
  const sizes: number[] = [];
  let now = 1000;
  while (queue.size > 0) {
    sizes.push(queue.release(now).length);
    expect(queue.release(now)).toEqual([]);
    now += BATCH_EVERY_MS;
  }
  expect(sizes).toEqual([8, 16, 32, 44]);
  expect(queue.enter(item(100), now)).toBe("pass");
});

test("a request is given up at its deadline, not before", () => {
  const queue = new HoldQueue(false);
  const late = item(0, { deadline: 60_000 });
  queue.enter(late, 0);
  expect(queue.expire(59_999)).toEqual([]);
  expect(queue.nextWake(0)).toBe(60_000);
  expect(queue.expire(60_000)).toEqual([late]);
});

test("doubt holds everybody for a while that grows to a second and ends by time or a new route", () => {
  const queue = new HoldQueue(true);
  let now = 0;
  for (let n = 0; n < 10; n += 1) {
    queue.doubt(now);
    expect(queue.enter(item(n), now)).toBe("held");
    const wake = queue.nextWake(now) as number;
    expect(wake - now).toBeLessThanOrEqual(MAX_DOUBT_MS);
    now = wake;
    expect(queue.release(now).length).toBe(1);
  }
  queue.doubt(now);
  queue.enter(item(99), now);
  queue.setServing(true, now);
  expect(queue.release(now).length).toBe(1);
});

type Step =
  | { do: "enter"; session: number }
  | { do: "serve" | "lose" | "doubt" | "release" }
  | { do: "arrive" | "again" | "leave"; pick: number }
  | { do: "pass-time"; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("enter" as const), session: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ do: fc.constantFrom("serve", "lose", "doubt", "release") }),
  fc.record({ do: fc.constantFrom("arrive", "again", "leave"), pick: fc.nat(50) }),
  fc.record({ do: fc.constant("pass-time" as const), ms: fc.nat(2_000) }),
) as fc.Arbitrary<Step>;

test("held requests of one session arrive in the order in which they came; none is lost or doubled", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new HoldQueue<Held>(false, { maxRequests: 1_000 });
      let now = 0;
      let seq = 0;
      let serving = false;
      const waiting = new Set<Held>();
      const flying: Held[] = [];
      const heldOnce = new Set<number>();
      const lastArrived = new Map<string, number>();
      const ended = new Set<number>();
      const fly = (released: Held[]) => {
        for (const each of released) {
          expect(waiting.delete(each)).toBe(true);
          expect(
            flying.some((other) => other.session === each.session && heldOnce.has(other.seq)),
          ).toBe(false);
          flying.push(each);
        }
      };
      for (const each of steps) {
        switch (each.do) {
          case "enter": {
            seq += 1;
            const held = item(seq, { session: `s${each.session}`, deadline: now + 60_000 });
            if (queue.enter(held, now) === "held") {
              waiting.add(held);
              heldOnce.add(held.seq);
            } else {
              expect(serving && waiting.size === 0).toBe(true);
              flying.push(held);
            }
            break;
          }
          case "serve":
          case "lose":
            serving = each.do === "serve";
            queue.setServing(serving, now);
            break;
          case "doubt":
            queue.doubt(now);
            break;
          case "release":
            fly(queue.release(now));
            break;
          case "arrive": {
            const [one] = flying.splice(each.pick % Math.max(1, flying.length), 1);
            if (!one) break;
            queue.arrived(one);
            ended.add(one.seq);
            if (heldOnce.has(one.seq)) {
              const session = one.session as string;
              expect(one.seq).toBeGreaterThan(lastArrived.get(session) ?? 0);
              lastArrived.set(session, one.seq);
            }
            break;
          }
          case "again": {
            const index = each.pick % Math.max(1, flying.length);
            const one = flying[index];
            // What was never held may have been overtaken already: order is promised to held ones.
            if (!one || !heldOnce.has(one.seq)) break;
            flying.splice(index, 1);
            queue.again(one);
            waiting.add(one);
            break;
          }
          case "leave": {
            const one = [...waiting][each.pick % Math.max(1, waiting.size)];
            if (!one) break;
            expect(queue.remove(one)).toBe(true);
            waiting.delete(one);
            ended.add(one.seq);
            break;
          }
          case "pass-time":
            now += each.ms;
            for (const one of queue.expire(now)) {
              expect(one.deadline).toBeLessThanOrEqual(now);
              waiting.delete(one);
              ended.add(one.seq);
            }
        }
        expect(queue.size).toBe(waiting.size);
      }
      // Once the shard serves and everything arrives, the line empties in bounded time.
      queue.setServing(true, now);
      for (const one of flying.splice(0)) {
        queue.arrived(one);
        ended.add(one.seq);
      }
      for (let round = 0; round < 500 && waiting.size > 0; round += 1) {
        fly(queue.release(now));
        for (const one of flying.splice(0)) {
          queue.arrived(one);
          ended.add(one.seq);
        }
        now += BATCH_EVERY_MS / 50;
      }
      expect(waiting.size).toBe(0);
      expect(ended.size).toBe(seq);
    }),
    { numRuns: 300 },
  );
});
