import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodeEnvironment } from "../../plugin/local-launcher.ts";
import { availableMemory, diskFault, memoryFault, portFault } from "../../plugin/preflight.ts";

const MIB = 2 ** 20;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fleet-machine-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));
function machine(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

describe("memory", () => {
  const meminfo = { "proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable:    4096000 kB\n" };

  test("is what the machine has available", () => {
    machine(meminfo);
    expect(availableMemory(root)).toMatchObject({ mib: 4000 });
    expect(memoryFault(4000, root)).toBeNull();
    expect(memoryFault(4001, root)).toMatch(
      /need 4001 MiB of memory, and 4000 MiB are available.*shards/,
    );
  });

  test.each([
    [
      "unified, with the page cache counted as free",
      {
        "proc/self/cgroup": "0::/team/me\n",
        "sys/fs/cgroup/team/memory.max": `${1000 * MIB}\n`,
        "sys/fs/cgroup/team/memory.current": `${600 * MIB}\n`,
        "sys/fs/cgroup/team/memory.stat": `anon 1\ninactive_file ${100 * MIB}\n`,
        "sys/fs/cgroup/team/me/memory.max": "max\n",
        "sys/fs/cgroup/team/me/memory.current": `${1 * MIB}\n`,
      },
      500,
    ],
    [
      "of the first version",
      {
        "proc/self/cgroup": "5:cpu:/\n4:memory:/job\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": `${900 * MIB}\n`,
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": `${200 * MIB}\n`,
      },
      700,
    ],
  ])("is bounded by a cgroup's limit, %s", (_, files, mib) => {
    machine({ ...meminfo, ...(files as unknown as Record<string, string>) });
    expect(availableMemory(root)).toMatchObject({ mib, limit: expect.stringContaining("cgroup") });
  });
});

test("disk is looked at where the directory will be", () => {
  expect(diskFault(join(root, "not/yet/there"), 1)).toBeNull();
  expect(diskFault(join(root, "not/yet/there"), 1e15)).toMatch(
    /MiB of disk below .*OPENCLAW_DATA_DIR/,
  );
});

describe("ports", () => {
  let server: Server;
  let port: number;
  beforeEach(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as { port: number }).port;
  });
  afterEach(() => server.close());

  test.runIf(process.platform === "linux")("a taken port names the process", async () => {
    expect(await portFault("127.0.0.1", port)).toMatch(
      new RegExp(`port ${port} on 127\\.0\\.0\\.1 is in use by process ${process.pid} \\(.+\\)`),
    );
  });

  test("a free port is no fault", async () => {
    await new Promise((resolve) => server.close(resolve));
    expect(await portFault("127.0.0.1", port)).toBeNull();
  });
});

test("a node gets none of the deployer's keys, and what only one of several nodes could have", () => {
  const env = {
    PATH: "/bin",
    HOME: "/h",
    https_proxy: "p",
    OPENCLAW_SKIP_CRON: "1",
    OPENCLAW_FLEET_LOG_LEVEL: "debug",
    OPENCLAW_INSTANCE_ID: "x",
    PULUMI_CONFIG_PASSPHRASE: "x",
    AWS_SECRET_ACCESS_KEY: "x",
    OPENAI_API_KEY: "x",
  };
  expect(Object.keys(nodeEnvironment(env)).sort()).toEqual(
    ["HOME", "OPENCLAW_FLEET_LOG_LEVEL", "OPENCLAW_SKIP_CRON", "PATH", "https_proxy"].sort(),
  );
});
