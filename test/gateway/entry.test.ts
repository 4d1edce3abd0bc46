import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, it } from "vitest";
import { siblingEntry } from "../../gateway/entry.ts";

it("names the source beside a source and the bundle beside a bundle", () => {
  expect(siblingEntry("file:///a/leases/agent.ts", "thread.ts", "lease-thread.js").href).toBe(
    "file:///a/leases/thread.ts",
  );
  expect(siblingEntry("file:///a b/main.js", "thread.ts", "lease-thread.js").href).toBe(
    "file:///a%20b/lease-thread.js",
  );
});

it("finds the lease thread of a bundled runtime", async () => {
  const directory = mkdtempSync(join(tmpdir(), "bundle-"));
  const source = (name: string) => fileURLToPath(new URL(`../../gateway/${name}`, import.meta.url));
  try {
    const options = { bundle: true, platform: "node", format: "esm", logLevel: "error" } as const;
    await build({
      ...options,
      entryPoints: { main: source("leases/agent.ts"), "lease-thread": source("leases/thread.ts") },
      outdir: directory,
    });
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    writeFileSync(
      join(directory, "try.js"),
      `import { LeaseAgent } from "./main.js";
       const agent = new LeaseAgent({
         store: { kind: "sqlite", path: new URL("leases.sqlite", import.meta.url).pathname },
         extendFd: null,
       });
       agent.on("log", () => {});
       agent.start();
       console.log(JSON.stringify((await agent.read()).leases));
       await agent.stop();`,
    );
    const output = execFileSync(process.execPath, [join(directory, "try.js")], {
      encoding: "utf8",
    });
    expect(output.trim()).toBe("{}");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
