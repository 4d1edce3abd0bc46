import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { selfOf } from "../../../gateway/etcd/member-file.ts";
import { EtcdClient } from "../../../gateway/leases/etcd-client.ts";
import { eventually } from "../../support/eventually.ts";
import { type EtcdHost, EtcdHosts, SETTLE_MS } from "./hosts.ts";

const PLAN = ["a", "b", "c"];
const MIB = 2 ** 20;
const HOUR_MS = 3_600_000;
/** A value that is written again and again: its old revisions fill the database. */
const VALUE = Buffer.alloc(MIB, "x").toString("base64");
const KEY = Buffer.from("key").toString("base64");

let hosts: EtcdHosts;
let clients: EtcdClient[];
beforeEach(async () => {
  clients = [];
  hosts = await EtcdHosts.open(PLAN);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const client of clients) client.close();
  await hosts?.close();
});

/** Writes by this member, which asks again for as long as it may. */
function writer(
  host: EtcdHost,
  timeoutMs = 5_000,
): () => Promise<{ header: { revision: string } }> {
  const { clientUrl } = selfOf(host.file);
  const made = new EtcdClient({ endpoints: [clientUrl], tls: host.file.tls, warn: () => {} });
  clients.push(made);
  return () => made.call("/v3/kv/put", { key: KEY, value: VALUE }, timeoutMs);
}

async function statusOf(host: EtcdHost) {
  const admin = host.admin();
  try {
    return await admin.status();
  } finally {
    admin.close();
  }
}

it.each([
  ["all are there", false],
  ["the one that was written to is gone", true],
])("a full database takes writes again by one member's care, where %s", async (_, gone) => {
  const limit = (host: EtcdHost) => {
    const { config } = host.file;
    const planned = JSON.parse(readFileSync(config, "utf8"));
    expect(planned).toMatchObject({
      "auto-compaction-mode": "periodic",
      "auto-compaction-retention": "10m",
    });
    writeFileSync(config, JSON.stringify({ ...planned, "quota-backend-bytes": 16 * MIB }));
  };
  const [a, b, c] = (await hosts.bringUp(PLAN, limit)) as [EtcdHost, EtcdHost, EtcdHost];
  const fill = writer(c);
  const full = async () => {
    for (let n = 0; n < 64; n++) await fill();
  };
  await expect(full()).rejects.toThrow("database space exceeded");
  if (gone) await c.kill();
  await eventually(() => b.voters(), SETTLE_MS);
  expect(await a.tend()).toEqual([]);
  expect(a.said).toContain("the database is full: it is compacted and defragmented");
  // Each of them has room: what one of them cannot take, none can. A write takes up to three times its size, as
  // pages are copied before they are freed, so a few stay well below the limit.
  const put = writer(b);
  for (let n = 0; n < 3; n++) await put();
  for (const host of gone ? [a, b] : [a, b, c]) {
    const { bytes, errors } = await statusOf(host);
    expect(errors).toEqual([]);
    expect(bytes).toBeLessThan(12 * MIB);
  }
});

it("a database that is mostly free gives its disk back, each member in its turn, who leads hands over first", async () => {
  const all = await hosts.bringUp(PLAN);
  const put = writer(all[0] as EtcdHost);
  let revision = "0";
  for (let n = 0; n < 80; n++) ({ revision } = (await put()).header);
  const admin = (all[0] as EtcdHost).admin();
  await admin.compact(revision).finally(() => admin.close());
  await eventually(async () => {
    // Pages that a compaction gave free count as used until something is written: a fleet writes its leases.
    await put();
    for (const host of all) {
      const { bytes, bytesInUse } = await statusOf(host);
      expect(bytes).toBeGreaterThan(70 * MIB);
      expect(bytesInUse).toBeLessThan(10 * MIB);
    }
  }, SETTLE_MS);
  const handedOver = new Set<string>();
  for (const [turn, host] of all.entries()) {
    for (const [n, other] of all.entries()) {
      if (n === turn) continue;
      await inTurn(turn, () => other.tend());
      if (n > turn) expect((await statusOf(other)).bytes).toBeGreaterThan(70 * MIB);
    }
    await eventually(async () => {
      const before = await statusOf(host);
      if (before.leader === before.id) handedOver.add(host.name);
      expect(await inTurn(turn, () => host.tend())).toEqual([]);
      expect((await statusOf(host)).bytes).toBeLessThan(10 * MIB);
    }, SETTLE_MS);
  }
  expect(handedOver.size).toBeGreaterThan(0);
  expect(all.flatMap(({ said }) => said.filter((line) => /^defragmented/.test(line)))).toHaveLength(
    3,
  );
  await put();
});

/** At a time of the hour that is this member's. */
async function inTurn<T>(turn: number, work: () => Promise<T>): Promise<T> {
  const real = Date.now();
  const at = real - (real % HOUR_MS) + ((turn + 0.5) / PLAN.length) * HOUR_MS;
  const clock = vi.spyOn(Date, "now").mockReturnValue(at);
  try {
    return await work();
  } finally {
    clock.mockRestore();
  }
}
