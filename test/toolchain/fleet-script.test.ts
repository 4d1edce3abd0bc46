import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { eventually } from "../support/eventually.ts";

let folder: string;
/** A small project around the real script. */
let project: string;
let cache: string;

const TOOLS = ["uname", "mkdir", "rm", "ln", "cp", "sleep", "du", "readlink", "date"];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "fleet-script-")));
  project = join(folder, "a project");
  cache = join(folder, "cache");
  mkdirSync(join(project, "cli"), { recursive: true });
  mkdirSync(join(project, "toolchain"));
  copyFileSync(join(PROJECT_ROOT, "fleet"), join(project, "fleet"));
  copyFileSync(
    join(PROJECT_ROOT, "toolchain", "installed.cjs"),
    join(project, "toolchain", "installed.cjs"),
  );
  write("cli/main.ts", 'console.log("ran " + (process.argv.slice(2).join("|") as string));');
  write("package.json", "{}");
  writeLock({ dep: "1.0.0" });
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text: string): void {
  writeFileSync(join(project, path), text);
}

function writeLock(deps: Record<string, string>, path = "package-lock.json"): void {
  const packages = Object.fromEntries(
    Object.entries(deps).map(([name, version]) => [`node_modules/${name}`, { version }]),
  );
  write(path, JSON.stringify({ packages: { "": {}, ...packages } }));
}

/** A PATH of links to exactly these programs, and scripts given by their text. */
function pathOf(names: string[], scripts: Record<string, string> = {}): string {
  const bin = mkdtempSync(join(folder, "bin-"));
  for (const name of names) {
    const real = name === "node" ? process.execPath : which(name);
    if (real) symlinkSync(real, join(bin, name));
  }
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}

function which(name: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((entry) => join(entry, name))
    .find((file) => existsSync(file));
}

/** Stands for npm: makes what an install makes, and counts its runs. */
const npm = (before = "") => `
echo run >> "${join(folder, "npm-runs")}"
${before}
/bin/mkdir -p node_modules/dep
echo "$*" > node_modules/arguments`;

const run = (path: string, args: string[] = []) =>
  spawnSync(join(project, "fleet"), args, {
    encoding: "utf8",
    env: { PATH: path, XDG_CACHE_HOME: cache, HOME: folder },
  });

const npmRuns = () => readFileSync(join(folder, "npm-runs"), "utf8").trim().split("\n").length;
const leftIn = (name: string) => readdirSync(join(cache, "openclaw-fleet", name));

test("without the small tools it says which are missing", () => {
  const { status, stderr } = run(pathOf([]));
  expect(status).toBe(1);
  for (const name of TOOLS) expect(stderr).toContain(` ${name}`);
  expect(stderr).toContain("do:");
});

test("without npm and a Node that is new enough it says so, and what to do", () => {
  const { status, stderr } = run(pathOf(TOOLS, { node: "echo v20.1.0" }));
  expect(status).toBe(1);
  expect(stderr).toMatch(/npm is not on PATH\n.*why:.*\n.*do: {2}install any Node with npm/);
});

test("without a home the cache has no place", () => {
  const result = spawnSync(join(project, "fleet"), [], {
    encoding: "utf8",
    env: { PATH: pathOf([...TOOLS, "node"]) },
  });
  expect(result.status).toBe(1);
  expect(result.stderr).toContain("HOME");
});

test("installs once, links node_modules, hands arguments on, and is quiet from then on", () => {
  const path = pathOf([...TOOLS, "node"], { npm: npm() });
  const first = run(path, ["a b", "--c"]);
  expect(first.stderr).toContain("packages of this project: ready");
  expect(first.stdout).toBe("ran a b|--c\n");
  const link = readlinkSync(join(project, "node_modules"));
  expect(link.startsWith(join(cache, "openclaw-fleet", "modules"))).toBe(true);
  expect(readFileSync(join(link, "arguments"), "utf8")).toContain("ci --ignore-scripts");
  const second = run(path);
  expect(second.stderr).toBe("");
  expect(npmRuns()).toBe(1);
  expect([...leftIn("tmp"), ...leftIn("locks")]).toEqual([]);
});

