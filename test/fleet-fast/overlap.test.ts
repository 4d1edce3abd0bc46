import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-ports.ts";
import { FastFleet } from "./fleet.ts";

const fleet = new FastFleet();
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await fleet.remove();
});

test.runIf(process.platform === "linux")("two gateways of one shard are seen", async () => {
  const stateDir = join(fleet.dataDir, "shards", "s1", "state");
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(join(stateDir, "../epoch-1"), "");
  const config = join(stateDir, "openclaw.json");
  const token = join(stateDir, "token");
  writeFileSync(token, "t");
  const providers = { "openclaw-fleet": { path: token } };
  writeFileSync(config, JSON.stringify({ secrets: { providers } }));
  const gateway = async () => {
    const program = join(import.meta.dirname, "programs/openclaw.ts");
    const args = [program, "gateway", "run", "--port", String(await freePort())];
    const env = { OPENCLAW_STATE_DIR: stateDir, OPENCLAW_CONFIG_PATH: config };
    const child = spawn(process.execPath, args, { env, stdio: "ignore" });
    children.push(child);
    return child;
  };
  await gateway();
  await eventually(() => expect(fleet.starts("s1")).toHaveLength(1));
  expect(fleet.faults()).toEqual([]);
  const second = await gateway();
  await eventually(() =>
    expect(fleet.faults()).toEqual([`s1: ${second.pid} started while another gateway lived`]),
  );
});
