import { describe, expect, test, vi } from "vitest";
import { HOST_PATHS } from "../../../components/host/types.ts";
import { ArtifactHandler } from "../../../plugin/host/artifact.ts";
import { untilStarted } from "../../../plugin/host/machine.ts";
import { machineChange } from "../../../plugin/host/release-inputs.ts";
import {
  type ExecResult,
  type HostConnection,
  type HostShell,
  HostUnreachable,
} from "../../../plugin/host/shell.ts";
import { untilBoots } from "../../../plugin/host/ssh-wait.ts";
import { UNKNOWN } from "../../../plugin/values.ts";

const on = (instanceId: string): HostConnection => ({
  name: "a",
  address: "10.0.0.4",
  session: { instanceId, region: "eu-north-1" },
});
const OP = { signal: new AbortController().signal, say: () => {} };
const OK: ExecResult = { code: 0, stdout: "", stderr: "" };

/** A host that answers by what its command begins with. */
function shell(answers: Record<string, Partial<ExecResult>>) {
  const asked: string[] = [];
  const made: HostShell = {
    async exec(argv) {
      const line = argv.join(" ");
      asked.push(line);
      const found = Object.entries(answers).find(([word]) => line.includes(word));
      return { ...OK, ...found?.[1] };
    },
    put: () => Promise.reject(new Error("nothing is put")),
    close: async () => {},
  };
  return { made, asked };
}

describe("the first start of a machine", () => {
  test("is waited for, and its volume has to be there", async () => {
    const { made, asked } = shell({});
    await untilStarted(made, on("i-1"), OP);
    expect(asked[0]).toMatch(/^timeout \d+ cloud-init status --wait$/);
    expect(asked[1]).toMatch(/findmnt/);
    expect(asked[1]?.endsWith(HOST_PATHS.data)).toBe(true);
  });

  test("is nobody's concern on a host that is no machine of EC2", async () => {
    const { made, asked } = shell({});
    await untilStarted(made, { name: "a", address: "192.0.2.1" }, OP);
    expect(asked).toEqual([]);
  });

  test.each([
    ["failed", 1, /its first start failed\n {2}why: status: error[\s\S]*i-1/],
    ["does not end", 124, /was not over within 10 min[\s\S]*cloud-init-output\.log/],
  ])("that %s is told in cloud-init's words", async (_, code, words) => {
    const { made } = shell({
      "--wait": { code },
      "--long": { stdout: "status: error\nerrors: x" },
    });
    await expect(untilStarted(made, on("i-1"), OP)).rejects.toThrow(words);
  });

  test.each([2, 127])("that ended with %d is over", async (code) => {
    await untilStarted(shell({ "--wait": { code } }).made, on("i-1"), OP);
  });

  test("without its volume is refused before anything is written", async () => {
    const { made } = shell({ findmnt: { code: 1 } });
    await expect(untilStarted(made, on("i-1"), OP)).rejects.toThrow(
      /^host a: its state volume is not there\n {2}why: nothing is mounted on \/var\/lib\/openclaw-fleet/,
    );
  });
});

describe("what became of a machine", () => {
  const olds = { host: on("i-1"), machine: { type: "small", drained: "t1" }, state: "ready" };
  const change = (now: object, before: object = {}) =>
    machineChange({ ...olds, ...before }, { host: on("i-1"), machine: olds.machine, ...now });

  test.each([
    ["nothing", {}, { fresh: false }],
    [
      "another type, emptied before",
      { machine: { type: "big", drained: "t2" } },
      { fresh: false, restarted: { emptied: true } },
    ],
    [
      "another type of a node that nobody emptied",
      { machine: { type: "big", drained: "t1" } },
      { fresh: false, restarted: { emptied: false } },
    ],
    [
      "another machine, emptied before",
      { host: on("i-2"), machine: { type: "small", drained: "t2" } },
      { fresh: true, restarted: { emptied: true } },
    ],
    ["one that was lost", { host: on("i-2") }, { fresh: true, restarted: { emptied: false } }],
  ])("%s", (_, now, made) => {
    expect(change(now)).toEqual(made);
  });

  test("one that was never described did not change", () => {
    expect(change({}, { machine: undefined })).toMatchObject({ fresh: false });
    const first = { machine: { type: "small", drained: "" } };
    expect(change(first, { machine: undefined })).toEqual({ fresh: false });
    expect(machineChange(null, olds)).toEqual({ fresh: false });
  });

  test("a creation that was cut off asks nothing of the fleet on another machine either", () => {
    expect(change({ host: on("i-2") }, { state: "incomplete" })).toEqual({ fresh: true });
  });
});