test("another lockfile is another entry, and the link follows", () => {
  const path = pathOf([...TOOLS, "node"], { npm: npm() });
  run(path);
  const before = readlinkSync(join(project, "node_modules"));
  writeLock({ dep: "2.0.0" });
  expect(run(path).status).toBe(0);
  expect(readlinkSync(join(project, "node_modules"))).not.toBe(before);
  expect(existsSync(before)).toBe(true);
});

test("a failed install shows npm's words, leaves nothing, and can be repeated", () => {
  const failing = run(
    pathOf([...TOOLS, "node"], { npm: npm("echo 'npm error the reason'; exit 1") }),
  );
  expect(failing.status).toBe(1);
  expect(failing.stderr).toContain("the reason");
  expect(existsSync(join(project, "node_modules"))).toBe(false);
  expect([...leftIn("tmp"), ...leftIn("locks")]).toEqual([]);
  expect(run(pathOf([...TOOLS, "node"], { npm: npm() })).status).toBe(0);
});

test("two at once: the second waits, says for whom, and both run", async () => {
  const gate = join(folder, "gate");
  const script = npm(`while [ ! -e "${gate}" ]; do sleep 0.05; done`);
  const path = pathOf([...TOOLS, "node"], { npm: script });
  const start = () => {
    const child = spawn(join(project, "fleet"), ["x"], {
      env: { PATH: path, XDG_CACHE_HOME: cache, HOME: folder },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (d) => (output += d));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    return { child, ended, output: () => output };
  };
  const first = start();
  await eventually(() => expect(first.output()).toContain("installing"));
  const second = start();
  await eventually(() =>
    expect(second.output()).toContain(
      `another run is installing it (${hostname()}:${first.child.pid}:`,
    ),
  );
  writeFileSync(gate, "");
  expect([await first.ended, await second.ended]).toEqual([0, 0]);
  expect(first.output()).toContain("ran x");
  expect(second.output()).toContain("ran x");
  expect(npmRuns()).toBe(1);
});

test("a run that was killed blocks nobody", async () => {
  const stuck = pathOf([...TOOLS, "node"], {
    npm: npm(`echo $$ > "${folder}/npm-pid"; exec sleep 600`),
  });
  const child = spawn(join(project, "fleet"), [], {
    stdio: "ignore",
    env: { PATH: stuck, XDG_CACHE_HOME: cache, HOME: folder },
  });
  await eventually(() => expect(readFileSync(join(folder, "npm-pid"), "utf8")).toMatch(/\d+\n/));
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await ended;
  process.kill(Number(readFileSync(join(folder, "npm-pid"), "utf8")), "SIGKILL");
  expect(leftIn("tmp")).toHaveLength(1);
  const again = run(pathOf([...TOOLS, "node"], { npm: npm() }));
  expect(again.status, again.stderr).toBe(0);
  expect(again.stderr).toContain("ended early");
  expect([...leftIn("tmp"), ...leftIn("locks")]).toEqual([]);
});

test("a directory of the user is used when it matches, and never replaced", () => {
  const path = pathOf([...TOOLS, "node"], { npm: npm() });
  mkdirSync(join(project, "node_modules"));
  writeLock({ dep: "1.0.0" }, "node_modules/.package-lock.json");
  expect(run(path).stdout).toBe("ran \n");
  writeLock({ dep: "0.9.0" }, "node_modules/.package-lock.json");
  const refused = run(path);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain("node_modules/dep: 0.9.0, locked is 1.0.0");
  expect(existsSync(join(project, "node_modules", ".package-lock.json"))).toBe(true);
  expect(existsSync(join(folder, "npm-runs"))).toBe(false);
});

test("works through a link, from another directory, and with a link's name on PATH", () => {
  const path = pathOf([...TOOLS, "node"], { npm: npm() });
  const link = join(folder, "linked");
  symlinkSync("a project/fleet", link);
  const result = spawnSync(link, ["y"], {
    cwd: dirname(folder),
    encoding: "utf8",
    env: { PATH: path, XDG_CACHE_HOME: cache, HOME: folder },
  });
  expect(result.stdout, result.stderr).toBe("ran y\n");
});
