import { z } from "zod";
import {
  ensureHostRelease,
  type HostArch,
  type HostRelease,
} from "../../toolchain/host-release.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { faultsOfKnown } from "../faults.ts";
import {
  type CheckFailure,
  type Diff,
  type Handler,
  Interrupted,
  type Operation,
  PartlyDone,
} from "../handler.ts";
import { differences, type Props, reveal, UNKNOWN } from "../values.ts";
import { HostReleases, type PartMark } from "./artifact-host.ts";
import { hostConnection, pinned, type Seen } from "./connection.ts";
import { howToForget, isForgotten } from "./forget.ts";
import { anotherMachine, untilStarted, whileItBoots } from "./machine.ts";
import { faultsText, hostNeeds, isOf, judgeHost } from "./preflight.ts";
import { surveyHost } from "./preflight-facts.ts";
import {
  type HostConnection,
  type HostShell,
  HostUnreachable,
  type OpenShell,
  type Patience,
} from "./shell.ts";

/** Inputs of `openclaw:host:Artifact`. */
const artifactInputs = z.strictObject({
  /** How the host is reached. */
  host: hostConnection,
  /** Id of the release, as hostReleaseFacts() of toolchain/host-release.ts says. */
  artifact: z.string().regex(/^[A-Za-z0-9._+-]+$/, "is no id of a release"),
  /** What the host must be and have. It is looked at before anything is changed there. */
  needs: hostNeeds,
});
export type ArtifactInputs = z.infer<typeof artifactInputs>;

/** What the state holds besides the inputs. */
interface Made {
  /** `whole`; otherwise what is wrong with it, or with the way to it: the next `up` mends that. */
  readonly condition: string;
  /** The host's public key, as first seen; only it is accepted later. */
  readonly hostKey: string;
  /** The release before this one, which stays on the host so that it can go back; empty: none. */
  readonly previous: string;
  /** Content of the release. */
  readonly parts: readonly PartMark[];
}

type Whole = ArtifactInputs & Partial<Made>;

const WHOLE = "whole";

export interface ArtifactOptions {
  readonly open: OpenShell;
  /** @default the one of this clone */
  readonly release?: (arch: HostArch, say: (line: string) => void) => Promise<HostRelease>;
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * `openclaw:host:Artifact`: the release on one host, unpacked and checked, ready to be used by
 * `openclaw:host:Release`. It needs nothing of the host but a shell and tar. The release before it stays.
 */
export class ArtifactHandler implements Handler {
  readonly #open: OpenShell;
  readonly #release: NonNullable<ArtifactOptions["release"]>;
  readonly #env: NodeJS.ProcessEnv;

  constructor({ open, release = ofThisClone, env = process.env }: ArtifactOptions) {
    this.#open = open;
    this.#release = release;
    this.#env = env;
  }

  check(_olds: Props | undefined, news: Props): { inputs: Props; failures: CheckFailure[] } {
    return { inputs: news, failures: faultsOfKnown(artifactInputs, reveal(news)) };
  }

  diff(state: Props, oldInputs: Props, news: Props): Diff {
    const changes = differences(reveal(oldInputs), reveal(news));
    const { condition } = reveal<Partial<Made>>(state);
    const damaged = condition !== undefined && condition !== WHOLE;
    return {
      changes: damaged ? [...changes, { path: "condition", kind: "update" }] : changes,
      replaces: changes.map(({ path }) => path).filter((path) => path === "host.name"),
      outputOnly: damaged ? ["condition"] : [],
    };
  }

  async create(news: Props, op: Operation & { preview: boolean }) {
    if (op.preview) return { id: "", state: stateOf(news, { hostKey: UNKNOWN, parts: UNKNOWN }) };
    const inputs = artifactInputs.parse(reveal(news));
    const id = `${inputs.needs.fleet}/${inputs.host.name}`;
    const begun: Begun = {};
    try {
      return { id, state: stateOf(news, await this.#put(inputs, {}, op, begun)) };
    } catch (error) {
      if (!begun.hostKey) throw error;
      // What has arrived is on the host: it is gone on with, or taken away, later.
      const made = { condition: "incomplete", hostKey: begun.hostKey, parts: [] };
      throw new PartlyDone(id, stateOf(news, made), (error as Error).message);
    }
  }

  async read(_id: string, state: Props | undefined, inputs: Props | undefined) {
    // What a release is made of is known by the state alone.
    if (!state || !inputs) return null;
    const whole = reveal<Whole>(state);
    const { artifact, parts = [] } = whole;
    if (whole.condition === "incomplete") return { state, inputs };
    try {
      const condition = await this.#with({ host: whole.host, seen: whole }, async (shell) => {
        return (await new HostReleases(shell).fault(artifact, parts)) ?? WHOLE;
      });
      return { state: { ...state, condition }, inputs };
    } catch (error) {
      if (!(error instanceof HostUnreachable)) throw error;
      // One host that is away must not keep the others from being looked at.
      return { state: { ...state, condition: error.message }, inputs };
    }
  }

