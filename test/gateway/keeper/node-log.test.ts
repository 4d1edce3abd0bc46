import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LineSplitter } from "../../../gateway/keeper/lines.ts";
import { NodeLog } from "../../../gateway/keeper/node-log.ts";
import { OutputWrapper } from "../../../gateway/keeper/wrap.ts";
import { eventually } from "../../support/eventually.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "node-log-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

function lines(path: string): Record<string, unknown>[] {
  const text = readFileSync(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

test("lines are whole, in order, and survive the end", async () => {
  const path = join(dir, "node.log");
  const log = new NodeLog(path);
  for (let n = 0; n < 500; n++) log.write({ level: "info", msg: "line", n });
  await log.end();
  expect(lines(path).map(({ n }) => n)).toEqual([...Array(500).keys()]);
});

test("a full disk costs lines, never an error", { skip: !existsSync("/dev/full") }, async () => {
  const log = new NodeLog("/dev/full");
  for (let n = 0; n < 10; n++) log.write({ level: "info", msg: "lost" });
  await eventually(() => expect(log.dropped).toBe(10));
  log.write({ level: "info", msg: "lost as well" });
  await log.end();
});

test("a disk that is too slow costs lines, and the log says how many", async () => {
  const path = join(dir, "node.log");
  const log = new NodeLog(path, { queueBytes: 1_000 });
  for (let n = 0; n < 100; n++) log.write({ level: "info", msg: "line" });
  expect(log.dropped).toBeGreaterThan(50);
  await log.end();
  const written = lines(path);
  const told = written.filter(({ msg }) => msg === "log lines were dropped");
  const lost = told.reduce((sum, { dropped }) => sum + (dropped as number), 0);
  expect(lost).toBe(100 - (written.length - told.length));
});

test("a large file is rotated, three are kept, nothing is lost on the way", async () => {
  const path = join(dir, "node.log");
  const log = new NodeLog(path, { rotateBytes: 4_000 });
  const seen = () =>
    ["", ".1", ".2", ".3"].flatMap((end) => (existsSync(path + end) ? lines(path + end) : []));
  let n = 0;
  while (!existsSync(`${path}.2`)) {
    log.write({ level: "info", msg: "line", n: n++ });
    // Another process appends to the same file.
    if (n % 50 === 0) appendFileSync(path, `${JSON.stringify({ other: n })}\n`);
    await eventually(() => expect(seen().some((line) => line.n === n - 1)).toBe(true));
  }
  const numbers = seen().map((line) => line.n);
  for (let k = 0; k < n; k++) expect(numbers).toContain(k);
  while (!existsSync(`${path}.3`) || n < 1_000) {
    log.write({ level: "info", msg: "line", n: n++ });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await log.end();
  expect(existsSync(`${path}.4`)).toBe(false);
});

test("lines are cut out of chunks; a long one is cut short", () => {
  const got: string[] = [];
  const splitter = new LineSplitter((line) => got.push(line), 8);
  for (const chunk of ["ab", "c\nd", "\n\nlonger than eight\nno end"])
    splitter.push(Buffer.from(chunk));
  splitter.flush();
  expect(got).toEqual(["abc", "d", "longer t", "no end"]);
});

test("a gateway's line becomes ours: JSON is taken apart, secrets are taken out", () => {
  const out: Record<string, unknown>[] = [];
  const base = { instanceId: "n1", shard: "s1", epoch: 2 };
  const env = { MY_TOKEN: "a-long-secret-value", PATH: "/usr/bin:/bin/here" };
  const wrapper = new OutputWrapper(base, env, (line) => out.push(line));
  wrapper.line("stdout", '{"level":"ERROR","subsystem":"gw","message":"no a-long-secret-value"}');
  wrapper.line("stderr", "plain in /usr/bin:/bin/here");
  expect(out).toEqual([
    { level: "error", msg: "[gw] no [redacted]", ...base, stream: "stdout" },
    { level: "warn", msg: "plain in /usr/bin:/bin/here", ...base, stream: "stderr" },
  ]);
  for (let n = 0; n < 50; n++) wrapper.line("stdout", `line ${n}`);
  expect(wrapper.tail).toHaveLength(20);
  expect(wrapper.tail.at(-1)).toBe("line 49");
});
