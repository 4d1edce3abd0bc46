import { mkdirSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostPlan } from "../../../../components/host/types.ts";
import { SqliteLeaseStore } from "../../../../gateway/leases/sqlite.ts";
import { apply } from "../../../../plugin/host/agent/apply.ts";
import type { ApplyRequest } from "../../../../plugin/host/agent/protocol.ts";
import { FakeHost } from "./fake-host.ts";

const DATA = "/var/lib/toy";
const FILE = `${DATA}/leases.sqlite`;
const REPLICATION = { target: { kind: "s3", bucket: "replicas", region: "eu-central-1" } };
const NEW_FLEET = { leases: { kind: "sqlite" }, replication: REPLICATION };

function plan(config: object): HostPlan {
  const own = { owner: "toy", group: "toy" };
  const content = JSON.stringify({ dataDir: DATA, ...config });
  return {
    packages: [],
    users: { toy: { home: DATA } },
    directories: {
      [DATA]: { ...own, mode: "0750", data: true },
      [`${DATA}/nodes`]: { ...own, mode: "0750" },
      [`${DATA}/nodes/a`]: { ...own, mode: "0750" },
    },
    files: { [`${DATA}/nodes/a/node.json`]: { content, ...own, mode: "0640", format: "json" } },
    units: {},
    checks: {},
  };
}

describe("the leases of a fleet with one host", () => {
  let host: FakeHost;
  beforeEach(() => {
    host = new FakeHost();
  });
  afterEach(() => host.remove());

  const make = async (config: object, more: Partial<ApplyRequest> = {}) => {
    const secrets = {};
    const request = { first: true, previous: null, api: null, secrets, ...more };
    await apply({ verb: "apply", fleet: "f", node: "a", plan: plan(config), ...request }, host);
  };
  const there = () => statSync(host.path(FILE), { throwIfNoEntry: false });

  test("are known to be new where its replicas are elsewhere, for the node's user alone", async () => {
    await make(NEW_FLEET);
    expect((there()?.mode ?? 0) & 0o777).toBe(0o600);
    const store = new SqliteLeaseStore({ path: host.path(FILE) });
    try {
      expect((await store.read()).pristine).toBe(true);
    } finally {
      await store.close();
    }
  });

  test.each([
    ["by its node, without replicas", { leases: { kind: "sqlite" } }, {}],
    ["in etcd, with several hosts", { leases: { kind: "etcd" }, replication: REPLICATION }, {}],
    ["by its node, on another machine", NEW_FLEET, { restarted: { emptied: false } }],
    ["before, when it changes", NEW_FLEET, { first: false }],
  ] as const)("are made %s", async (_, config, more) => {
    await make(config, more);
    expect(there()).toBeUndefined();
  });

  test("are left alone, and not made beside shards that are there", async () => {
    await make(NEW_FLEET);
    const { ino } = there() ?? {};
    await make(NEW_FLEET);
    expect(there()?.ino).toBe(ino);
    const other = new FakeHost();
    mkdirSync(other.path(`${DATA}/shards`), { recursive: true });
    host.remove();
    host = other;
    await make(NEW_FLEET);
    expect(there()).toBeUndefined();
  });
});
