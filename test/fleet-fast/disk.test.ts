import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { FastFleet, ownerOf } from "./fleet.ts";

/** A disk of its own that can be full: needs the right to mount, as root has it. */
const base = mkdtempSync(join(tmpdir(), "fleet-disk-"));
const mounted =
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "fleet-test", base]).status === 0;
afterAll(() => {
  if (mounted) execFileSync("umount", ["-l", base]);
  rmSync(base, { recursive: true, force: true });
});

describe.skipIf(!mounted)("a full disk", () => {
  let fleet: FastFleet;
  beforeEach(async () => {
    fleet = await FastFleet.start({ dataDir: join(base, "data") });
  }, 120_000);
  afterEach(async () => {
    await fleet?.remove();
  }, 60_000);

  function fill(): void {
    const { bavail, bsize } = statfsSync(base);
    const block = Buffer.alloc(65_536);
    const parts = Math.ceil((bavail * bsize) / block.length) + 1;
    try {
      for (let i = 0; i < parts; i++) writeFileSync(join(base, "fill"), block, { flag: "a" });
    } catch {
      // That was the last of it.
    }
    try {
      for (;;) writeFileSync(join(base, "fill"), "xxxxxxxxxxxxxxxx", { flag: "a" });
    } catch {
      // Full to the last page.
    }
  }

  test("stops no node; it says so, and goes on by itself when there is room again", {
    timeout: 200_000,
  }, async () => {
    const { shard } = await fleet.chat("one", "s");
    const keepers = fleet.nodes.map((node) => fleet.keeperPid(node));
    const supervisors = fleet.nodes.map((node) => fleet.supervisorPid(node));
    expect(fleet.logs()).toMatch(/the disk of \S+ is nearly full: \d+ MiB free/);
    fill();
    // A turn may fail; then somebody is told so.
    const body = { message: "two", session: "s" };
    const response = await fleet.fetch("/api/v1/chat", { body });
    expect([200, 502, 503]).toContain(response.status);
    await response.arrayBuffer();
    // A gateway that ends now cannot be made ready anew, and is tried again and again.
    process.kill(ownerOf(await fleet.status(), shard).pid, "SIGKILL");
    await fleet.until("the loss was seen", (status) =>
      status.shards.some((s) => s.id === shard && s.state !== "serving"),
    );
    rmSync(join(base, "fill"));
    await fleet.served();
    expect(fleet.nodes.map((node) => fleet.keeperPid(node))).toEqual(keepers);
    expect(fleet.nodes.map((node) => fleet.supervisorPid(node))).toEqual(supervisors);
    expect(await fleet.chat("three", "s")).toMatchObject({ shard });
    expect(fleet.faults()).toEqual([]);
  });
});
