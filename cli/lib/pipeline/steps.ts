/** One resource of a preview, as it is before and after. */
export interface Step {
  /** Pulumi's word: create, update, replace, delete, … */
  readonly op: string;
  readonly urn: string;
  /** E.g. `aws:rds/instance:Instance`. */
  readonly type: string;
  readonly name: string;
  /** Properties at the first level that differ; empty where Pulumi does not say. */
  readonly changed: readonly string[];
  /** Properties because of which it is made anew. */
  readonly replacing: readonly string[];
}

export interface Preview {
  /** What changes; resources that stay are not among them. */
  readonly steps: readonly Step[];
  /** Resources that stay as they are. */
  readonly unchanged: number;
  /** Words of what went wrong; empty in a good preview. */
  readonly errors: readonly string[];
}

/** Fields of `pulumi preview --json` and `pulumi refresh --preview-only --json` that are read. */
interface Digest {
  readonly steps?: readonly {
    readonly op: string;
    readonly urn: string;
    readonly detailedDiff?: Readonly<Record<string, { kind?: string }>> | null;
    readonly diffReasons?: readonly string[] | null;
    readonly replaceReasons?: readonly string[] | null;
  }[];
  readonly diagnostics?: readonly { readonly message?: string; readonly severity?: string }[];
}

const STAYS: readonly string[] = ["same", "read", "refresh", "read-discard"];
/** Parts of one replacement: the step `replace` stands for all. */
const PARTS: readonly string[] = ["create-replacement", "delete-replaced"];
/** The resource that stands for the stack: a refresh always takes its outputs for changed. */
const STACK = "pulumi:pulumi:Stack";
const NOISE = /^error: (preview failed|update failed|resource .* failed|an unhandled error)/;

/** Reads Pulumi's document. @throws Error when it is none. */
export function readPreview(text: string): Preview {
  const digest = JSON.parse(text) as Digest;
  const all = (digest.steps ?? []).map((step) => ({ ...step, type: typeOf(step.urn) }));
  const real = all.filter(({ type }) => type !== STACK);
  const replaced = new Set(real.filter(({ op }) => op === "replace").map(({ urn }) => urn));
  const steps = real
    .filter(({ op, urn }) => !STAYS.includes(op) && !(PARTS.includes(op) && replaced.has(urn)))
    .map(({ op, urn, type, detailedDiff, diffReasons, replaceReasons }) => ({
      op: PARTS.includes(op) ? "replace" : op,
      urn,
      type,
      name: urn.split("::").slice(3).join("::"),
      changed: firsts([...(diffReasons ?? []), ...Object.keys(detailedDiff ?? {})]),
      replacing: firsts([
        ...(replaceReasons ?? []),
        ...Object.entries(detailedDiff ?? {})
          .filter(([, { kind }]) => kind?.endsWith("-replace"))
          .map(([key]) => key),
      ]),
    }));
  const errors = (digest.diagnostics ?? [])
    .filter(({ severity }) => severity === "error")
    .map(({ message = "" }) => message.trim())
    .filter((message) => message !== "" && !NOISE.test(message))
    .map((message) => message.replace(/^error: /, ""));
  return {
    steps: oncePerResource(steps),
    unchanged: real.filter(({ op }) => op === "same" || op === "refresh").length,
    errors: [...new Set(errors)],
  };
}

const typeOf = (urn: string): string => (urn.split("::")[2] ?? "").split("$").at(-1) ?? "";

/** `tags.a[0].b` is a change of `tags`. */
const firsts = (paths: readonly string[]): string[] =>
  [...new Set(paths.map((path) => path.split(/[.[]/)[0] as string))].filter((key) => key !== "");

function oncePerResource(steps: readonly Step[]): Step[] {
  const kept = new Map<string, Step>();
  for (const step of steps) {
    const key = `${step.op} ${step.urn}`;
    const before = kept.get(key);
    kept.set(
      key,
      before === undefined
        ? step
        : {
            ...step,
            changed: [...new Set([...before.changed, ...step.changed])],
            replacing: [...new Set([...before.replacing, ...step.replacing])],
          },
    );
  }
  return [...kept.values()];
}
