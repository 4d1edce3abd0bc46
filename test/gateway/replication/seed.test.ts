import { afterEach, beforeEach, expect, it } from "vitest";
import { CHUNKS, EPOCHS } from "../../../gateway/replication/manifest.ts";
import { DamagedReplica } from "../../../gateway/replication/reader.ts";
import { seed } from "../../../gateway/replication/seed.ts";
import { StaleEpoch, TargetUnavailable } from "../../../gateway/replication/target.ts";
import { FLEET, replicatorOn, Scratch, SHARD, Writer } from "./fixtures.ts";
import { MemoryTarget } from "./memory-target.ts";

const PLACE = { directory: "000000000001-n1-i1", seq: 1 };

let scratch: Scratch;
let from: MemoryTarget;
let to: MemoryTarget;
beforeEach(async () => {
  scratch = new Scratch();
  from = new MemoryTarget();
  to = new MemoryTarget();
  const writer = new Writer(scratch.path("state", "one.sqlite"));
  // Some thirty chunks: more than are on their way at a time.
  for (let n = 0; n < 300; n++) writer.write(n, `${n} `.repeat(1_500));
  writer.close();
  const { replicator } = replicatorOn(scratch, from);
  expect((await replicator.step()).outcome).toBe("replicated");
  await replicator.close();
});
afterEach(() => scratch.clean());

const chunks = (target: MemoryTarget) =>
  [...target.objects.keys()].filter((key) => key.startsWith(CHUNKS)).sort();
const copy = (signal = new AbortController().signal, epoch = 2) =>
  seed({ fleet: FLEET, shard: SHARD, from, to, place: PLACE, epoch, signal });

it("copies every chunk of a manifest, and nothing that a reader would go by", async () => {
  const sent = await copy();
  expect(sent.chunks).toBe(chunks(from).length);
  expect(chunks(to)).toEqual(chunks(from));
  for (const key of chunks(to))
    expect(to.objects.get(key)?.bytes).toEqual(from.objects.get(key)?.bytes);
  expect(await to.list(EPOCHS)).toEqual([]);
});

it("sends nothing that is there", async () => {
  await copy();
  to.puts = [];
  expect(await copy()).toEqual({ chunks: 0, bytes: 0 });
  expect(to.puts).toEqual([]);
});

it("hands on no damaged chunk: nobody could put the right one under its name", async () => {
  const [bad] = chunks(from) as [string];
  for (const key of chunks(from)) {
    const object = from.objects.get(key);
    if (key === bad && object) object.bytes = Buffer.from("something else");
  }
  await expect(copy()).rejects.toBeInstanceOf(DamagedReplica);
  expect(chunks(to)).not.toContain(bad);
});

it("ends when it is told to, and goes on from there another time", async () => {
  const stop = new AbortController();
  to.fate = () => {
    if (to.puts.length >= 3) stop.abort();
    return "done";
  };
  await copy(stop.signal);
  expect(chunks(to).length).toBeLessThan(chunks(from).length);
  await copy();
  expect(chunks(to)).toEqual(chunks(from));
});

it("ends at the first failure of a target, and says it", async () => {
  to.fate = (call) => (call === "put" && to.puts.length >= 2 ? "lost" : "done");
  await expect(copy()).rejects.toBeInstanceOf(TargetUnavailable);
  to.fate = () => "done";
  to.highest = 3;
  await expect(copy()).rejects.toBeInstanceOf(StaleEpoch);
});
