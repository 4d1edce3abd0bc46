import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { runForStack } from "../../../cli/pulumi.ts";

let folder: string;
let told: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleet-locks-"));
  told = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    told += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();

/** A Pulumi whose stack is held for so many looks; it writes down what it was asked. */
function pulumi(heldFor: number, lock: { host?: string; since?: string } = {}): string {
  const { host = "another-machine", since = hoursAgo(0.1) } = lock;
  const program = join(folder, "pulumi");
  const text = `#!/bin/sh
echo "$1" >> "${folder}/asked"
[ "$1" = stack ] || exit 0
if [ "$(grep -c stack "${folder}/asked")" -le ${heldFor} ]; then
  echo "error: the stack is currently locked by 1 lock(s). Either wait or cancel." >&2
  echo "  s3://bucket/.pulumi/locks/x.json: created by runner@${host} (pid 999999999) at ${since}" >&2
else
  echo "error: stack 'pr-1' already exists" >&2
fi
exit 255
`;
  writeFileSync(program, text);
  chmodSync(program, 0o700);
  return program;
}

const asked = () => {
  const file = join(folder, "asked");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
};

const run = (program: string, verb: string, waitMs: number, backend = "s3://bucket") => {
  const env = { PATH: process.env.PATH, PULUMI_BACKEND_URL: backend };
  return runForStack({ pulumi: program, env }, verb, "pr-1", ["--yes"], waitMs);
};

test("--wait waits for another run's lock in S3, and goes on once it is gone", async () => {
  await run(pulumi(1), "up", 100);
  expect(asked()).toEqual(["stack", "stack", "up"]);
  expect(told).toMatch(/waiting for process 999999999 of runner on another-machine, since 6 min/);
});

test("--wait ends with who holds the stack, and nothing is begun", async () => {
  await expect(run(pulumi(9), "destroy", 50)).rejects.toMatchObject({
    message: "destroy of pr-1 cannot begin: another run is changing the stack",
    why: expect.stringContaining("of runner on another-machine"),
    advice: expect.stringContaining("./fleet pulumi cancel --stack pr-1"),
  });
  expect(asked()).not.toContain("destroy");
});

test.each([
  ["this machine's process that is gone", { host: hostname() }],
  ["a machine's that was not heard of for hours", { since: hoursAgo(3) }],
])("a lock of %s is not waited for", async (_, lock) => {
  await expect(run(pulumi(9, lock), "up", 600_000)).rejects.toMatchObject({
    message: "up of pr-1 cannot begin: a run that has ended left it locked",
    advice: "./fleet recover --stack pr-1 frees it",
  });
  expect(asked()).toEqual(["stack"]);
});

test("without --wait nobody is asked first", async () => {
  await run(pulumi(9), "up", 0);
  expect(asked()).toEqual(["up"]);
});

test("where no holder can be known --wait says that it has no effect", async () => {
  await run(pulumi(9), "up", 600_000, "https://api.pulumi.com");
  expect(asked()).toEqual(["up"]);
  expect(told).toContain("--wait has no effect with https://api.pulumi.com");
});
