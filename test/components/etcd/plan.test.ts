import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ETCD_TEND_UNIT,
  ETCD_UNIT,
  etcdEndpoints,
  etcdMembers,
  etcdSurvives,
  planEtcd,
} from "../../../components/etcd/plan.ts";
import { mergeParts } from "../../../components/host/merge.ts";
import { secretNames } from "../../../components/host/secrets.ts";
import {
  HOST_PATHS,
  HOST_PORTS,
  type HostContext,
  type HostFacts,
} from "../../../components/host/types.ts";
import { LEASE } from "../../../gateway/contract.ts";
import { memberFile } from "../../../gateway/etcd/member-file.ts";

const host = (name: string, more: Partial<HostFacts> = {}): HostFacts => ({
  name,
  address: `10.0.0.${name.charCodeAt(0) - 96}`,
  ...more,
});
const many = (count: number) =>
  Array.from({ length: count }, (_, n) => host("abcdefghi"[n] ?? "z"));

function context(hosts: HostFacts[], self = hosts[0] as HostFacts): HostContext {
  const paths = { ...HOST_PATHS, release: `${HOST_PATHS.releases}/r1` };
  return { fleet: "prod", self, hosts, paths, ports: HOST_PORTS };
}

test.each([
  [1, "a", 0],
  [2, "a", 0],
  [3, "abc", 1],
  [4, "abc", 1],
  [5, "abcde", 2],
  [6, "abcde", 2],
  [9, "abcde", 2],
])("%i hosts have the members %s, of which %i may fail", (count, members, survives) => {
  const chosen = etcdMembers(many(count));
  expect(chosen.join("")).toBe(members);
  expect(etcdSurvives(chosen)).toBe(survives);
});

test("a witness votes wherever votes are counted, and never alone", () => {
  const w = host("w", { witness: true });
  expect(etcdMembers([host("a"), host("b"), w])).toEqual(["a", "b", "w"]);
  expect(etcdMembers([...many(4), w])).toEqual(["a", "b", "c", "d", "w"]);
  expect(etcdMembers([...many(5), w])).toEqual(["a", "b", "c", "d", "w"]);
  expect(etcdMembers([...many(3), w])).toEqual(["a", "b", "w"]);
  expect(etcdMembers([w, host("a")])).toEqual(["a"]);
});

test("the number of members is odd and never more than the hosts", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }), (witnesses) => {
      const hosts = witnesses.map((witness, n) => ({ name: `h${n}`, address: "x", witness }));
      const members = etcdMembers(hosts);
      expect(members.length % 2).toBe(1);
      expect(new Set(members).size).toBe(members.length);
      expect(members.length).toBeLessThanOrEqual(hosts.length);
    }),
  );
});

test("a node asks its own host's member first, and one without asks the others", () => {
  const hosts = many(4);
  const members = etcdMembers(hosts);
  const urls = (self: number) => etcdEndpoints(context(hosts, hosts[self]), { members });
  expect(urls(1)).toEqual([
    "https://10.0.0.2:2379",
    "https://10.0.0.1:2379",
    "https://10.0.0.3:2379",
  ]);
  expect(urls(3)).toEqual([
    "https://10.0.0.1:2379",
    "https://10.0.0.2:2379",
    "https://10.0.0.3:2379",
  ]);
  const six = [host("a", { address: "2001:db8::1" })];
  expect(etcdEndpoints(context(six), { members: ["a"] })).toEqual(["https://[2001:db8::1]:2379"]);
});

test("a host without a member gets nothing", () => {
  const hosts = many(4);
  expect(planEtcd(context(hosts, hosts[3]), { members: ["a", "b", "c"] })).toEqual({});
});

