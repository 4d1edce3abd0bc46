import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mergeParts } from "../../../components/host/merge.ts";
import { hostPlan } from "../../../components/host/shape.ts";
import { HOST_PATHS, HOST_PORTS, type HostContext } from "../../../components/host/types.ts";
import { type NodePlanInput, planNode } from "../../../components/node/plan.ts";
import { FAILED_UNIT, NODE_UNIT } from "../../../components/node/unit.ts";
import { fleetConfig, nodeConfig, storesConfig } from "../../../gateway/config.ts";
import { DRAIN } from "../../../gateway/contract.ts";
import { RUNTIME_ENTRIES } from "../../../toolchain/bundle.ts";

const host = (name: string, address: string, witness = false) => ({ name, address, witness });
const hosts = [host("a", "192.0.2.1"), host("b", "fd00::2"), host("w", "192.0.2.3", true)];
const context = (name = "a"): HostContext => ({
  fleet: "prod",
  self: hosts.find((each) => each.name === name) as never,
  hosts,
  paths: { ...HOST_PATHS, release: `${HOST_PATHS.releases}/1` },
  ports: HOST_PORTS,
});
const input: NodePlanInput = {
  releaseId: "2026.9.6+abc",
  cores: 4,
  etcdEndpoints: ["https://192.0.2.1:2379"],
  redisUrl: "rediss://fleet:{{secret redis.fleet}}@192.0.2.1:6379",
  memoryMaxMiB: 6_000,
  fleet: {
    version: 1,
    fleet: "prod",
    target: "hosts",
    preset: "small",
    shards: [{ id: "s1", agents: ["main"], recycleMiB: 2_560 }],
    agents: [{ name: "main", shards: ["s1"], homeShard: "s1", channels: {}, cron: [], env: {} }],
    models: "demo",
    openclaw: {},
    channelBinding: {},
    tokens: {
      client: ["{{secret token.client}}"],
      admin: "{{secret token.admin}}",
      peer: "{{secret token.peer}}",
    },
    trustedProxies: [],
    scrapers: [],
    turnBudgetMs: 600_000,
  },
};
const withSecrets = (text: string) =>
  JSON.parse(text.replaceAll(/\{\{secret [^}]+\}\}/g, "s".repeat(43)));
const textOf = (path: string, name = "a", over = {}) =>
  planNode(context(name), { ...input, ...over }).files?.[path]?.content as string;

test("with the secrets put in, the runtime understands its files", () => {
  const node = nodeConfig.parse(withSecrets(textOf(`${HOST_PATHS.data}/nodes/a/node.json`)));
  const fleet = fleetConfig.parse(withSecrets(textOf(`${HOST_PATHS.data}/fleet.json`)));
  expect(node).toMatchObject({
    address: "192.0.2.1",
    peerPort: 18_791,
    front: { host: "0.0.0.0", port: 18_790 },
    leases: { kind: "etcd", prefix: "/openclaw-fleet/prod" },
  });
  // The witness runs no shards; what is not on loopback has certificates.
  expect(fleet).toMatchObject({ members: ["a", "b"], host: "127.0.0.1", port: 18_789 });
});

test("a host with an IPv6 address listens on IPv6, one host alone keeps its leases in a file", () => {
  const six = withSecrets(textOf(`${HOST_PATHS.data}/nodes/b/node.json`, "b"));
  expect(six.front.host).toBe("::");
  const alone = withSecrets(
    textOf(`${HOST_PATHS.data}/nodes/a/node.json`, "a", { etcdEndpoints: null }),
  );
  expect(alone.leases).toEqual({ kind: "sqlite" });
});

test("no secret is in the plan, and what holds one is for the fleet's user alone", () => {
  const plan = mergeParts([planNode(context(), input)]);
  for (const [path, file] of Object.entries(plan.files)) {
    expect(file.content.includes("{{secret "), path).toBe(!path.endsWith("/stores.json"));
    expect(Number.parseInt(file.mode, 8) & 0o007, path).toBe(0);
  }
});

test("a change of the fleet's settings restarts nothing; the node's own does, after a drain", () => {
  const unit = planNode(context(), input).units?.[NODE_UNIT];
  expect(unit).toMatchObject({ drains: true, restartOn: [`${HOST_PATHS.data}/nodes/a/node.json`] });
});