  async update(
    _id: string,
    state: Props,
    news: Props,
    op: Operation & { preview: boolean },
  ): Promise<Props> {
    const olds = reveal<Whole>(state);
    const { hostKey = "", previous = "", parts = [] } = olds;
    const { artifact, host } = reveal<Partial<ArtifactInputs>>(news);
    if (op.preview) {
      if (anotherMachine(olds.host, host)) {
        return stateOf(news, { hostKey: UNKNOWN, parts: UNKNOWN });
      }
      const same = artifact === olds.artifact;
      const made = { hostKey, previous: same ? previous : olds.artifact };
      return stateOf(news, { ...made, parts: same ? parts : UNKNOWN });
    }
    return stateOf(news, await this.#put(artifactInputs.parse(reveal(news)), olds, op, {}));
  }

  async delete(_id: string, state: Props, op: Operation): Promise<void> {
    const whole = reveal<Whole>(state);
    const { name, address } = whole.host;
    if (isForgotten(name, this.#env)) {
      op.say(`forgotten: releases stay on ${name} (${address}) in /opt/openclaw-fleet`);
      return;
    }
    let reached = false;
    try {
      await this.#with({ host: whole.host, seen: whole }, async (shell) => {
        const { fleet } = await surveyHost(shell, { signal: op.signal });
        if (fleet && !isOf(fleet, whole.needs)) {
          op.say(
            `releases stay: ${name} (${address}) carries node ${fleet.node} of fleet ${fleet.name} now`,
          );
          return;
        }
        reached = true;
        await new HostReleases(shell, op.signal).removeAll();
      });
    } catch (error) {
      if (op.signal.aborted) throw new Interrupted(`removing the releases of host ${name}`);
      if (!(error instanceof HostUnreachable)) throw inContext(name, error);
      const there = reached ? "What was removed there is not known." : "Nothing was removed there.";
      throw new Error(`${error.message}\n${there} ${howToForget(name)}`);
    }
  }

  async #put(inputs: ArtifactInputs, olds: Partial<Whole>, op: Operation, begun: Begun) {
    const { host, artifact, needs } = inputs;
    if (op.signal.aborted) throw new Interrupted(`sending the release to host ${host.name}`);
    const another = anotherMachine(olds.host, host);
    const there = another ? {} : olds;
    // The volume with the data came along from the machine before, as full as it was.
    const wanted = another ? { ...needs, dataMiB: 0 } : needs;
    const work = async (shell: HostShell): Promise<Made> => {
      await untilStarted(shell, host, op);
      op.say("looking at the host");
      const faults = judgeHost(await surveyHost(shell, { signal: op.signal }), wanted);
      if (faults.length > 0) throw new HostUnfit(faultsText(host.name, faults));
      const hostKey = (await shell.hostKey?.()) ?? there.hostKey ?? "";
      const release = await this.#release(needs.arch, op.say);
      if (release.id !== artifact) {
        throw new Error(
          `the files of the project changed meanwhile: the release is ${release.id} now, and ${artifact} was planned. Run the command again`,
        );
      }
      begun.hostKey = hostKey;
      const releases = new HostReleases(shell, op.signal);
      const parts = release.parts.map(({ name, id, shape }) => ({ name, id, shape }));
      if (await releases.fault(artifact, parts)) {
        await releases.put(artifact, release.parts, op.say);
      }
      const previous = there.artifact === artifact ? there.previous : there.artifact;
      await releases.prune([artifact, ...(previous ? [previous] : [])]);
      return { condition: WHOLE, hostKey, previous: previous ?? "", parts };
    };
    try {
      return await this.#with({ host, seen: olds }, work, whileItBoots(op));
    } catch (error) {
      if (op.signal.aborted) {
        throw new Interrupted(`sending the release to host ${host.name}`);
      }
      throw inContext(host.name, error);
    }
  }

  async #with<T>(
    { host, seen }: { readonly host: HostConnection; readonly seen: Seen },
    work: (shell: HostShell) => Promise<T>,
    patience: Patience = {},
  ): Promise<T> {
    const shell = this.#open(pinned(host, seen), patience);
    try {
      return await work(shell);
    } finally {
      await shell.close();
    }
  }
}

/** Set as soon as something may be on the host. */
interface Begun {
  hostKey?: string;
}

/** The host is not what the plan needs; the message says everything. */
class HostUnfit extends Error {
  override readonly name = "HostUnfit";
}

function inContext(host: string, error: unknown): Error {
  if (error instanceof HostUnreachable || error instanceof HostUnfit) return error;
  return new Error(`host ${host}: ${error instanceof Error ? error.message : String(error)}`);
}

function stateOf(
  inputs: Props,
  made: { [K in keyof Made]?: Made[K] | undefined | typeof UNKNOWN },
): Props {
  return {
    ...inputs,
    condition: made.condition ?? WHOLE,
    hostKey: made.hostKey ?? "",
    previous: made.previous ?? "",
    parts: made.parts ?? [],
  };
}

/** Preparing it takes minutes the first time; all hosts wait for the same. */
function ofThisClone(arch: HostArch, say: (line: string) => void): Promise<HostRelease> {
  return ensureHostRelease(arch, {
    progress: createProgress((line) => say(line.replace(/^fleet: /, ""))),
  });
}
