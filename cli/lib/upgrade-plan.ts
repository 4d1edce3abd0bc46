import {
  ADDONS,
  BOTTLEROCKET_ALIAS,
  VERSION_NAMES,
  VERSIONS,
  type VersionName,
} from "../../components/cluster/catalog.ts";
import { checkUpgrade } from "../../components/cluster/checks.ts";
import type { Fault } from "../../components/errors.ts";
import { CommandFailed } from "./errors.ts";

export interface UpgradeWish {
  /** `cluster.version` as the stack's file has it, or its default. */
  readonly written: VersionName;
  /** Minor that runs; undefined where nothing does. */
  readonly running?: string | undefined;
  /** The next one when left out. */
  readonly to?: string | undefined;
  readonly os: "al2023" | "bottlerocket";
  readonly stack: string;
}

export interface UpgradeStep {
  readonly what: string;
  readonly from: string;
  readonly to: string;
}

export interface Upgrade {
  readonly from: string;
  readonly to: VersionName;
  /** In the order in which they are taken; empty: there is nothing to do. */
  readonly steps: readonly UpgradeStep[];
  readonly notes: readonly string[];
}

/**
 * One minor further: control plane, then addons, then nodes. Nothing that holds data is replaced.
 * @throws CommandFailed for skips, steps back, and an upgrade that is not finished.
 */
export function planUpgrade({ written, running, to: wanted, os, stack }: UpgradeWish): Upgrade {
  const from = running ?? written;
  if (running !== undefined && running !== written && wanted !== running) {
    throw new CommandFailed(
      `Another change of the cluster's version is not finished`,
      `Pulumi.${stack}.yaml says ${written}, and the cluster runs ${running}`,
      `./fleet up --stack ${stack}, then run this again`,
    );
  }
  const to = wanted ?? VERSION_NAMES[VERSION_NAMES.indexOf(from as VersionName) + 1] ?? from;
  if (!isKnown(to)) {
    throw new CommandFailed(
      `${to} is no version that this project knows`,
      `it was made for ${VERSION_NAMES.join(", ")}`,
      `name one of them with --to; the cluster has ${from}`,
    );
  }
  const faults: Fault[] = [];
  checkUpgrade(from, to, faults);
  const [fault] = faults;
  if (fault) throw new CommandFailed(`${to} cannot follow ${from}`, fault.problem, fault.remedy);
  const notes: string[] = [];
  if (running === undefined) notes.push("no cluster is recorded: only the setting changes");
  if (to === from) {
    const newest = from === VERSION_NAMES.at(-1);
    notes.push(
      newest
        ? `${from} is the newest that this version of the project knows`
        : `the cluster has ${from} already`,
    );
    return { from, to, steps: [], notes };
  }
  const until = VERSIONS[to].standardUntil;
  notes.push(
    until
      ? `standard support of ${to} ends on ${until}`
      : `the end of ${to}'s support is not known`,
  );
  notes.push("EKS never goes back: try it on a stack that may be lost first");
  return { from, to, steps: stepsOf(from, to, os), notes };
}

const isKnown = (version: string): version is VersionName => Object.hasOwn(VERSIONS, version);

function stepsOf(from: string, to: VersionName, os: UpgradeWish["os"]): UpgradeStep[] {
  const old = isKnown(from) ? VERSIONS[from] : undefined;
  const next = VERSIONS[to];
  const addons = ADDONS.map((name) => ({
    what: `addon ${name}`,
    from: old?.addons[name] ?? "as it is",
    to: next.addons[name],
  })).filter((step) => step.from !== step.to);
  const nodes =
    os === "bottlerocket"
      ? { from: "as they are", system: `EKS's newest for ${to}`, pools: BOTTLEROCKET_ALIAS }
      : {
          from: old?.al2023Release ?? "as they are",
          system: next.al2023Release,
          pools: next.al2023Alias,
        };
  return [
    { what: "control plane", from, to },
    ...addons,
    { what: "system nodes, one at a time", from: nodes.from, to: nodes.system },
    {
      what: "nodes of gateways, one at a time, each drained first",
      from: old && os === "al2023" ? old.al2023Alias : "as they are",
      to: nodes.pools,
    },
  ];
}
