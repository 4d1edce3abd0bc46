import fc from "fast-check";
import { expect, test } from "vitest";
import { ask, events, World } from "./world.ts";

/**
 * Owners move and die at random moments under a mixed load on two routers. The laws: every request
 * gets exactly one answer; a `/v1` request reaches a gateway at most once; a chat's run id is never
 * sent fresh twice (the fake throws then) and its answer is the right one.
 */
const fault = fc.record({
  shard: fc.constantFrom("s1", "s2"),
  to: fc.constantFrom("a", "b"),
  /** Silent: the gateway dies and the fleet learns of it only with the next owner. */
  kind: fc.constantFrom("planned", "crash", "silent"),
  gapMs: fc.nat(30),
  afterMs: fc.nat(30),
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("random owner moves under load: every request gets exactly one answer", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fault, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 12 }),
      async (faults, width) => {
        const world = await World.start(["a", "b"]);
        try {
          const behaviour = {
            turnMs: 8,
            http: (_req: unknown, res: { end(text: string): void }, body: string) => {
              setTimeout(() => res.end(body), 4);
            },
          };
          for (const shard of ["s1", "s2"]) await world.fleet.own(shard, "a", behaviour);
          let over = false;
          let n = 0;
          const done: Promise<void>[] = [];
          const client = async (router: string, kind: number) => {
            const { port } = world.node(router);
            while (!over) {
              n += 1;
              const id = `r${n}`;
              const session = `session-${n % 5}`;
              if (kind === 0) {
                const answer = await ask(port, "/v1/chat/completions", {
                  body: { model: "openclaw/main", user: session, n: id },
                  headers: { "x-request-id": id },
                });
                const reached = ["s1", "s2"].map(
                  (shard) => world.fleet.disk(shard).httpReached.get(id) ?? 0,
                );
                expect((reached[0] as number) + (reached[1] as number)).toBeLessThanOrEqual(1);
                if (answer.status === 200 && !answer.broken) expect(answer.json.n).toBe(id);
                else if (!answer.broken) expect(answer.json.error.code).toBe("owner_lost");
              } else if (kind === 1) {
                const answer = await ask(port, "/api/v1/chat", { body: { session, message: id } });
                expect([answer.status, answer.json.reply]).toEqual([200, `echo ${id}`]);
              } else {
                const answer = await ask(port, "/api/v1/chat/stream", {
                  body: { session, message: id },
                  headers: { "idempotency-key": id },
                });
                const got = events(answer.text);
                const start = got.map((each) => each.event).lastIndexOf("resumed");
                const text = got
                  .slice(start + 1)
                  .filter((each) => each.event === "delta")
                  .map((each) => each.data.text)
                  .join("");
                expect(text).toBe(`echo ${id}`);
                expect(got.at(-1)?.event).toBe("done");
              }
            }
          };
          for (let index = 0; index < width; index += 1) {
            done.push(client(index % 2 === 0 ? "a" : "b", index % 3));
          }
          for (const { shard, to, kind, gapMs, afterMs } of faults) {
            await pause(afterMs);
            const old = world.fleet.routes.get(shard);
            if (old?.state !== "owned") continue;
            if (kind === "silent") {
              await old.gateway.kill();
              await pause(gapMs);
            } else if (kind === "crash") {
              await world.fleet.lose(shard);
              await pause(gapMs);
            }
            await world.fleet.own(shard, to, behaviour);
            if (kind === "planned") {
              await pause(gapMs);
              await old.gateway.kill();
            }
          }
          over = true;
          await Promise.all(done);
          expect(world.log.faults()).toEqual([]);
          expect(world.node("a").router.held() + world.node("b").router.held()).toBe(0);
        } finally {
          await world.close();
        }
      },
    ),
    { numRuns: 12, interruptAfterTimeLimit: 20_000, endOnFailure: true },
  );
});
