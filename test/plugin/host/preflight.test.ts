import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  faultsText,
  type HostNeeds,
  judgeHost,
  RELEASES_MIB,
} from "../../../plugin/host/preflight.ts";
import { type HostSurvey, parseSurvey } from "../../../plugin/host/preflight-facts.ts";

const survey: HostSurvey = {
  system: "debian",
  systemVersion: "12",
  systemName: "Debian GNU/Linux 12 (bookworm)",
  machine: "x86_64",
  cores: 4,
  memoryMiB: 4_096,
  disks: {
    "/opt/openclaw-fleet": { device: "/dev/vda1", freeMiB: 20_000 },
    "/var/lib/openclaw-fleet": { device: "/dev/vda1", freeMiB: 20_000 },
  },
  clockAheadSeconds: 0.1,
  clockErrorSeconds: 0.05,
  listening: [{ address: "0.0.0.0", port: 22, program: "sshd", unit: "ssh.service" }],
  systemd: 252,
  cgroup2: true,
  fleet: null,
};
const needs: HostNeeds = {
  fleet: "prod",
  node: "a",
  arch: "x64",
  memoryMiB: 4_096,
  memoryOf: {},
  dataMiB: 10_000,
  ports: { "443": "the front", "18790": "the router" },
  units: ["openclaw-fleet-node.service", "nginx.service"],
};
const own = { name: "prod", node: "a", keeps: [] };
const disk = (opt: number, data: number, two = false): HostSurvey["disks"] => ({
  "/opt/openclaw-fleet": { device: "/dev/vda1", freeMiB: opt },
  "/var/lib/openclaw-fleet": { device: two ? "/dev/vdb" : "/dev/vda1", freeMiB: data },
});
const faults = (change: Partial<HostSurvey>, wanted: Partial<HostNeeds> = {}) =>
  judgeHost({ ...survey, ...change }, { ...needs, ...wanted }).map(({ what }) => what);

