import { code, fitted, inline } from "./markdown.ts";
import type { Preview, Step } from "./steps.ts";

/** Resources that are not as the state has them. */
export interface Drift {
  readonly stack: string;
  readonly changed: readonly Step[];
  readonly gone: readonly Step[];
  /** Looked at. */
  readonly checked: number;
}

/** What a refresh would write into the state is what changed behind its back. */
export function driftOf(stack: string, { steps, unchanged }: Preview): Drift {
  const gone = steps.filter(({ op }) => op === "delete");
  const changed = steps.filter(({ op }) => op !== "delete");
  return { stack, gone, changed, checked: unchanged + steps.length };
}

export const hasDrifted = ({ changed, gone }: Drift): boolean => changed.length + gone.length > 0;

/** For people at a terminal. */
export function driftText(drift: Drift): string {
  const { stack, changed, gone, checked } = drift;
  if (!hasDrifted(drift)) return `${stack}: as it was made (${checked} resources looked at)`;
  return [
    `${stack}: DRIFTED: ${changed.length} changed, ${gone.length} gone, of ${checked}`,
    ...gone.map(({ type, name }) => `  − ${type} ${name}`),
    ...changed.map(
      ({ type, name, changed }) => `  ~ ${type} ${name}: ${changed.join(", ") || "?"}`,
    ),
  ].join("\n");
}

/** The issue's text. Values are not shown. */
export function driftMarkdown(drift: Drift): string {
  const { stack, changed, gone, checked } = drift;
  if (!hasDrifted(drift)) return `Stack **${inline(stack)}** is as it was made.`;
  return fitted(
    [
      `Stack **${inline(stack)}** is no longer as it was made: ${changed.length} changed, ${gone.length} gone, of ${checked} resources. Somebody or something other than Pulumi did that.`,
      ...(gone.length === 0 ? [] : ["", "**Gone**", "", ...gone.map(line)]),
      ...(changed.length === 0 ? [] : ["", "**Changed**", "", ...changed.map(line)]),
      "",
      "What to do: look at it, then either take it over or undo it.",
      "",
      code(
        [
          `./fleet preview --stack ${stack} --refresh --diff   # what an up would put back`,
          `./fleet up --stack ${stack} --refresh               # puts it back`,
          `./fleet refresh --stack ${stack}                    # takes it over into the state; then change the settings`,
        ].join("\n"),
      ),
    ].join("\n"),
  );
}

const line = ({ type, name, changed }: Step): string =>
  `- \`${type}\` **${inline(name)}**${changed.length > 0 ? `: ${changed.map((key) => `\`${key}\``).join(", ")}` : ""}`;
