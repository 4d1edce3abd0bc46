import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StoresConfig } from "../../gateway/config.ts";
import { StoresFile } from "../../gateway/stores-file.ts";
import { eventually } from "../support/eventually.ts";

let dir: string;
let file: StoresFile | undefined;
const path = () => join(dir, "stores.json");
const put = (text: string) => {
  writeFileSync(`${path()}.new`, text);
  renameSync(`${path()}.new`, path());
};
const stores = (etcd: string) => JSON.stringify({ version: 1, etcd: [etcd] });

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "fleet-stores-"));
});
afterEach(() => {
  file?.close();
  rmSync(dir, { recursive: true, force: true });
});

test("a change is in force soon after, once; a file that is no good leaves what was", async () => {
  put(stores("https://a:2379"));
  const told: string[] = [];
  const changes: StoresConfig[] = [];
  file = new StoresFile(path(), { warn: (message) => told.push(message), everyMs: 5 });
  file.watch((change) => changes.push(change));
  put(stores("https://b:2379"));
  await eventually(() => expect(file?.current.etcd).toEqual(["https://b:2379"]));
  put('{"version": 1, "etcd": []}');
  await eventually(() => expect(told[0]).toContain("stores.json is not what this runtime"));
  put("{");
  await eventually(() => expect(told[1]).toContain("cannot be read as JSON"));
  expect(file.current.etcd).toEqual(["https://b:2379"]);
  rmSync(path());
  await eventually(() => expect(told[2]).toContain("ENOENT"));
  put(stores("https://c:2379"));
  await eventually(() => expect(file?.current.etcd).toEqual(["https://c:2379"]));
  expect(changes.map(({ etcd }) => etcd?.[0])).toEqual(["https://b:2379", "https://c:2379"]);
  expect(told).toHaveLength(3);
});

test("without a good file there is nothing to begin with", () => {
  expect(() => new StoresFile(path(), { warn: () => {} })).toThrow(/ENOENT/);
  put('{"version": 2}');
  expect(() => new StoresFile(path(), { warn: () => {} })).toThrow(/version/);
});