test("OpenClaw of the release is asked about settings as the node's user, before fleet.json is written", () => {
  const fleetFile = `${HOST_PATHS.data}/fleet.json`;
  const plan = mergeParts([planNode(context(), input)]);
  expect(hostPlan.safeParse(plan).error).toBeUndefined();
  const argv = plan.files[fleetFile]?.verify ?? [];
  const { release } = context().paths;
  expect(argv.slice(0, 3)).toEqual(["setpriv", "--reuid", "openclaw"]);
  expect(argv.slice(argv.indexOf("--") + 1)).toEqual([
    `${release}/bin/node`,
    `${release}/runtime/settings-check.js`,
    `${release}/openclaw/node_modules/openclaw/openclaw.mjs`,
    fleetFile,
    `${HOST_PATHS.data}/nodes/a`,
  ]);
  expect(Object.keys(RUNTIME_ENTRIES)).toContain("settings-check.js");
  const others = Object.entries(plan.files).filter(([path]) => path !== fleetFile);
  expect(others.flatMap(([, { verify = [] }]) => verify)).toEqual([]);
});

test("stores whose members come and go are in a file of their own, which restarts nothing", () => {
  const dir = `${HOST_PATHS.data}/nodes/a`;
  const redisUrl = "rediss+sentinel://fleet:{{secret redis.fleet}}@{redis}/fleet";
  const over = (last: number) => ({
    redisUrl,
    etcdEndpoints: [`https://192.0.2.${last}:2379`],
    redisAddresses: [`192.0.2.${last}:26379`],
  });
  expect(textOf(`${dir}/node.json`, "a", over(1))).toBe(textOf(`${dir}/node.json`, "a", over(2)));
  const stores = storesConfig.parse(JSON.parse(textOf(`${dir}/stores.json`, "a", over(2))));
  expect(stores).toEqual({
    version: 1,
    etcd: ["https://192.0.2.2:2379"],
    redis: ["192.0.2.2:26379"],
  });
  const units = Object.values(planNode(context(), input).units ?? {});
  expect(units.flatMap(({ restartOn = [] }) => restartOn)).not.toContain(`${dir}/stores.json`);
});

test("a node that was given up says who serves its shards: the others, or nobody", () => {
  const said = (of: HostContext) => planNode(of, input).units?.[FAILED_UNIT]?.content;
  const several = context("a");
  const witness = { name: "w", address: "192.0.2.9", witness: true };
  expect(said(several)).toContain("The other nodes serve its shards.");
  for (const hosts of [[several.self], [several.self, witness]]) {
    expect(said({ ...several, hosts })).toContain("It is the only one: nothing is served.");
  }
});

test("the service manager starts a node again, feels its pulse, and gives up one that ends at once", () => {
  const unit = planNode(context(), input).units?.[NODE_UNIT]?.content?.split("\n") ?? [];
  for (const line of [
    ...["Type=notify", "WatchdogSec=60", "WatchdogSignal=SIGKILL"],
    ...["Restart=always", "RestartSec=5", "StartLimitIntervalSec=300", "StartLimitBurst=5"],
    ...["KillMode=mixed", "TimeoutStopSec=330", "Delegate=yes", "OOMPolicy=continue"],
    ...["User=openclaw", `OnFailure=${FAILED_UNIT}`],
  ]) {
    expect(unit).toContain(line);
  }
});

test("the service manager waits longer than a drain may take", () => {
  const text = planNode(context(), input).units?.[NODE_UNIT]?.content as string;
  const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(text)?.[1]);
  expect(seconds).toBe(330);
  expect(seconds * 1_000).toBeGreaterThan(DRAIN.termTurnsMs + DRAIN.termReleaseMs);
  expect(text).toMatch(/^MemoryMax=6000M$/m);
  const free = planNode(context(), { ...input, memoryMaxMiB: undefined }).units?.[NODE_UNIT];
  expect(free?.content).not.toContain("MemoryMax");
});

const analyze = (args: string[]) => spawnSync("systemd-analyze", args, { encoding: "utf8" });
const hasAnalyze = analyze(["--version"]).status === 0;

test.skipIf(!hasAnalyze)("systemd finds nothing to say against the units", () => {
  const dir = mkdtempSync(join(tmpdir(), "units-"));
  try {
    const units = planNode(context(), input).units ?? {};
    for (const [name, { content = "" }] of Object.entries(units)) {
      // What is not on this machine is not the text's fault: the program, and its user's directory.
      const text = content
        .replace(/^ExecStart=\/opt.*$/m, "ExecStart=/bin/true")
        .replace(/^User=.*\nGroup=.*$/m, "User=root\nGroup=root");
      writeFileSync(join(dir, name), text);
    }
    for (const name of [NODE_UNIT, FAILED_UNIT]) {
      const { status, stderr } = analyze(["verify", "--man=no", join(dir, name)]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
