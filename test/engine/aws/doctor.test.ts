import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../../toolchain/paths.ts";
import { PULUMI } from "../fixtures/project.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "fleet-doctor-"));
  // Looked for, and not started: nobody is called.
  mkdirSync(join(home, "bin"));
  for (const name of ["aws", "session-manager-plugin"]) {
    writeFileSync(join(home, "bin", name), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  }
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

test("doctor shows the program's own look at the account, and makes nothing", () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(PROJECT_ROOT, "cli", "main.ts"), "doctor", "--stack", "staging", "--json"],
    {
      encoding: "utf8",
      env: {
        PATH: [
          join(home, "bin"),
          join(PROJECT_ROOT, "test/standin/bin"),
          dirname(process.execPath),
          process.env.PATH,
        ].join(":"),
        HOME: home,
        XDG_CACHE_HOME: join(home, "cache"),
        XDG_DATA_HOME: join(home, "data"),
        OPENCLAW_FLEET_PULUMI: PULUMI,
        STANDIN_ACCOUNT: join(home, "account.sqlite"),
        STANDIN_DELAY_MS: "0",
      },
    },
  );
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const { checks } = JSON.parse(stdout) as {
    checks: { id: string; state: string; text: string }[];
  };
  const states = Object.fromEntries(checks.map(({ id, state }) => [id, state]));
  expect(states).toMatchObject({
    account: "ok",
    // Not written down in the sample.
    zones: "warn",
    "quota L-F678F1CE": "ok",
    "quota L-1216C47A": "ok",
    rights: "ok",
    sessions: "ok",
    // Not brought up yet.
    fleet: "warn",
  });
  expect(states).not.toHaveProperty("memory");
  expect(readdirSync(home)).not.toContain("data");
});
