import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Presence } from "../../../gateway/etcd/ask.ts";
import { forgetFault } from "../../../gateway/etcd/forget-shard.ts";
import { leaveFault } from "../../../gateway/etcd/leave.ts";
import type { MemberFile } from "../../../gateway/etcd/member-file.ts";
import { judgeOthers, markLeft, prepare, REFUSED_MS } from "../../../gateway/etcd/prepare.ts";
import { isTurn, surplus, wasteful } from "../../../gateway/etcd/tend.ts";

test.each<[Presence[], number, string]>([
  [[], 0, "begin"],
  [["refused", "refused"], 0, "ask"],
  [["refused", "refused"], REFUSED_MS, "begin"],
  [["waiting", "refused"], 0, "begin"],
  [["waiting", "waiting"], 0, "begin"],
  [["unreachable", "refused"], 1e9, "ask"],
  [["unreachable", "waiting"], 1e9, "ask"],
  [["unreachable", "established"], 0, "join"],
  [["waiting", "established"], 0, "join"],
])("a member without data whose others are %j after %i ms: %s", (others, waited, verdict) => {
  expect(judgeOthers(others, waited)).toBe(verdict);
});

test("a member that left stays away until its file is newer, and says how it becomes so", async () => {
  const home = mkdtempSync(join(tmpdir(), "etcd-left-"));
  try {
    const tls = { ca: "", cert: "", key: "" };
    const own = { name: "a", peerUrl: "https://a:2380", clientUrl: "https://a:2379" };
    const [config, startConfig] = [join(home, "etcd.json"), join(home, "start.json")];
    const file: MemberFile = {
      ...{ self: "a", members: [own], tls, home, config, startConfig },
      ...{ etcdctl: "", snapshots: 0 },
    };
    writeFileSync(config, "{}");
    markLeft(file);
    const { mtimeMs } = statSync(join(home, "left"));
    const at = (deployedAtMs: number) => prepare(file, { say: () => {}, deployedAtMs });
    await expect(at(mtimeMs)).rejects.toThrow("./fleet refresh, then ./fleet up");
    expect((await at(mtimeMs + 1)).state).toBe("new");
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("no second cluster is begun while anybody may know of one", () => {
  const presence = fc.constantFrom<Presence>("established", "waiting", "refused", "unreachable");
  fc.assert(
    fc.property(fc.array(presence, { maxLength: 6 }), fc.nat(), (others, waited) => {
      const begins = judgeOthers(others, waited) === "begin";
      const mayKnow = others.some((one) => one === "established" || one === "unreachable");
      expect(begins && mayKnow).toBe(false);
    }),
  );
});

test("a database is defragmented when it is large and more than half empty", () => {
  const mib = (n: number) => n * 2 ** 20;
  expect(wasteful({ bytes: mib(64), bytesInUse: mib(32) })).toBe(false);
  expect(wasteful({ bytes: mib(64), bytesInUse: mib(32) - 1 })).toBe(true);
  expect(wasteful({ bytes: mib(64) - 1, bytesInUse: 0 })).toBe(false);
});

test("at any moment it is exactly one member's turn", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(), (count, now) => {
      const turns = Array.from({ length: count }, (_, n) => isTurn(n, count, now));
      expect(turns.filter(Boolean)).toHaveLength(1);
    }),
  );
});

test("of the snapshots the oldest go", () => {
  expect(surplus(["3", "1", "2"], 2)).toEqual(["1"]);
  expect(surplus(["1"], 2)).toEqual([]);
});

test.each([
  ["the last one", [], null],
  ["one of two", [true], null],
  ["one of three", [true, true], null],
  [
    "one of three, another is away",
    [true, false],
    /of the 2 members that would remain 2 .* only 1/,
  ],
  ["one of two, the other is away", [false], /none does/],
  ["one of four, another is away", [true, true, false], null],
  ["one of five, two are away", [true, true, false, false], /Start etcd on m2, m3 first/],
])("%s leaves, or is told why not", (_, answers, said) => {
  const others = answers.map((one, n) => ({ name: `m${n}`, answers: one }));
  const fault = leaveFault("x", others);
  if (said === null) expect(fault).toBeNull();
  else expect(fault).toMatch(said);
});

test("whoever may leave leaves a majority behind", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 9 }), (answers) => {
      const others = answers.map((one, n) => ({ name: `m${n}`, answers: one }));
      const majority = answers.filter(Boolean).length * 2 > answers.length;
      expect(leaveFault("x", others) === null).toBe(majority);
    }),
  );
});

test.each([
  ["a shard that nobody was served by", { owner: null, position: null }, null],
  ["one that somebody tries now", { owner: "b", position: null }, /is b's now/],
  ["one that was served", { owner: null, position: "000000000007-a-1/3+9" }, /was served/],
  ["one without a lease", undefined, /nothing to forget/],
])("of %s the lease is forgotten, or not", (_, lease, said) => {
  const fault = forgetFault("s1", lease);
  if (said === null) expect(fault).toBeNull();
  else expect(fault).toMatch(said);
});
