import { expect, test } from "vitest";
import { BootSlots } from "../../../gateway/shard/boot-slots.ts";
import { readStartup } from "../../../gateway/shard/probe.ts";

test.each([
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 2],
  [8, 4],
])("%i cores boot %i at a time", (cores, size) => {
  expect(new BootSlots(cores).size).toBe(size);
});

test("in order of asking; leaving the queue, or twice, frees nothing", () => {
  const slots = new BootSlots(2);
  const begun: string[] = [];
  const enter = (name: string) => slots.take(() => begun.push(name));
  const a = enter("a");
  const b = enter("b");
  const c = enter("c");
  enter("d");
  b();
  b();
  expect(begun).toEqual(["a"]);
  a();
  a();
  expect(begun).toEqual(["a", "c"]);
  c();
  expect(begun).toEqual(["a", "c", "d"]);
});

test.each([
  [200, '{"status":"started"}', "started"],
  [200, '{"status":"started","version":"2026.9.6"}', "started"],
  [503, '{"status":"starting"}', "starting"],
  [503, '{"status":"draining"}', "draining"],
  [200, "<html>", "down"],
  [200, '{"ok":true,"status":"live"}', "down"],
  [200, "null", "down"],
  [503, '{"status":"started"}', "down"],
  [404, "", "down"],
])("/startupz %i %s means %s", (status, body, meaning) => {
  expect(readStartup(status, body)).toBe(meaning);
});
