import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askPulumi, type PulumiRunner } from "../../pulumi.ts";
import { CommandFailed } from "../errors.ts";
import type { Inputs } from "./known-ids.ts";
import { type Begun, type Exported, exportState, type Kept } from "./state.ts";

/**
 * What this project's own provider would have answered when it was cut off: it reads nothing off the
 * place by itself, and the next `up` goes on with it.
 */
const CUT_OFF: Readonly<Record<string, Inputs>> = {
  "openclaw:local:Fleet": {},
  "openclaw:local:Node": { state: "incomplete" },
  "openclaw:host:Artifact": { condition: "incomplete", hostKey: "", previous: "", parts: [] },
  "openclaw:host:Release": { state: "incomplete", drift: {}, revision: "", hostKey: "" },
};

/**
 * Inputs that say how something is deleted and that no cloud keeps: a resource read back from it lacks
 * them, and would be kept by its last snapshot, or refused while it holds something.
 */
const OF_DELETES: readonly string[] = [
  "deleteAutomatedBackups",
  "deletionWindowInDays",
  "finalSnapshotIdentifier",
  "forceDestroy",
  "recoveryWindowInDays",
  "skipFinalSnapshot",
  "stopInstanceBeforeDetaching",
];

/**
 * Writes creates into the state as resources under these ids; the refresh that follows takes out again
 * what is not there. Pulumi's own `--import-pending-creates` leaves them pending, and looks at nothing.
 */
export function takeOver(
  runner: PulumiRunner,
  stack: string,
  ids: ReadonlyMap<string, string>,
): void {
  change(runner, stack, (state) => {
    const { resources = [], pending_operations: pending = [] } = state.deployment ?? {};
    const begun = pending.filter(
      ({ type, resource }) => type === "creating" && ids.has(resource.urn),
    );
    if (begun.length === 0) return null;
    const taken = begun.map(({ resource }): Kept => {
      const made = CUT_OFF[resource.type];
      return {
        ...resource,
        id: ids.get(resource.urn) as string,
        ...(made ? { outputs: { ...resource.inputs, ...made } } : {}),
      };
    });
    return {
      ...state,
      deployment: {
        ...state.deployment,
        resources: [...resources, ...taken],
        pending_operations: pending.filter((one) => !begun.includes(one)),
      },
    };
  });
}

/** Gives back to what was found in the cloud how it is to be deleted, which only the program knew. */
export function keepWhatDeletesNeed(
  runner: PulumiRunner,
  stack: string,
  begun: readonly Begun[],
): void {
  const told = new Map(
    begun
      .filter(({ op }) => op === "creating")
      .map(({ urn, inputs }) => [
        urn,
        Object.fromEntries(Object.entries(inputs).filter(([key]) => OF_DELETES.includes(key))),
      ]),
  );
  change(runner, stack, (state) => {
    const { resources = [] } = state.deployment ?? {};
    let changed = false;
    const next = resources.map((one) => {
      const mine = told.get(one.urn) ?? {};
      if (Object.keys(mine).length === 0) return one;
      changed = true;
      return {
        ...one,
        inputs: { ...one.inputs, ...mine },
        outputs: { ...one.outputs, ...mine },
      };
    });
    return changed ? { ...state, deployment: { ...state.deployment, resources: next } } : null;
  });
}

/** Edits a state by hand; null: as it is. */
function change(
  runner: PulumiRunner,
  stack: string,
  edit: (state: Exported) => Exported | null,
): void {
  const folder = mkdtempSync(join(tmpdir(), "openclaw-fleet-recover-"));
  try {
    const next = edit(JSON.parse(exportState(runner, stack)) as Exported);
    if (next === null) return;
    const file = join(folder, "state.json");
    writeFileSync(file, JSON.stringify(next), { mode: 0o600 });
    if (askPulumi(runner, ["stack", "import", "--stack", stack, "--file", file]) !== null) return;
    throw new CommandFailed(
      `The state of ${stack} did not take what was begun`,
      "Pulumi refused it",
      `./fleet recover --stack ${stack} --drop goes on without`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
