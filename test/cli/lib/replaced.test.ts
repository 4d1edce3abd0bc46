import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CommandFailed } from "../../../cli/lib/errors.ts";
import type { FleetAccess } from "../../../cli/lib/fleet.ts";
import { replaced, wayBack } from "../../../cli/lib/moments.ts";

const fleet = vi.hoisted(() => ({ answer: (_path: string): unknown => ({}) }));
vi.mock("../../../cli/lib/api.ts", async (original) => ({
  ...(await original<object>()),
  callJson: async (_access: unknown, path: string) => fleet.answer(path),
}));

const ACCESS = { stack: "x" } as FleetAccess;
const entry = (event: string) => ({
  at: "2026-11-22T10:00:05.000Z",
  shard: "s1",
  event,
  detail: "because",
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a state that is to be replaced", () => {
  /** What the fleet shows at each look after the wish was stored; the last one stays. */
  const ends = async (...looks: { epoch: number; state: string; events?: string[] }[]) => {
    let begun = false;
    let look = -1;
    fleet.answer = (path) => {
      const now = looks[Math.min(Math.max(look, 0), looks.length - 1)];
      if (path === "/api/v1/fleet") {
        if (begun) look++;
        const shown = begun ? looks[Math.min(look, looks.length - 1)] : { epoch: 1, state: "x" };
        if (shown?.state === "silent") throw new CommandFailed("No router answers");
        return { shards: [{ id: "s1", ...shown }] };
      }
      return { entries: begun ? (now?.events ?? []).map(entry) : [] };
    };
    const ended = replaced(ACCESS, "s1", { goesOn: "it goes on" }, async () => {
      begun = true;
    }).then(
      ({ at }) => `replaced at ${at.slice(11, 19)}`,
      (error: CommandFailed) => `${error.message}: ${error.why}`,
    );
    await vi.advanceTimersByTimeAsync(1_300_000);
    return await ended;
  };

  test("is, once it serves again, also when no router answers in between", async () => {
    const serving = { epoch: 2, state: "serving", events: ["replaced"] };
    expect(await ends({ epoch: 1, state: "draining" }, serving)).toBe("replaced at 10:00:05");
    const away = { epoch: 1, state: "silent" };
    expect(await ends({ epoch: 1, state: "draining" }, away, away, serving)).toBe(
      "replaced at 10:00:05",
    );
    // The store shows the entry later than the shard serves.
    const early = Array.from({ length: 10 }, () => ({ epoch: 2, state: "serving" }));
    expect(await ends(...early, serving)).toBe("replaced at 10:00:05");
  });

  test("stays as it was, when the fleet says so, or when who was asked for it died", async () => {
    const kept = { epoch: 1, state: "serving", events: ["not replaced"] };
    expect(await ends({ epoch: 1, state: "draining" }, kept)).toMatch(/stays as it was: because/);
    const died = [
      { epoch: 1, state: "draining" },
      { epoch: 2, state: "serving" },
    ];
    expect(await ends(...died)).toMatch(/stays as it was: its owner ended before it began/);
  });
});

test("the way back is the last moment before the exchange, to the millisecond", async () => {
  const point = (at: string) => ({ at: `2026-11-22T10:00:${at}Z` });
  const points = [point("06.100"), point("04.900"), point("01.000")];
  fleet.answer = () => ({ shards: [{ id: "s1", points }] });
  expect(await wayBack(ACCESS, "s1", "2026-11-22T10:00:05.000Z")).toContain(
    "./fleet restore s1 --at 2026-11-22T10:00:04.900Z --stack x (for ten minutes",
  );
  fleet.answer = () => {
    throw new CommandFailed("it was restored, but nobody tells of moments");
  };
  expect(await wayBack(ACCESS, "s1", "2026-11-22T10:00:05.000Z")).toBeNull();
});
