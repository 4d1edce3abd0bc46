import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeLeftLeases } from "../../../gateway/openclaw/left-leases.ts";

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "left-leases-"));
  mkdirSync(join(stateDir, "state"));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const open = () => new DatabaseSync(join(stateDir, "state", "openclaw.sqlite"));

/** A state as a gateway leaves it whose host lost its power. */
function abandon(): void {
  const database = open();
  database.exec(`PRAGMA journal_mode = WAL;
    CREATE TABLE state_leases (scope TEXT, lease_key TEXT, owner TEXT, expires_at INTEGER,
      payload_json TEXT, PRIMARY KEY (scope, lease_key)) STRICT;
    CREATE TABLE cron_jobs (name TEXT) STRICT;
    INSERT INTO cron_jobs VALUES ('tick');
    INSERT INTO state_leases VALUES ('gateway-owner', 'global', 'x', ${Date.now() + 300_000},
      '{"owner":{"pid":7,"host":"a","startedAt":1},"port":19001,"mode":"foreground","supervisor":null}')`);
  database.close();
}
const count = (table: string): number => {
  const database = open();
  try {
    return Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n);
  } finally {
    database.close();
  }
};

test("what processes of another host held is gone, and nothing else", () => {
  abandon();
  expect(removeLeftLeases(stateDir)).toBe(1);
  expect([count("state_leases"), count("cron_jobs")]).toEqual([0, 1]);
  expect(removeLeftLeases(stateDir)).toBe(0);
});

test("a state that was never used, or has no such tables, is left alone", () => {
  expect(removeLeftLeases(stateDir)).toBe(0);
  const database = open();
  database.exec("CREATE TABLE other (a TEXT) STRICT");
  database.close();
  expect(removeLeftLeases(stateDir)).toBe(0);
  expect(count("other")).toBe(0);
});

test("a state in use is not waited for silently", () => {
  abandon();
  const user = open();
  try {
    user.exec("BEGIN IMMEDIATE");
    expect(() => removeLeftLeases(stateDir)).toThrow(/locked/);
  } finally {
    user.close();
  }
});