describe("a host is judged", () => {
  test("fit when nothing stands against it", () => {
    expect(faults({})).toEqual([]);
  });

  test.each([
    ["debian", "11", false],
    ["debian", "12", true],
    ["debian", "13", true],
    ["ubuntu", "22.04", false],
    ["ubuntu", "24.04", true],
    ["ubuntu", "24.10", false],
    ["fedora", "12", false],
    ["", "", false],
  ])("system %s %s is supported: %s", (system, systemVersion, fit) => {
    expect(faults({ system, systemVersion })).toHaveLength(fit ? 0 : 1);
  });

  test("unfit without systemd, or with control groups of the old version", () => {
    expect(faults({ systemd: null })).toEqual(["systemd does not run it"]);
    expect(faults({ cgroup2: false })[0]).toMatch(/control groups of the old version/);
  });

  test("unfit for a release of another architecture, with the setting that helps", () => {
    const [fault] = judgeHost({ ...survey, machine: "aarch64" }, needs);
    expect(fault).toEqual({
      what: "its processor is aarch64, and the release is for x64",
      fix: "set arch of this host to arm64",
    });
    expect(faults({ machine: "riscv64" })).toHaveLength(1);
  });

  test.each([
    [4_096, 0],
    // What a machine of 4 GB shows.
    [3_800, 0],
    [3_769, 0],
    [3_768, 1],
  ])("with %i MiB of memory for 4096: %i faults", (memoryMiB, count) => {
    expect(faults({ memoryMiB })).toHaveLength(count);
  });

  test("without the memory, with the words for what needs it", () => {
    const memoryOf = { "the node with its shards": 3_456, Redis: 640 };
    expect(faults({ memoryMiB: 3_700 }, { memoryOf })).toEqual([
      "it has 3700 MiB of memory, and the plan needs 4096 MiB (the node with its shards 3456, Redis 640)",
    ]);
  });

  test("by the sum of what one disk must hold", () => {
    const both = RELEASES_MIB + needs.dataMiB;
    expect(faults({ disks: disk(both, both) })).toEqual([]);
    expect(faults({ disks: disk(both - 1, both - 1) })).toEqual([
      `/opt/openclaw-fleet and /var/lib/openclaw-fleet would need ${both} MiB, and ${both - 1} MiB are free there`,
    ]);
    expect(faults({ disks: disk(RELEASES_MIB, needs.dataMiB, true) })).toEqual([]);
    expect(faults({ disks: disk(RELEASES_MIB - 1, needs.dataMiB - 1, true) })).toHaveLength(2);
  });

  test("with data that is there already, only for another release", () => {
    expect(faults({ disks: disk(RELEASES_MIB / 2, 0, true), fleet: own })).toEqual([]);
    expect(faults({ disks: disk(RELEASES_MIB / 2 - 1, 0, true), fleet: own })).toHaveLength(1);
  });

  test.each([
    [2, 0, 0],
    [2.01, 0, 1],
    [-2.01, 0, 1],
    // The answer took so long that the clock may be right.
    [-3, 1.5, 0],
    [60, 1, 1],
  ])("with a clock %d s ahead, known within %d s: %i faults", (ahead, error, count) => {
    const found = faults({ clockAheadSeconds: ahead, clockErrorSeconds: error });
    expect(found).toHaveLength(count);
    if (count) expect(found[0]).toContain(ahead > 0 ? "s ahead of" : "s behind");
  });

  test("by who has its ports", () => {
    const nginx = { address: "0.0.0.0", port: 443, program: "nginx", unit: "nginx.service" };
    const [fault] = judgeHost({ ...survey, listening: [nginx] }, needs);
    expect(fault?.what).toBe(
      "port 443 is wanted by the front, and nginx (nginx.service) listens at 0.0.0.0:443",
    );
    expect(fault?.fix).toContain("systemctl disable --now nginx.service");
    // The fleet's own, when it is there already.
    expect(faults({ listening: [nginx], fleet: own })).toEqual([]);
    expect(faults({ listening: [{ ...nginx, unit: "" }], fleet: own })).toHaveLength(1);
    // What it runs now and will not any more: another front takes the port.
    const former = [{ ...nginx, unit: "openclaw-fleet-caddy.service" }];
    expect(faults({ listening: former, fleet: own })).toEqual([]);
    expect(faults({ listening: former })).toHaveLength(1);
  });

  test("unfit when another fleet, or another node of this one, has it", () => {
    expect(faults({ fleet: own })).toEqual([]);
    expect(judgeHost({ ...survey, fleet: { ...own, name: "dev" } }, needs)).toEqual([
      {
        what: "it is node a of fleet dev already, and this is node a of prod",
        fix: "name another host, or take the other fleet off it first (fleet destroy on its stack)",
      },
    ]);
    // Its own stack is the one that must not be destroyed.
    expect(judgeHost({ ...survey, fleet: { ...own, node: "b" } }, needs)).toEqual([
      {
        what: "it is node b of fleet prod already, and this is node a of prod",
        fix: "name it b again, or leave it out of hosts and run ./fleet up --stack prod, which takes node b off it; then add it as a",
      },
    ]);
  });

  test("unfit with the data of a fleet that is gone, where no stack can take it off", () => {
    const keeps = ["/var/lib/openclaw-fleet"];
    expect(faults({ fleet: { ...own, keeps } })).toEqual([]);
    for (const fleet of [
      { name: "dev", node: "a", keeps },
      { name: "prod", node: "b", keeps },
    ]) {
      expect(judgeHost({ ...survey, fleet }, needs)).toEqual([
        {
          what: `it keeps the data of node ${fleet.node} of fleet ${fleet.name} (/var/lib/openclaw-fleet), and this is node a of prod`,
          fix: "move it away, then remove /var/lib/openclaw-fleet-host",
        },
      ]);
    }
  });

  test("all faults are told at once", () => {
    const found = judgeHost(
      { ...survey, system: "arch", memoryMiB: 512, clockAheadSeconds: -90, machine: "i686" },
      needs,
    );
    const text = faultsText("a", found);
    expect(text).toMatch(/^host a is not fit, and nothing was changed on it:\n/);
    expect(text.match(/^ {2}- /gm)).toHaveLength(4);
    expect(text.match(/^ {4}do: /gm)).toHaveLength(4);
  });

  test("more memory and disk never make a host worse", () => {
    fc.assert(
      fc.property(fc.nat(9_000), fc.nat(30_000), fc.nat(9_000), (memory, free, more) => {
        const before = faults({ memoryMiB: memory, disks: disk(free, free) }).length;
        const after = faults({
          memoryMiB: memory + more,
          disks: disk(free + more, free + more),
        }).length;
        expect(after).toBeLessThanOrEqual(before);
      }),
    );
  });
});

