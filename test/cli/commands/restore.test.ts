import { expect, it } from "vitest";
import { drillText } from "../../../cli/commands/restore.ts";
import { keptAt } from "../../../cli/lib/moments.ts";

const point = {
  at: "2026-11-21T15:00:03.000Z",
  epoch: 4,
  node: "a",
  place: "000000000004-a-1/12",
  site: "b",
  release: "2026.9.6+x",
  bytes: 3 * 2 ** 20,
  databases: 2,
};

it("shows for each shard what came back, how old it was and how long it took", () => {
  const text = drillText(
    {
      shards: [
        { shard: "s1", point, ageMs: 4_000, bytes: 4 * 2 ** 20, sessions: 12, tookMs: 1_200 },
        {
          shard: "s2",
          point: { ...point, site: null },
          ageMs: 90_000,
          bytes: 2 ** 20,
          sessions: null,
          tookMs: 300,
        },
      ],
    },
    { target: "hosts" },
  );
  expect(text.split("\n").map((line) => line.trim().split(/ {2,}/))).toMatchInlineSnapshot(`
    [
      [
        "SHARD",
        "MOMENT (UTC)",
        "AGE",
        "KEPT AT",
        "SIZE",
        "DATABASES",
        "SESSIONS",
        "TOOK",
      ],
      [
        "s1",
        "2026-11-21 15:00:03",
        "4.0 s",
        "b",
        "4.0 MiB",
        "2 whole",
        "12",
        "1.2 s",
      ],
      [
        "s2",
        "2026-11-21 15:00:03",
        "90 s",
        "target",
        "1.0 MiB",
        "2 whole",
        "unknown",
        "0.3 s",
      ],
      [
        "",
      ],
      [
        "2 restored, checked and removed again in 1.5 s.",
      ],
    ]
  `);
});

it("promises nothing where nothing was restored", () => {
  expect(drillText({ shards: [] }, { target: "hosts" })).toBe("No shard was restored.");
});

it("names the bucket where one place has the replicas of all hosts", () => {
  const bucket = { ...point, site: null };
  expect(keptAt(bucket, { target: "ec2" })).toBe("S3");
  expect(keptAt(bucket, { target: "hosts" })).toBe("target");
  expect(keptAt(point, { target: "hosts" })).toBe("b");
});
