import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type GoBuild, goBuild, usualGo } from "../../toolchain/go-build.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "go-build-"));
  for (const folder of ["lock", "work", "bin"]) mkdirSync(join(base, folder));
  writeFileSync(join(base, "lock/go.mod"), "module it\n");
  writeFileSync(join(base, "lock/go.sum"), "sums\n");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const what = (more: Partial<GoBuild> = {}): GoBuild => ({
  name: "it",
  version: "1.2.3",
  lock: join(base, "lock"),
  packages: ["example.com/it"],
  output: "it",
  goPackages: 7,
  instead: "install it",
  ...more,
});

/** A `go` that says a version, and notes what it was asked to build. */
function go(version: string, build = ""): string {
  const path = join(base, "bin/go");
  const script = `#!/bin/sh
if test "$1" = env; then echo "${version}"; exit 0; fi
{ echo "$@"; echo "$CGO_ENABLED $GOOS $GOFLAGS $GOWORK"; cat go.mod; } > asked
${build}
`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

const said: string[] = [];
const progress = {
  say() {},
  step: (_name: string, text: string) => {
    said.splice(0, said.length, text);
    const note = (line: string) => void said.push(line);
    return { note, done: note, failed: note };
  },
};
const build = (path: string, more: Partial<GoBuild> = {}) =>
  goBuild(what(more), path, join(base, "work"), { progress });

test("builds what the lock says, linked statically, and tells how far it is", async () => {
  const path = go(
    "go1.21.0",
    "echo 'go: downloading example.com/x v1' >&2; echo example.com/x >&2",
  );
  await build(path, { flags: ["-tags", "small"], target: { GOOS: "linux" } });
  const [args, env, mod] = readFileSync(join(base, "work/asked"), "utf8").split("\n");
  expect(args).toBe("build -v -trimpath -buildvcs=false -tags small -o it example.com/it");
  expect(env).toBe("0 linux -mod=readonly off");
  expect(mod).toBe("module it");
  expect(said).toEqual([
    "building with go1.21.0",
    "1 modules fetched, 0 of about 7 packages compiled",
    "1 modules fetched, 1 of about 7 packages compiled",
    "built, 1 packages",
  ]);
});

test.each(["go1.20.14", "devel", ""])(
  "Go %j is refused before it builds anything",
  async (version) => {
    await expect(build(go(version))).rejects.toThrow(
      /the Go at .*it needs Go 1\.21,[\s\S]*install a newer Go, or install it/s,
    );
    expect(() => readFileSync(join(base, "work/asked"))).toThrow("ENOENT");
  },
);

test("a build that fails says Go's last words, and what to do without it", async () => {
  const failing = go("go1.26.0", "echo 'undefined: thing' >&2; exit 1");
  await expect(build(failing)).rejects.toThrow(
    /it 1\.2\.3 could not be built[\s\S]*undefined: thing[\s\S]*or install it/,
  );
  expect(said.at(-1)).toBe("the build failed");
});

test("the Go on PATH comes before the one in its usual place", () => {
  const path = go("go1.26.0");
  expect(usualGo({ PATH: join(base, "bin") })).toBe(path);
});
