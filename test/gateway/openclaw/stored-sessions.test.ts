import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { storedSessions } from "../../../gateway/openclaw/stored-sessions.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stored-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function database(path: string, ...statements: string[]): string {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  const made = new DatabaseSync(join(folder, path));
  for (const statement of statements) made.exec(statement);
  made.close();
  return path;
}
const TABLE = "CREATE TABLE session_nodes (session_key TEXT PRIMARY KEY)";
const agent = (name: string) => `agents/${name}/agent/openclaw-agent.sqlite`;

it("counts the conversations of every agent, and of nothing else", () => {
  const found = [
    database(agent("main"), TABLE, "INSERT INTO session_nodes VALUES ('a'), ('b')"),
    database(agent("clerk"), TABLE, "INSERT INTO session_nodes VALUES ('c')"),
    database("state/openclaw.sqlite", TABLE, "INSERT INTO session_nodes VALUES ('no')"),
  ];
  expect(storedSessions(folder, found)).toBe(3);
});

it("has none where no agent has spoken", () => {
  expect(storedSessions(folder, [])).toBe(0);
});

it("says so when an agent's database is of another kind", () => {
  const found = [database(agent("main"), "CREATE TABLE other (x)")];
  expect(storedSessions(folder, found)).toBeNull();
});
