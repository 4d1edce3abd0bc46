import type { HostFile, HostPlan } from "./types.ts";

/** `{{secret NAME}}`, as plans write it. */
const MARK = /\{\{secret ([A-Za-z0-9._[\]-]+)\}\}/g;
/** Begins every mark, also one that is written wrongly. */
const OPENING = "{{secret";

/** Names that a text asks for, in order of appearance. */
export function secretsIn(text: string): string[] {
  return [...text.matchAll(MARK)].map(([, name]) => name as string);
}

/** Whether something in a text looks like a mark and is none. */
export function hasWrongMark(text: string): boolean {
  return text.replaceAll(MARK, "").includes(OPENING);
}

/** Names of all secrets that the files of a plan ask for, sorted. */
export function secretNames(plan: Pick<HostPlan, "files">): string[] {
  const names = Object.values(plan.files).flatMap(({ content }) => secretsIn(content));
  return [...new Set(names)].sort();
}

/**
 * What a file holds on the host: its content with the secrets in their places.
 * @throws Error when a secret is missing; its message has the name and no value.
 */
export function withSecrets(
  file: Pick<HostFile, "content" | "format">,
  secrets: Readonly<Record<string, string>>,
): string {
  return file.content.replaceAll(MARK, (_, name: string) => {
    const value = secrets[name];
    if (value === undefined) throw new Error(`no secret is called ${name}`);
    // Inside a JSON string: what stands around it are the quotes.
    return file.format === "json" ? JSON.stringify(value).slice(1, -1) : value;
  });
}