test("the release on another machine is planned as one that has to be sent", async () => {
  const open = () => Promise.reject(new Error("nobody is called")) as never;
  const handler = new ArtifactHandler({ open, env: {} });
  const inputs = { host: on("i-1"), artifact: "r2", needs: {} };
  const made = { condition: "whole", hostKey: "k", previous: "r1", parts: [] };
  const preview = { ...OP, preview: true, programRuns: true };
  const same = await handler.update("f/a", { ...inputs, ...made }, inputs, preview);
  expect(same).toMatchObject({ hostKey: "k", previous: "r1" });
  const news = { ...inputs, host: on("i-2") };
  const other = await handler.update("f/a", { ...inputs, ...made }, news, preview);
  expect(other).toMatchObject({ hostKey: UNKNOWN, previous: "", parts: UNKNOWN });
  expect(handler.diff({ ...inputs, ...made }, inputs, news)).toMatchObject({ replaces: [] });
});

test("another machine brings a full disk along, and is asked for no room on it", async () => {
  const full = [
    ...["ID debian", "VERSION_ID 12", "PRETTY_NAME Debian", "machine x86_64", "cores 4"],
    ...["memory 8388608", "systemd 252", "cgroup cgroup2fs", `time ${Date.now() / 1_000}`],
    ...[`disk ${HOST_PATHS.root} /dev/root 99999999`, `disk ${HOST_PATHS.data} /dev/state 1024`],
  ].join("\n");
  const { made } = shell({ "sh -s": { stdout: full } });
  const release = () => Promise.reject(new Error("it is fit"));
  const handler = new ArtifactHandler({ open: () => made, release, env: {} });
  const needs = {
    fleet: "f",
    node: "a",
    arch: "x64",
    memoryMiB: 1,
    dataMiB: 500,
    ports: {},
    units: [],
  };
  const inputs = { host: on("i-1"), artifact: "r2", needs };
  const before = { ...inputs, condition: "whole", hostKey: "k", previous: "", parts: [] };
  const put = (instanceId: string) =>
    handler.update(
      "f/a",
      before,
      { ...inputs, host: on(instanceId) },
      { ...OP, preview: false, programRuns: true },
    );
  await expect(put("i-1")).rejects.toThrow(/would need 500 MiB/);
  await expect(put("i-2")).rejects.toThrow(/it is fit/);
});

describe("a machine that boots", () => {
  const boots = new HostUnreachable("host a: i-1 is not online\n  why: x\n  do:  y", true);
  const wait = (connect: () => Promise<string>, more: object = {}) =>
    untilBoots(connect, { bootMs: 60_000, everyMs: 1, name: "a", signal: OP.signal, ...more });

  test("is tried again until it answers, and the person is told", async () => {
    let tries = 0;
    const said: string[] = [];
    const connect = async () => {
      tries += 1;
      if (tries < 3) throw boots;
      return "there";
    };
    expect(await wait(connect, { say: (line: string) => said.push(line) })).toBe("there");
    expect(said).toEqual(Array(2).fill("waiting for the machine: i-1 is not online"));
  });

  test("is tried once where nobody waits, and what does not pass is told at once", async () => {
    const once = vi.fn(() => Promise.reject(boots));
    await expect(wait(once, { bootMs: 0 })).rejects.toBe(boots);
    expect(once).toHaveBeenCalledTimes(1);
    const refused = new HostUnreachable("host a: AWS refused");
    const told = vi.fn(() => Promise.reject(refused));
    await expect(wait(told)).rejects.toBe(refused);
    expect(told).toHaveBeenCalledTimes(1);
  });

  test("is not waited for by nobody", async () => {
    const left = new AbortController();
    const connect = async () => {
      left.abort();
      throw boots;
    };
    await expect(wait(connect, { signal: left.signal })).rejects.toBe(boots);
  });
});
