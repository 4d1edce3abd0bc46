import { expect, test } from "vitest";
import { DnsDirectory } from "../../../gateway/node/dns-directory.ts";

const fault = (code: string) => Object.assign(new Error(`query ${code}`), { code });

function world() {
  const warned: string[] = [];
  const dns = {
    srv: {} as Record<string, { name: string; port: number }[]>,
    hosts: new Set<string>(),
    broken: null as string | null,
    srvBroken: null as string | null,
  };
  const directory = new DnsDirectory({
    name: "fleet.example",
    port: 18_791,
    nodes: () => ["a", "b"],
    log: { warn: (message) => warned.push(message) },
    resolver: {
      srv: async (name) => {
        const broken = dns.broken ?? dns.srvBroken;
        if (broken) throw fault(broken);
        const found = dns.srv[name];
        if (!found) throw fault("ENODATA");
        return found;
      },
      host: async (name) => {
        if (dns.broken) throw fault(dns.broken);
        if (!dns.hosts.has(name)) throw fault("ENOTFOUND");
      },
    },
  });
  return { directory, dns, warned };
}

test("SRV records say host and port of each node, by the first part of their target", async () => {
  const { directory, dns } = world();
  dns.srv["_openclaw-fleet._tcp.fleet.example"] = [
    { name: "a.inside.example.", port: 7_001 },
    { name: "b.inside.example", port: 7_002 },
  ];
  await directory.look();
  expect(directory.addressOf("a", "10.0.0.1:18791")).toBe("a.inside.example:7001");
  expect(directory.addressOf("b", "10.0.0.2:18791")).toBe("b.inside.example:7002");
  expect(directory.addressOf("c", "10.0.0.3:18791")).toBe("10.0.0.3:18791");
});

test("without them a node is dialled by its name in the domain, if that has an address", async () => {
  const { directory, dns, warned } = world();
  dns.hosts.add("a.fleet.example");
  await directory.look();
  expect(directory.addressOf("a", "10.0.0.1:18791")).toBe("a.fleet.example:18791");
  expect(directory.addressOf("b", "10.0.0.2:18791")).toBe("10.0.0.2:18791");
  expect(warned).toEqual([]);
});

test("a resolver that fails changes nothing that is known, and is told of once", async () => {
  const { directory, dns, warned } = world();
  dns.hosts.add("a.fleet.example");
  await directory.look();
  dns.broken = "ESERVFAIL";
  await directory.look();
  await directory.look();
  expect(directory.addressOf("a", "10.0.0.1:18791")).toBe("a.fleet.example:18791");
  expect(warned).toHaveLength(1);
  dns.broken = null;
  await directory.look();
  dns.broken = "ESERVFAIL";
  await directory.look();
  expect(warned).toHaveLength(2);
});

test("where names come from and SRV records do not, asking for these may fail", async () => {
  const { directory, dns, warned } = world();
  dns.srvBroken = "ECONNREFUSED";
  await directory.look();
  expect(warned).toEqual([expect.stringContaining("ECONNREFUSED")]);
  dns.hosts.add("a.fleet.example");
  await directory.look();
  expect(directory.addressOf("a", "10.0.0.1:18791")).toBe("a.fleet.example:18791");
  expect(warned).toHaveLength(1);
});

test("what SRV records said is not undone while they cannot be asked for", async () => {
  const { directory, dns, warned } = world();
  dns.srv["_openclaw-fleet._tcp.fleet.example"] = [{ name: "a.fleet.example", port: 7_001 }];
  dns.hosts.add("a.fleet.example");
  await directory.look();
  dns.srvBroken = "ESERVFAIL";
  await directory.look();
  expect(directory.addressOf("a", "10.0.0.1:18791")).toBe("a.fleet.example:7001");
  expect(warned).toHaveLength(1);
});