test("the member's files are readable for itself alone, and hold no secret but by name", () => {
  const plan = mergeParts([planEtcd(context(many(3)), { members: ["a", "b", "c"] })]);
  expect(secretNames(plan)).toEqual(["tls.a.cert", "tls.a.key", "tls.ca"]);
  for (const [path, file] of Object.entries(plan.files)) {
    expect(file, path).toMatchObject({ owner: "root", group: "openclaw-etcd", mode: "0640" });
  }
  expect(plan.directories["/var/lib/openclaw-fleet-etcd"]).toEqual({
    owner: "openclaw-etcd",
    group: "openclaw-etcd",
    mode: "0700",
    data: true,
  });
});

test("both of etcd's ports ask for the fleet's certificates", () => {
  const { files = {} } = planEtcd(context(many(3)), { members: ["a", "b", "c"] });
  const config = JSON.parse(files["/etc/openclaw-fleet/etcd/etcd.json"]?.content ?? "");
  for (const side of ["client", "peer"]) {
    expect(config[`${side}-transport-security`]).toMatchObject({
      "client-cert-auth": true,
      "trusted-ca-file": "/etc/openclaw-fleet/etcd/ca.pem",
    });
    expect(config[`listen-${side}-urls`]).toMatch(/^https:\/\/0\.0\.0\.0:/);
  }
  expect(config["tls-min-version"]).toBe("TLS1.3");
  expect(config).not.toHaveProperty("initial-cluster");
});

test("hosts that come and go change what a member knows, and do not restart it", () => {
  const part = (count: number, release = "r1") => {
    const hosts = many(count);
    const base = context(hosts);
    const paths = { ...base.paths, release: `${HOST_PATHS.releases}/${release}` };
    return planEtcd({ ...base, paths }, { members: etcdMembers(hosts) });
  };
  const [three, five] = [part(3), part(5)];
  expect(five.units).toEqual(three.units);
  const restarts = three.units?.[ETCD_UNIT]?.restartOn ?? [];
  for (const path of restarts) expect(five.files?.[path]).toEqual(three.files?.[path]);
  const members = (one: typeof three) =>
    memberFile.parse(
      JSON.parse(one.files?.["/etc/openclaw-fleet/etcd/members.json"]?.content ?? ""),
    );
  expect(members(three).members).toHaveLength(3);
  expect(members(five).members).toHaveLength(5);
});

test("the check of a majority waits for the fleet only where there are others", () => {
  const check = (count: number) => {
    const hosts = many(count);
    const part = planEtcd(context(hosts), { members: etcdMembers(hosts) });
    return part.checks?.["etcd has a majority"];
  };
  expect(check(3)?.needsFleet).toBe(true);
  expect(check(1)?.needsFleet).toBeUndefined();
});

test("one renewal of every shard that a node may hold fits into one transaction", () => {
  const { files = {} } = planEtcd(context(many(3)), { members: ["a", "b", "c"] });
  const config = JSON.parse(files["/etc/openclaw-fleet/etcd/etcd.json"]?.content ?? "");
  // 1,024 slots (gateway/leases/deadlines.ts), each a comparison and a write, with node and view.
  expect(config["max-txn-ops"]).toBeGreaterThan(1_024 + 3);
  expect(LEASE.renewTimeoutMs).toBeLessThan(LEASE.holdMs);
});

const analyze = (args: string[]) => spawnSync("systemd-analyze", args, { encoding: "utf8" });

test.skipIf(analyze(["--version"]).status !== 0)(
  "systemd finds nothing to say against the units",
  () => {
    const dir = mkdtempSync(join(tmpdir(), "units-"));
    try {
      const { units = {} } = planEtcd(context(many(3)), { members: ["a", "b", "c"] });
      for (const [name, { content = "" }] of Object.entries(units)) {
        // What is not on this machine is not the text's fault.
        const text = content
          .replaceAll(/^(ExecStart(?:Pre)?)=\/opt.*$/gm, "$1=/bin/true")
          .replace(/^User=.*\nGroup=.*$/m, "User=root\nGroup=root");
        writeFileSync(join(dir, name), text);
      }
      for (const name of [ETCD_UNIT, ETCD_TEND_UNIT]) {
        const { status, stderr } = analyze(["verify", "--man=no", join(dir, name)]);
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
