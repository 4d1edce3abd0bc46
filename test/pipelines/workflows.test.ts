import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { LOST_AFTER_MS } from "../../cli/lib/pipeline/locks.ts";
import { ensureActionlint } from "../../toolchain/actionlint.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

interface Step {
  run?: string;
  uses?: string;
  if?: string;
  env?: Record<string, string>;
  with?: Record<string, unknown>;
}
interface Job {
  if?: string;
  steps: Step[];
  permissions: Record<string, string>;
  concurrency?: { group: string; "cancel-in-progress": boolean };
  environment?: string;
  "timeout-minutes": number;
  env?: Record<string, string>;
}
interface Workflow {
  on: Record<string, unknown>;
  permissions: Record<string, string>;
  jobs: Record<string, Job>;
}

const FOLDER = join(PROJECT_ROOT, ".github", "workflows");
const NAMES = readdirSync(FOLDER);
const text = (name: string) => readFileSync(join(FOLDER, name), "utf8");
const workflows = NAMES.map((name) => ({ name, flow: parse(text(name)) as Workflow }));
const jobs = workflows.flatMap(({ name, flow }) =>
  Object.entries(flow.jobs).map(([id, job]) => ({ name, flow, id, job })),
);
const steps = jobs.flatMap((one) => one.job.steps.map((step) => ({ ...one, step })));
const runs = steps.filter(({ step }) => step.run !== undefined);

/** As a workflow reads one of the repository's variables. */
const variable = (name: string) => `$\{{ vars.${name} }}`;

/** Versions whose commits were looked up in the actions' own tags, 2026-11-21. */
const PINS: Readonly<Record<string, string>> = {
  "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1": "v7.0.1",
  "aws-actions/configure-aws-credentials@e6de054238d6b7531b4efff3b6587d9aade6a06c": "v6.2.3",
  "actions/attest-build-provenance@a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32": "v4.1.0",
  "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f": "v7.0.0",
  "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c": "v8.0.1",
};

