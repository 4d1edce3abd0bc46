import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ask, onPath } from "../../toolchain/command.ts";
import { ensureLanguageHost } from "../../toolchain/language-host.ts";
import { findOpenclaw } from "../../toolchain/openclaw.ts";
import { cacheDir } from "../../toolchain/paths.ts";
import { CHECKED, NODE, nodeWorks, OPENCLAW, PULUMI } from "../../toolchain/pins.ts";
import { findPulumi } from "../../toolchain/pulumi.ts";
import type { Tool } from "../../toolchain/tool.ts";
import type { Check } from "./check.ts";

/** The programs that a fleet needs: which ones, from where, why these. Installs nothing. */
export function toolChecks(): Check[] {
  const npm = onPath("npm");
  const go = onPath("go");
  const pulumi = attempt(findPulumi);
  const openclaw = attempt(findOpenclaw);
  const checks: (Check | null)[] = [
    node(),
    npmCheck(npm, openclaw.tool !== null),
    tool("openclaw", openclaw, `${OPENCLAW.version} is not installed yet; up installs it (650 MB)`),
    tool("pulumi", pulumi, `no ${PULUMI.lowest} or newer yet; up downloads or builds it`),
    pulumi.tool ? languageHost(pulumi.tool) : null,
    goCheck(go, pulumi.tool),
  ];
  return checks.filter((check) => check !== null);
}

function npmCheck(npm: string | null, installed: boolean): Check {
  if (npm) {
    return { id: "npm", state: "ok", text: `${ask(npm, ["--version"]) ?? "broken"}, ${npm}` };
  }
  return {
    id: "npm",
    state: installed ? "warn" : "fail",
    text: "not on PATH",
    fix: "install any Node with npm; it installs OpenClaw and this project's packages",
  };
}

function node(): Check {
  const version = process.versions.node;
  const why = process.env.OPENCLAW_FLEET_NODE_WHY;
  return nodeWorks(version)
    ? { id: "node", state: "ok", text: `${version}, ${process.execPath}`, ...(why ? { why } : {}) }
    : {
        id: "node",
        state: "fail",
        text: `${version}, and ${NODE.range} is needed`,
        fix: "start with ./fleet, which finds or installs one",
      };
}

interface Found {
  tool: Tool | null;
  error: string | null;
}

function attempt(find: () => Tool | null): Found {
  try {
    return { tool: find(), error: null };
  } catch (error) {
    return { tool: null, error: error instanceof Error ? error.message : String(error) };
  }
}

function tool(id: string, { tool: found, error }: Found, missing: string): Check {
  if (error) return { id, state: "fail", text: error, fix: "see above" };
  if (!found) return { id, state: "warn", text: missing, fix: "./fleet up" };
  const text = `${found.version}, ${found.path}`;
  return { id, state: "ok", text, why: `${found.source}: ${found.why}` };
}

function languageHost(pulumi: Tool): Check {
  const host = ensureLanguageHost(pulumi);
  return {
    id: "language host",
    state: "ok",
    text: `${host.source === "project" ? "this project's own" : "official"}, ${host.path}`,
    why: host.why,
  };
}

function goCheck(go: string | null, pulumi: Tool | null): Check {
  if (go) return { id: "go", state: "ok", text: `${ask(go, ["env", "GOVERSION"])}, ${go}` };
  const text = "not on PATH; only needed to build Pulumi where it cannot be downloaded";
  return pulumi
    ? { id: "go", state: "ok", text }
    : { id: "go", state: "warn", text, fix: `install Go ${PULUMI.go}, or Pulumi ${PULUMI.lowest}` };
}

/** Where the cache is, what is in it, and when the pins were checked. */
export function cacheCheck(): Check {
  const folder = cacheDir();
  const kinds = ["node", "modules", "openclaw", "pulumi", "runtime"].map((kind) => {
    try {
      return `${kind} ${readdirSync(join(folder, kind)).length}`;
    } catch {
      return `${kind} 0`;
    }
  });
  const broken = leftovers(join(folder, "tmp"));
  const text = `${folder} (entries: ${kinds.join(", ")}; pins checked ${CHECKED})`;
  return broken > 0
    ? {
        id: "cache",
        state: "warn",
        text,
        why: `${broken} unfinished builds are in tmp/, of a run that goes on or was interrupted`,
        fix: "nothing: the next run that needs them removes dead ones",
      }
    : { id: "cache", state: "ok", text };
}

function leftovers(folder: string): number {
  try {
    return readdirSync(folder).filter((name) => statSync(join(folder, name)).isDirectory()).length;
  } catch {
    return 0;
  }
}
