import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { OrdinaryFiles } from "../../../gateway/replication/ordinary.ts";
import { Scratch } from "./fixtures.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch.clean());

const SIZE = 70_000;

it("goes on after a copy for which there was no room, whatever waits beside it", async () => {
  const [root, staging] = [scratch.path("state"), scratch.path("staging")];
  for (const folder of [root, staging]) mkdirSync(folder, { recursive: true });
  const sent = new Set<string>();
  const shipping = {
    knows: (hash: string) => sent.has(hash),
    send: async (images: Iterable<{ pending(): Iterable<{ hash: string; read(): unknown }> }>) => {
      for (const image of images) {
        for (const { hash, read } of image.pending()) {
          await read();
          sent.add(hash);
        }
      }
    },
  };
  const files = new OrdinaryFiles(root, staging, shipping, SIZE + 10_000);
  const write = (name: string, letter: string) =>
    writeFileSync(join(root, name), letter.repeat(SIZE));
  write("x", "x");
  await files.look(new Set());
  // The copy before goes first, and the next one has no place.
  write("x", "yy");
  for (const name of readdirSync(staging))
    if (name.startsWith("file-")) rmSync(join(staging, name));
  renameSync(staging, `${staging}.away`);
  await expect(files.look(new Set())).rejects.toThrow(/ENOENT/);
  renameSync(`${staging}.away`, staging);
  // Of these some are looked at before it, in whatever order a folder is listed.
  for (let n = 0; n < 12; n++) write(`f${n}`, String(n));
  const { changed, leftOut } = await files.look(new Set());
  expect([changed, leftOut.size, files.images]).toEqual([true, 0, expect.any(Array)]);
  expect(files.images).toHaveLength(14);
});