describe("workflows", () => {
  let actionlint: string;
  beforeAll(async () => {
    actionlint = await ensureActionlint();
  }, 600_000);
  const lint = (file: string) =>
    spawnSync(actionlint, ["-shellcheck=", "-pyflakes=", file], { encoding: "utf8" });

  test.each(NAMES)("%s is one to GitHub", (name) => {
    const { status, stdout } = lint(join(FOLDER, name));
    expect([status, stdout]).toEqual([0, ""]);
  });

  test("one that is none would be noticed", () => {
    const folder = mkdtempSync(join(tmpdir(), "fleet-workflows-"));
    try {
      const file = join(folder, "preview.yml");
      writeFileSync(file, text("preview.yml").replace("github.base_ref", "github.bsae_ref"));
      expect(lint(file).stdout).toContain('property "bsae_ref" is not defined');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("every action is pinned to a commit whose version is written beside it", () => {
    for (const { name } of workflows) {
      for (const [, pin = "", version] of text(name).matchAll(/uses: (\S+)(?: # (\S+))?/g)) {
        expect([name, pin, version]).toEqual([name, pin, PINS[pin]]);
      }
    }
  });

  test("nothing is allowed but what a job names; a job that runs a fork's code reads only", () => {
    for (const { name, flow, id, job } of jobs) {
      expect([name, flow.permissions]).toEqual([name, {}]);
      expect(job.permissions, `${name} ${id}`).toBeDefined();
      expect(job["timeout-minutes"], `${name} ${id}`).toBeGreaterThan(0);
      const forks = "pull_request" in flow.on && !job.if?.includes("head.repo.full_name == github");
      if (forks && !job.if?.includes("github.event_name != 'pull_request'")) {
        expect([name, id, job.permissions]).toEqual([name, id, { contents: "read" }]);
        expect(JSON.stringify(job)).not.toMatch(/secrets\.|configure-aws-credentials|id-token/);
      }
    }
    expect(NAMES.map(text).join()).not.toContain("pull_request_target");
  });

  test("writing rights are the least: who comments, who opens issues, who publishes", () => {
    const writers = jobs.flatMap(({ name, id, job }) =>
      Object.entries(job.permissions)
        .filter(([, right]) => right === "write")
        .map(([what]) => `${name} ${id} ${what}`),
    );
    expect(writers.sort()).toEqual([
      "drift.yml drift id-token",
      "drift.yml issue issues",
      "preview.yml comment pull-requests",
      "preview.yml preview id-token",
      "release.yml release attestations",
      "release.yml release contents",
      "release.yml release id-token",
      "staging-destroy.yml closed id-token",
      "staging-destroy.yml expired id-token",
      "staging.yml staging id-token",
    ]);
  });

  test("who has credentials of a cloud writes nothing here; who writes has none, nor a change's code", () => {
    for (const { name, id, flow, job } of jobs) {
      const text = JSON.stringify(job);
      const writes = Object.entries(job.permissions)
        .filter(
          ([what, right]) => right === "write" && !["id-token", "attestations"].includes(what),
        )
        .map(([what]) => what);
      if (writes.length === 0) continue;
      expect([name, id, text]).toEqual([
        name,
        id,
        expect.not.stringMatching(/configure-aws-credentials|PULUMI_|secrets\./),
      ]);
      if (!("pull_request" in flow.on)) continue;
      const checkouts = job.steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"));
      const base = "$" + "{{ github.event.pull_request.base.sha }}";
      expect([name, id, checkouts.map((step) => step.with?.ref)]).toEqual([name, id, [base]]);
    }
  });

  test("a secret is seen by the one command that needs it, and by no action of others", () => {
    for (const { name, id, job } of jobs) {
      const { steps: its, ...rest } = job;
      expect([name, id, JSON.stringify(rest)]).toEqual([
        name,
        id,
        expect.not.stringContaining("secrets."),
      ]);
      for (const step of its.filter((one) => JSON.stringify(one).includes("secrets."))) {
        expect([name, id, step.run]).toEqual([name, id, expect.stringMatching(/^\.\/fleet /)]);
      }
    }
  });

  test("who may change a cloud runs in an environment; who looks has the preview role", () => {
    for (const { name, job, step } of steps) {
      const role = step.with?.["role-to-assume"] as string | undefined;
      if (role === undefined) continue;
      const looks = name === "preview.yml" || name === "drift.yml";
      expect([name, role]).toEqual([
        name,
        variable(looks ? "AWS_PREVIEW_ROLE" : "AWS_DEPLOY_ROLE"),
      ]);
      expect([name, job.environment]).toEqual([name, looks ? undefined : "staging"]);
      expect(step.with?.["allowed-account-ids"]).toBe(variable("AWS_ACCOUNT_ID"));
    }
  });

  test("a stack is held by one run, which is never cut off; none outlives its lock's time", () => {
    for (const { name, id, job } of jobs) {
      if (id === "test") continue;
      expect([name, id, job.concurrency?.["cancel-in-progress"]]).toEqual([name, id, false]);
      expect(job["timeout-minutes"] * 60_000).toBeLessThan(LOST_AFTER_MS);
    }
    const groups = (name: string) =>
      jobs.filter((one) => one.name === name).map(({ job }) => job.concurrency?.group);
    expect(groups("staging-destroy.yml")).toContain(groups("staging.yml")[0]);
  });

  test("no credentials stay in the clone, and no text of others stands in a command", () => {
    for (const { name, step } of steps) {
      if (step.uses?.startsWith("actions/checkout@")) {
        expect([name, step.with?.["persist-credentials"]]).toEqual([name, false]);
      }
      expect([name, step.run ?? ""]).toEqual([name, expect.not.stringContaining("${{")]);
    }
  });
});

describe("every step is a command that a person can type", () => {
  test.each(runs.map(({ name, step }) => [name, step.run as string]))("%s: %s", async (_, run) => {
    const words = run.split(/\s+/).map((word) => word.replace(/^"|"$/g, ""));
    expect(words[0]).toBe("./fleet");
    const program = new Command();
    const { register } = (await import(`../../cli/commands/${words[1]}.ts`)) as {
      register(program: Command): void;
    };
    register(program);
    let command = program.commands.find((one) => one.name() === words[1]) as Command;
    command = command.commands.find((one) => one.name() === words[2]) ?? command;
    const known = command.options.flatMap(({ long, short }) => [long, short]);
    for (const word of words.filter((one) => one.startsWith("-"))) {
      expect([run, known]).toEqual([run, expect.arrayContaining([word])]);
    }
  });

  test("and the shell takes it", () => {
    for (const { step } of runs) execFileSync("sh", ["-n", "-c", step.run as string]);
  });
});
