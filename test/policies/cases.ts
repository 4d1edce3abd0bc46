import { describe, expect, test } from "vitest";
import type { Facts } from "../../policies/facts.ts";
import type { Policy } from "../../policies/policy.ts";
import { facts, judge, type Made, withUnknown, withValue } from "./support.ts";

/** What a policy makes of one resource, held to what a component registers. */
export interface ResourceCase {
  readonly policy: Policy;
  /** What is changed, where a policy looks at several things. */
  readonly of?: string;
  /** As a component registers it: passes. */
  readonly made: () => Promise<Made>;
  /** Changes that break the policy, and what is then found. */
  readonly breaks: readonly (readonly [path: string, value: unknown, found: string | RegExp])[];
  /** Properties that a preview may not know, and what becomes of the judgement. */
  readonly unknown: readonly (readonly [path: string, outcome: "refused" | "waits" | "passes"])[];
  readonly about?: Facts;
}

/** Runs the cases of a group. */
export function resourceCases(cases: readonly ResourceCase[]): void {
  for (const { policy, of, made, breaks, unknown, about = facts() } of cases) {
    describe(`${policy.id}${of ? `: ${of}` : ""}`, () => {
      test("passes what our components register", async () => {
        expect(judge(policy, await made(), about)).toEqual({ found: [], urns: [], waits: [] });
      });
      for (const [path, value, found] of breaks) {
        test(`finds ${path} ${value === undefined ? "left out" : `= ${JSON.stringify(value)}`}`, async () => {
          const judged = judge(policy, withValue(await made(), path, value), about);
          expect(judged.found.join("; ")).toMatch(found);
        });
      }
      for (const [path, outcome] of unknown) {
        test(`${path} unknown: ${outcome}`, async () => {
          const judged = judge(policy, withUnknown(await made(), path), about);
          expect(outcomeOf(judged)).toBe(outcome);
        });
      }
    });
  }
}

const outcomeOf = ({ found, waits }: { found: readonly string[]; waits: readonly string[] }) =>
  found.length > 0 ? "refused" : waits.length > 0 ? "waits" : "passes";

/** What a policy makes of a whole stack. */
export interface StackCase {
  readonly policy: Policy;
  readonly made: () => Promise<readonly Made[]>;
  readonly breaks: readonly {
    readonly what: string;
    readonly change: (made: readonly Made[]) => readonly Made[];
    readonly found: string | RegExp;
    /** End of the name of the resource that is blamed. */
    readonly at?: string;
  }[];
  /** The same stack as a preview knows it. */
  readonly previewed: () => Promise<readonly Made[]>;
  readonly about?: Facts;
}

export function stackCases(cases: readonly StackCase[]): void {
  for (const { policy, made, breaks, previewed, about = facts() } of cases) {
    describe(policy.id, () => {
      test("passes what our components register", async () => {
        expect(judge(policy, await made(), about).found).toEqual([]);
      });
      for (const { what, change, found, at } of breaks) {
        test(`finds ${what}`, async () => {
          const judged = judge(policy, change(await made()), about);
          expect(judged.found.join("; ")).toMatch(found);
          if (at !== undefined) expect(judged.urns.join(" ")).toContain(at);
        });
        test(`finds ${what} before anything has an id`, async () => {
          const judged = judge(policy, change(await previewed()), about);
          expect(judged.found.join("; ")).toMatch(found);
        });
      }
      test("passes a preview, in which nothing has an id", async () => {
        expect(judge(policy, await previewed(), about).found).toEqual([]);
      });
    });
  }
}
