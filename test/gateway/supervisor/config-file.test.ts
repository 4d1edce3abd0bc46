import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  ConfigFileError,
  FleetConfigFile,
  readNodeConfig,
  settingsRevision,
} from "../../../gateway/supervisor/config-file.ts";

const fleet = (port: number) => ({
  version: 1,
  fleet: "test",
  target: "local",
  preset: "solo",
  port,
  shards: [{ id: "s1", agents: ["main"], recycleMiB: 2_500 }],
  agents: [{ name: "main", shards: ["s1"], homeShard: "s1" }],
  models: "demo",
  tokens: { client: ["c".repeat(24)], admin: "a".repeat(24), peer: "p".repeat(24) },
});

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "fleet-config-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (content: unknown) =>
  writeFileSync(
    join(dir, "fleet.json"),
    typeof content === "string" ? content : JSON.stringify(content),
  );

function open() {
  const seen: { changes: number[]; faults: string[] } = { changes: [], faults: [] };
  const file = new FleetConfigFile(dir, {
    change: (config) => seen.changes.push(config.port),
    fault: (message) => seen.faults.push(message),
  });
  return { file, seen };
}

test("without a good file there is nothing to begin with, and the error names file and fault", () => {
  expect(open).toThrow(ConfigFileError);
  write({ ...fleet(1), agents: [] });
  expect(open).toThrow(/fleet\.json.*\n.*agents/s);
});

test("a changed file is told of once, an unchanged one never", () => {
  write(fleet(1000));
  const { file, seen } = open();
  file.check();
  write(fleet(20_000));
  file.check();
  file.check();
  expect(seen).toEqual({ changes: [20_000], faults: [] });
  expect(file.current.port).toBe(20_000);
});

test("the revision is that of the settings in force, not of a file that cannot be understood", () => {
  write(fleet(1000));
  const { file } = open();
  const first = settingsRevision(JSON.stringify(fleet(1000)));
  expect(file.revision).toBe(first);
  write("{");
  file.check();
  expect(file.revision).toBe(first);
  write(fleet(20_000));
  file.check();
  expect(file.revision).toBe(settingsRevision(JSON.stringify(fleet(20_000))));
});

test("a broken file changes nothing and is told of once; the next good one counts again", () => {
  write(fleet(1000));
  const { file, seen } = open();
  write("{ not json");
  file.check();
  file.check();
  expect(file.current.port).toBe(1000);
  expect(seen.faults).toHaveLength(1);
  rmSync(join(dir, "fleet.json"));
  file.check();
  expect(seen.faults).toHaveLength(2);
  write(fleet(30_000));
  file.check();
  expect(seen.changes).toEqual([30_000]);
});

test("a node's own file is held to its form too", () => {
  writeFileSync(join(dir, "node.json"), JSON.stringify({ version: 1, id: "A B" }));
  expect(() => readNodeConfig(dir)).toThrow(/node\.json.*id/s);
});
