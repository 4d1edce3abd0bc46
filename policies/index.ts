import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PolicyPack } from "@pulumi/policy";
import { parse } from "yaml";
import { POLICIES } from "./all.ts";
import { type ExceptionsRead, readExceptions } from "./exceptions.ts";
import { readFacts } from "./facts.ts";
import { NAMED_EXCEPTIONS } from "./named-exceptions.ts";
import { type About, type Finding, packPolicies } from "./pack.ts";

/**
 * The pack as Pulumi starts it. It reads the stack's file itself: the engine hands settings to a pack
 * where the SDK does not take them up, and what lies open in the file is judged too.
 */
const env = process.env;
const root = env.OPENCLAW_FLEET_PROJECT || join(__dirname, "..", "..");
const today = new Date().toISOString().slice(0, 10);

// The SDK reads the pack's version from the working directory, which hosts choose differently.
process.chdir(join(__dirname, ".."));
new PolicyPack("openclaw-fleet", {
  policies: packPolicies({ policies: POLICIES, about, named: NAMED_EXCEPTIONS, note }),
});

function about(stack: string): About {
  const file = env.OPENCLAW_FLEET_STACK_FILE || join(root, `Pulumi.${stack}.yaml`);
  const facts = readFacts({ stack, settings: openSettings(file), today });
  return { facts, exceptions: exceptions(facts.exceptions) };
}

function note(finding: Finding): void {
  const file = env.OPENCLAW_FLEET_POLICY_REPORT;
  if (file) appendFileSync(file, `${JSON.stringify(finding)}\n`);
}

function exceptions(file: string | undefined): ExceptionsRead {
  if (file === undefined) return { held: [], faults: [] };
  const path = join(root, file);
  if (!existsSync(path))
    return { held: [], faults: [`policies.exceptions is ${file}, which is not there`] };
  return readExceptions(readFileSync(path, "utf8"), { policies: POLICIES, today, file });
}

/** Settings of a stack's file but those that Pulumi has encrypted. */
function openSettings(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {};
  try {
    const document = parse(readFileSync(path, "utf8")) as { config?: unknown } | null;
    return withoutSecure(document?.config ?? {}) as Record<string, unknown>;
  } catch {
    return {}; // the program says what is wrong with the file
  }
}

function withoutSecure(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecure);
  if (value === null || typeof value !== "object") return value;
  const inner = Object.entries(value);
  if (inner.length === 1 && inner[0]?.[0] === "secure") return undefined;
  return Object.fromEntries(inner.map(([key, one]) => [key, withoutSecure(one)]));
}
