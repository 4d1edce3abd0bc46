import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  candidates,
  GROW_TIMER,
  mountUnit,
  STATE_UNIT,
  stateUnits,
  userData,
} from "../../../components/hosts-ec2/user-data.ts";

const STATE = {
  volumeId: "vol-0123456789abcdef0",
  device: "/dev/sdf",
  mountPoint: "/var/lib/openclaw-fleet",
} as const;
const MOUNT = "var-lib-openclaw\\x2dfleet.mount";

/** EC2 takes no more, in bytes. */
const MOST = 16_384;

interface CloudConfig {
  readonly write_files: readonly { readonly path: string; readonly permissions: string }[];
  readonly runcmd: readonly (readonly string[])[];
}

describe("what a machine does at its first start", () => {
  const text = userData(STATE);
  const config = parse(text) as CloudConfig;

  test("is a text that cloud-init takes as its configuration, and EC2 at all", () => {
    expect(text.startsWith("#cloud-config\n")).toBe(true);
    expect(Buffer.byteLength(text)).toBeLessThan(MOST);
    expect(Object.keys(config)).toEqual(["write_files", "runcmd"]);
  });

  test("writes units and the programs that they start, which nobody but root may change", () => {
    const files = new Map(config.write_files.map((file) => [file.path, file]));
    for (const [name, unit] of Object.entries(stateUnits(STATE))) {
      expect(files.has(`/etc/systemd/system/${name}`), name).toBe(true);
      const [, program] = /^ExecStart=(\S+)/m.exec(unit) ?? [];
      if (program) expect(files.get(program)?.permissions).toBe("0755");
    }
    for (const { permissions } of config.write_files) expect(permissions).toMatch(/^0[67][45]{2}$/);
  });

  test("ends with the mount, which later boots find enabled", () => {
    expect(config.runcmd.at(-1)).toEqual(["systemctl", "enable", "--now", MOUNT, GROW_TIMER]);
  });

  test("is the same for another machine on the same volume", () => {
    expect(userData({ ...STATE })).toBe(text);
  });
});

test("a volume is looked for by its id first, and by the names that old machines give it", () => {
  expect(candidates(STATE)).toEqual([
    "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0",
    "/dev/sdf",
    "/dev/xvdf",
  ]);
});

test.each([
  ["/var/lib/openclaw-fleet", MOUNT],
  ["/srv/a.b/.c_d", "srv-a.b-\\x2ec_d.mount"],
])("%s is mounted by %s, as systemd-escape says", (path, unit) => {
  expect(mountUnit(path)).toBe(unit);
});

describe("the mount", () => {
  const unit = stateUnits(STATE)[MOUNT] as string;

  test("waits for the volume, and holds up neither the boot nor who looks why", () => {
    expect(unit).toContain(`Requires=${STATE_UNIT}\nAfter=${STATE_UNIT}\n`);
    // With them it would be before local-fs.target, which everything waits for.
    expect(unit).toContain("DefaultDependencies=no");
    expect(unit).toContain("WantedBy=multi-user.target");
    expect(unit).not.toContain("local-fs.target");
  });

  test("is let go of before the machine is off", () => {
    expect(unit).toContain("Conflicts=umount.target\nBefore=umount.target\n");
  });
});
