import { expect, test } from "vitest";
import { planHosts } from "../../../stacks/hosts/plan.ts";
import { planFleet } from "../../../stacks/presets.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

const THREE = [
  { name: "a", address: "192.0.2.1" },
  { name: "b", address: "192.0.2.2" },
  { name: "c", address: "192.0.2.3" },
];

const BUCKET = {
  bucket: "replicas",
  region: "eu-central-1",
  accessKeyId: "AKIA",
  secretAccessKey: "hunter2hunter2",
};

function plan(more: object) {
  const settings = settingsSchema.parse({
    target: "hosts",
    environment: "staging",
    hosts: THREE,
    ...more,
  });
  return planHosts(settings, planFleet(settings));
}

test("three hosts with a domain: Let's Encrypt, one Redis, watched by the last", () => {
  const { endpoint, front, redis, watching, several } = plan({ domain: "chat.example.com" });
  expect(endpoint).toBe("https://chat.example.com");
  expect(front?.certificate).toEqual({ kind: "acme", email: undefined });
  expect([redis, watching, several]).toEqual(["single", "c", true]);
});

test("without a domain people come to the first front, and trust the fleet's authority", () => {
  const { endpoint, front } = plan({ front: { httpsPort: 8443, hosts: ["b"] } });
  expect(endpoint).toBe("https://192.0.2.2:8443");
  expect(front?.certificate.kind).toBe("fleet");
});

test("without a domain every front is a way in, each under a name of its certificate", () => {
  const { otherFronts, certificates } = plan({ front: { httpsPort: 8443, hosts: ["a", "c"] } });
  expect(otherFronts).toEqual(["https://192.0.2.3:8443"]);
  expect(certificates.c).toContain("192.0.2.3");
  expect(plan({ domain: "chat.example.com" }).otherFronts).toEqual([]);
  expect(plan({ front: { kind: "none" } }).otherFronts).toEqual([]);
});

test("what a front is told is planned, and what it is not told stays as planned", () => {
  const told = {
    proxyProtocolFrom: ["10.0.0.0/8"],
    adminFrom: ["203.0.113.0/24", "2001:db8::/32"],
    ipv6: false,
    limits: { burst: 5 },
  };
  const { front } = plan({ front: told });
  expect(front).toMatchObject(told);
  expect(front?.limits).toEqual({ connections: 1024, requestsPerSecond: 200, burst: 5 });
  const plain = plan({}).front;
  expect(plain).toMatchObject({ proxyProtocolFrom: [], adminFrom: null, ipv6: true });
});

test.each(["10.0.0.0/33", "10.0.0", "fleet.example.com", "2001:db8::/129", "10.0.0.0/8/8", ""])(
  "%j is no range",
  (range) => {
    expect(() => plan({ front: { adminFrom: [range] } })).toThrow(/an address or a range/);
  },
);

test("a host with a front answers to the domain, another does not", () => {
  const { certificates } = plan({ domain: "chat.example.com", front: { hosts: ["b"] } });
  expect(certificates.b).toContain("chat.example.com");
  expect(certificates.a).not.toContain("chat.example.com");
  expect(certificates.a).toContain("192.0.2.1");
});

test("one host alone needs no etcd, no Redis and nobody who watches", () => {
  const alone = plan({ preset: "solo", hosts: THREE.slice(0, 1) });
  expect([alone.several, alone.redis, alone.watching]).toEqual([false, null, null]);
});

test("somebody's own Redis is not put on the hosts", () => {
  expect(plan({ redis: { url: "redis://192.0.2.9" } }).redis).toBeNull();
});

test.each([
  [{ hosts: [] }, /hosts is empty/],
  [{ hosts: [...THREE, { name: "a", address: "192.0.2.4" }] }, /hosts\[3\]\.name is a, as is/],
  [
    { hosts: [...THREE.slice(0, 2), { name: "x", address: "192.0.2.1" }] },
    /address is 192\.0\.2\.1, as is/,
  ],
  [
    { hosts: [...THREE.slice(0, 2), { name: "x", address: "root@h" }] },
    /neither an IP address nor a DNS/,
  ],
  [
    { hosts: [...THREE.slice(0, 2), { name: "x", address: "127.0.0.1" }] },
    /other hosts cannot reach/,
  ],
  [{ front: { certificate: "own" } }, /front\.certificateFile is missing/],
  [{ environment: "prod" }, /domain is missing/],
  [{ front: { hosts: ["z"] } }, /front\.hosts names "z"/],
  [
    { redis: { url: "redis://192.0.2.9", memoryMiB: 512 } },
    /redis\.memoryMiB is set, and redis\.url/,
  ],
  [
    { preset: "solo", hosts: THREE.slice(0, 1), replication: { bytesPerSecond: 1e6 } },
    /replication is set for a single host/,
  ],
  [{ replication: { s3: { ...BUCKET, endpoint: "http://s3.example.com" } } }, /https:/],
  [{ replication: { s3: { ...BUCKET, prefix: "fleets" } } }, /ending in \//],
  [{ front: { kind: "caddy", limits: { burst: 5 } } }, /front\.limits is set, and Caddy/],
  [{ monitoring: { host: "z" } }, /monitoring\.host is z/],
])("%j is refused", (more, said) => {
  expect(() => plan(more)).toThrow(said);
});
