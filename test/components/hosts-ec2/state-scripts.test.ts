import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GROW_SCRIPT, PREPARE_SCRIPT } from "../../../components/hosts-ec2/state-scripts.ts";
import { eventually } from "../../support/eventually.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const MIB = 2 ** 20;
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();

/** Volumes here are files that the kernel shows as block devices; only root may ask for that, and not everywhere. */
function hasLoops(): boolean {
  if (process.getuid?.() !== 0) return false;
  const dir = mkdtempSync(join(tmpdir(), "loop-"));
  try {
    const image = join(dir, "image");
    writeFileSync(image, "");
    truncateSync(image, MIB);
    run("losetup", "--detach", run("losetup", "--find", "--show", image));
    return ["mkfs.ext4", "e2fsck", "resize2fs", "blkid", "chattr", "mkswap"].every(
      (program) => spawnSync(program, ["--help"]).error === undefined,
    );
  } catch {
    return false;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Containers often lack what the kernel asks for growing a file system in use: CAP_SYS_RESOURCE. */
function mayResize(): boolean {
  const [, effective = "0"] =
    /^CapEff:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return (BigInt(`0x${effective}`) & (1n << 24n)) !== 0n;
}

describe.skipIf(!hasLoops())("a state volume", () => {
  let dir: string;
  let volume: string;
  const at = (name: string) => join(dir, name);

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "state-"));
    writeFileSync(at("prepare"), PREPARE_SCRIPT, { mode: 0o755 });
    writeFileSync(at("grow"), GROW_SCRIPT, { mode: 0o755 });
    writeFileSync(at("image"), "");
    truncateSync(at("image"), 32 * MIB);
    volume = run("losetup", "--find", "--show", at("image"));
  });
  afterEach(() => {
    spawnSync("umount", [at("state")]);
    run("losetup", "--detach", volume);
    if (existsSync(at("state"))) run("chattr", "-i", at("state"));
    rmSync(dir, { recursive: true });
  });

  /** One boot's preparation; `path` is searched for programs first. */
  const prepare = (places: readonly string[] = [volume], seconds = 0, path = "") => {
    const args = [at("state"), at("link"), String(seconds), ...places];
    const { status, stdout, stderr } = spawnSync(at("prepare"), args, {
      encoding: "utf8",
      env: { ...process.env, PATH: `${path}:${process.env.PATH}` },
    });
    return { status, said: stdout + stderr };
  };
  const mount = () => run("mount", at("link"), at("state"));
  const content = () =>
    createHash("sha256")
      .update(readFileSync(at("image")))
      .digest("hex");

  /** A program of the system, that does something else here. */
  const replaced = (program: string, script: string): string => {
    mkdirSync(at("bin"), { recursive: true });
    writeFileSync(at(`bin/${program}`), `#!/bin/sh\n${script}\n`);
    chmodSync(at(`bin/${program}`), 0o755);
    return at("bin");
  };

  test("that is blank gets a file system, and the link leads to it", () => {
    expect(prepare()).toMatchObject({ status: 0 });
    expect(readlinkSync(at("link"))).toBe(volume);
    mount();
    expect(run("findmnt", "--noheadings", "--output", "FSTYPE", at("state"))).toBe("ext4");
  });

  test("keeps what is on it at every further boot, also of another machine", () => {
    prepare();
    mount();
    writeFileSync(at("state/conversation"), "hello");
    // While it is mounted, too.
    expect(prepare()).toMatchObject({ status: 0 });
    run("umount", at("state"));
    const again = prepare();
    expect(again.status, again.said).toBe(0);
    expect(again.said).not.toContain("making a file system");
    mount();
    expect(readFileSync(at("state/conversation"), "utf8")).toBe("hello");
  });

  test("without which nobody can write where it belongs", () => {
    prepare();
    expect(() => writeFileSync(at("state/conversation"), "lost")).toThrow(/EPERM/);
    mount();
    writeFileSync(at("state/conversation"), "kept");
  });

  test("has its file system asked whether it has all of the volume", () => {
    prepare();
    mount();
    const path = replaced("resize2fs", `echo "$@"`);
    const asked = spawnSync(at("grow"), [at("state")], {
      encoding: "utf8",
      env: { ...process.env, PATH: `${path}:${process.env.PATH}` },
    });
    expect(asked).toMatchObject({ status: 0, stdout: `${volume}\n` });
    run(at("grow"), at("state"));
  });

  test.skipIf(!mayResize())("that grew gives all of its room, while it is in use", () => {
    prepare();
    mount();
    writeFileSync(at("state/conversation"), "hello");
    const before = statfsSync(at("state")).blocks;
    truncateSync(at("image"), 64 * MIB);
    run("losetup", "--set-capacity", volume);
    run(at("grow"), at("state"));
    expect(statfsSync(at("state")).blocks).toBeGreaterThan(before * 1.5);
    expect(readFileSync(at("state/conversation"), "utf8")).toBe("hello");
  });

  test.each([
    ["swap", (device: string) => void run("mkswap", device), /holds swap, and not ext4/],
    [
      "a partition table",
      // One partition of type 83 from sector 8 on, and the record's signature.
      (device: string) => {
        const record = Buffer.alloc(512);
        record.set([0x80, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 0, 0x80, 0, 0], 446);
        record.set([0x55, 0xaa], 510);
        writeFileSync(device, record, { flag: "r+", flush: true });
      },
      /no file system, and not ext4/,
    ],
  ])("with %s on it is left as it is", (_what, put, words) => {
    put(volume);
    const before = content();
    const { status, said } = prepare();
    expect(status).toBe(1);
    expect(said).toMatch(words);
    expect(content()).toBe(before);
    expect(existsSync(at("link"))).toBe(false);
  });

  test.each([
    ["cannot be read", "dd", "exit 1", /cannot be read/],
    ["is not clear to blkid", "blkid", "exit 8", /blkid cannot tell .*exit 8/],
  ])("that %s is left as it is", (_what, program, script, words) => {
    const before = content();
    const { status, said } = prepare([volume], 0, replaced(program, script));
    expect(status).toBe(1);
    expect(said).toMatch(words);
    expect(content()).toBe(before);
  });

  test("that needs a person's repair is not mounted half broken", () => {
    prepare();
    const { status, said } = prepare([volume], 0, replaced("e2fsck", "exit 4"));
    expect(status).toBe(1);
    expect(said).toContain("needs e2fsck by hand");
  });

  test("that never comes is told of with all places where it was looked for", () => {
    const { status, said } = prepare([at("by-id"), at("sdf")], 0);
    expect(status).toBe(1);
    expect(said).toContain(`${at("by-id")} ${at("sdf")}`);
    expect(existsSync(at("state"))).toBe(false);
  });

  test("is found under the second of its names", () => {
    expect(prepare([at("by-id"), volume])).toMatchObject({ status: 0 });
    expect(readlinkSync(at("link"))).toBe(volume);
  });

  test("that comes late is waited for", async () => {
    // The wait's own pause tells that it looked in vain once.
    const path = replaced("sleep", `: >> ${at("looked")}; exec /bin/sleep 0.05`);
    const child = spawn(at("prepare"), [at("state"), at("link"), "1000000", at("by-id")], {
      env: { ...process.env, PATH: `${path}:${process.env.PATH}` },
      stdio: "ignore",
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    await eventually(() => expect(existsSync(at("looked"))).toBe(true), 60_000);
    symlinkSync(volume, at("by-id"));
    expect(await ended).toBe(0);
    expect(readlinkSync(at("link"))).toBe(volume);
  });
});
