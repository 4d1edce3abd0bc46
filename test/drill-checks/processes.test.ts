import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { History } from "../drill/history.ts";
import { ProcessWatch, withDescendants } from "../drill/processes.ts";
import { HEADER_OF_TESTS } from "./header.ts";

/** Of this run alone: another one on this machine has gateways too. */
const FOLDER = `/fleet-${process.pid}/shards/`;
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function start(shard: string, code: string): ChildProcess {
  const child = spawn(process.execPath, ["-e", code], {
    env: { ...process.env, OPENCLAW_STATE_DIR: FOLDER + shard },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}
async function until(watch: ProcessWatch, look: () => boolean): Promise<void> {
  for (;;) {
    watch.look();
    if (look()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
}
function watched() {
  const history = new History(HEADER_OF_TESTS, { now: () => performance.now() });
  const watch = new ProcessWatch(history, (dir) =>
    dir.startsWith(FOLDER) ? dir.slice(FOLDER.length) : null,
  );
  const has = (type: string, fields: object = {}) =>
    history.events.some(
      (event) =>
        event.type === type &&
        Object.entries(fields).every(([key, value]) => Reflect.get(event, key) === value),
    );
  return { watch, has };
}
const IDLE = "setInterval(() => {}, 1000)";

describe.skipIf(process.platform !== "linux")("the watch on processes", () => {
  test("sees a gateway come, stop, go on and end, by its state directory", async () => {
    const { watch, has } = watched();
    const child = start("s1", IDLE);
    const { pid = 0 } = child;
    await until(watch, () => has("process-up", { shard: "s1", pid }));
    child.kill("SIGSTOP");
    await until(watch, () => has("process-state", { running: false }));
    child.kill("SIGCONT");
    await until(watch, () => has("process-state", { running: true }));
    expect(watch.gatewayOf("s1")).toBe(pid);
    child.kill("SIGKILL");
    await until(watch, () => has("process-down", { shard: "s1" }));
    expect(watch.gatewayOf("s1")).toBeNull();
  });

  test("knows a child for its parent's, also when it is listed first", async () => {
    const { watch, has } = watched();
    const parent = start(
      "s1",
      `console.log(require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(IDLE)}]).pid); ${IDLE}`,
    );
    const { pid = 0 } = parent;
    const child = await new Promise<number>((resolve) => {
      parent.stdout?.once("data", (line: Buffer) => resolve(Number(line.toString())));
    });
    try {
      watch.look([child, pid]);
      expect(has("process-up", { pid })).toBe(true);
      expect(has("process-up", { pid: child })).toBe(false);
      expect(watch.pidsOf("s1").sort()).toEqual([pid, child].sort());
    } finally {
      process.kill(child, "SIGKILL");
    }
  });

  test("a host that is frozen has no gateway that could run", async () => {
    const history = new History(HEADER_OF_TESTS, { now: () => performance.now() });
    let frozen = false;
    const places = { hostOf: () => "a", frozen: (host: string) => host === "a" && frozen };
    const watch = new ProcessWatch(history, (dir) => (dir === `${FOLDER}s4` ? "s4" : null), places);
    const child = start("s4", IDLE);
    const states = () => history.events.filter((event) => event.type === "process-state");
    await until(watch, () => history.events.some((event) => event.type === "process-up"));
    expect(history.events.find((event) => event.type === "process-up")).toMatchObject({
      node: "a",
      pid: child.pid,
    });
    frozen = true;
    await until(watch, () => states().length === 1);
    frozen = false;
    await until(watch, () => states().length === 2);
    expect(states()).toMatchObject([{ running: false }, { running: true }]);
  });

  test("vouches for the time since its start, not for the time before", () => {
    let now = 0;
    const history = new History(HEADER_OF_TESTS, { now: () => now });
    const watch = new ProcessWatch(history, () => null);
    now = 600_000;
    watch.start();
    watch.stop();
    now += 2_000;
    watch.look();
    const gaps = history.events.flatMap((event) => (event.type === "looked" ? event.gapMs : []));
    expect(gaps.at(-1)).toBe(2_000);
    expect(Math.max(...gaps)).toBe(2_000);
  });

  test("counts a gateway and its helpers as one, and each start as another", async () => {
    const { watch, has } = watched();
    const code = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(IDLE)}], { stdio: "ignore" }); ${IDLE}`;
    const child = start("s2", code);
    const { pid = 0 } = child;
    await until(watch, () => watch.pidsOf("s2").length === 2);
    expect(withDescendants(pid).map((info) => info.pid)).toEqual(
      expect.arrayContaining(watch.pidsOf("s2")),
    );
    const helper = watch.pidsOf("s2").find((one) => one !== pid) ?? 0;
    child.kill("SIGKILL");
    await until(watch, () => watch.pidsOf("s2").length === 1);
    expect(has("process-down")).toBe(false);
    process.kill(helper, "SIGKILL");
    await until(watch, () => has("process-down", { shard: "s2" }));
  });

  test("tells which gateway holds the other end of a connection", async () => {
    const { watch, has } = watched();
    const server = createServer();
    const connected = new Promise<Socket>((resolve) => server.once("connection", resolve));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const child = start("s3", `require("node:net").connect(${port}, "127.0.0.1")`);
    const socket = await connected;
    await until(watch, () => has("process-up", { shard: "s3" }));
    expect(watch.callerOf({ address: "127.0.0.1", port: socket.remotePort ?? 0 })).toBe(child.pid);
    expect(watch.callerOf({ address: "127.0.0.1", port: 1 })).toBeNull();
    socket.destroy();
    server.close();
  });
});
