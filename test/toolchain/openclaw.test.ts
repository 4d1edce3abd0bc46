import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureOpenclaw } from "../../toolchain/openclaw.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "openclaw-install-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A program in a folder, which is then the first on PATH. */
function program(name: string, text: string): void {
  mkdirSync(join(base, "bin"), { recursive: true });
  writeFileSync(join(base, "bin", name), text);
  chmodSync(join(base, "bin", name), 0o755);
}

test("npm runs on the Node that runs this, whatever node is first on PATH", async () => {
  program("node", "#!/bin/sh\necho an older node >&2\nexit 3\n");
  program(
    "npm",
    `#!/usr/bin/env node
const { mkdirSync, writeFileSync } = require("node:fs");
mkdirSync("node_modules/openclaw", { recursive: true });
writeFileSync("node_modules/openclaw/openclaw.mjs", process.execPath);
`,
  );
  const { OPENCLAW_FLEET_OPENCLAW: _, ...rest } = process.env;
  const env = { ...rest, PATH: [join(base, "bin"), rest.PATH].join(delimiter) };
  const { path } = await ensureOpenclaw({ env, root: join(base, "cache") });
  expect(realpathSync(readFileSync(path, "utf8"))).toBe(realpathSync(process.execPath));
  expect(dirname(path)).toContain(join(base, "cache"));
});

test("npm keeps the machine's settings, though it looks for them beside its Node", async () => {
  program(
    "npm",
    `#!/bin/sh
if [ "$1" = config ]; then echo /etc/of-the-machine; exit; fi
mkdir -p node_modules/openclaw
printf %s "$npm_config_globalconfig" >node_modules/openclaw/openclaw.mjs
`,
  );
  const { OPENCLAW_FLEET_OPENCLAW: _, npm_config_globalconfig: __, ...rest } = process.env;
  const env = { ...rest, PATH: [join(base, "bin"), rest.PATH].join(delimiter) };
  const { path } = await ensureOpenclaw({ env, root: join(base, "cache") });
  expect(readFileSync(path, "utf8")).toBe("/etc/of-the-machine");
});