describe("what a host says of itself", () => {
  const TEXT = `time 1000.500000000
ID debian
VERSION_ID 13
PRETTY_NAME Debian GNU/Linux 13 (trixie)
machine aarch64
cores 2
memory 2015232
disk /opt/openclaw-fleet /dev/sda1 3072000
disk /var/lib/openclaw-fleet /dev/sdb 1024
systemd 257
cgroup cgroup2fs
listen 0.0.0.0:22 ssh.service sshd
listen 127.0.0.53%lo:53 systemd-resolved.service systemd-resolve
listen [::]:443 - some program
listen *:9100 -${" "}
record {"fleet":"prod","node":"a","files":{}}
`;

  test("is read", () => {
    const read = parseSurvey(TEXT, 1_000_000, 1_000_200);
    expect(read).toMatchObject({
      system: "debian",
      systemVersion: "13",
      machine: "aarch64",
      cores: 2,
      memoryMiB: 1_968,
      disks: {
        "/opt/openclaw-fleet": { device: "/dev/sda1", freeMiB: 3_000 },
        "/var/lib/openclaw-fleet": { device: "/dev/sdb", freeMiB: 1 },
      },
      systemd: 257,
      cgroup2: true,
      fleet: { name: "prod", node: "a", keeps: [] },
    });
    expect(read.clockAheadSeconds).toBeCloseTo(0.4, 6);
    expect(read.clockErrorSeconds).toBeCloseTo(0.1, 6);
    expect(read.listening).toEqual([
      { address: "0.0.0.0", port: 22, program: "sshd", unit: "ssh.service" },
      {
        address: "127.0.0.53",
        port: 53,
        program: "systemd-resolve",
        unit: "systemd-resolved.service",
      },
      { address: "[::]", port: 443, program: "some program", unit: "" },
      { address: "*", port: 9100, program: "", unit: "" },
    ]);
  });

  test("is read as nothing, not as something, when it says nothing", () => {
    const read = parseSurvey("", 0, 0);
    expect(read).toMatchObject({ system: "", systemd: null, cgroup2: false, fleet: null });
    expect(judgeHost(read, needs).length).toBeGreaterThan(3);
  });

  test.each([
    ["runs", [], { units: { "toy.service": {} }, files: {} }],
    ["has only files there", [], { units: {}, files: { "/etc/issue": {} } }],
    ["is just being put there", [], { complete: false }],
    ["left only its data", ["/srv/a", "/srv/b"], {}],
  ])("a fleet that %s keeps %j", (_, keeps, change) => {
    const left = {
      complete: true,
      units: {},
      files: {},
      directories: { "/srv/b": {}, "/srv/a": {} },
    };
    const text = JSON.stringify({ fleet: "prod", node: "a", ...left, ...change });
    expect(parseSurvey(`record ${text}\n`, 0, 0).fleet).toEqual({ ...own, keeps });
  });

  test("a record that cannot be read is somebody's fleet", () => {
    expect(parseSurvey('record {"fleet": "pr', 0, 0).fleet?.name).toBe("unknown");
  });
});
