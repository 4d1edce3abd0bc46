import type {
  ReportViolation,
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationArgs,
  StackValidationPolicy,
} from "@pulumi/policy";
import { type Exception, type ExceptionsRead, nearestId } from "./exceptions.ts";
import type { Facts } from "./facts.ts";
import type { NamedException } from "./named-exceptions.ts";
import { explain, type Policy, type Severity } from "./policy.ts";

/** What a policy made of one resource, for reports. */
export interface Finding {
  readonly policy: string;
  readonly severity: Severity;
  readonly sentence: string;
  readonly urn: string;
  /** What was found; for `waits` what is not known yet. */
  readonly found: string;
  readonly setting: string;
  readonly fix: string;
  /** `waits`: `up` judges it, before it makes the resource. */
  readonly outcome: "found" | "excepted" | "waits";
  /** Of an exception. */
  readonly reason?: string;
}

/** A stack, and what its file excepts. */
export interface About {
  readonly facts: Facts;
  readonly exceptions: ExceptionsRead;
}

export interface PackArgs {
  readonly policies: readonly Policy[];
  /** Of the stack of that name. The engine tells it to a pack by URNs only, so it is known late. */
  readonly about: (stack: string) => About;
  readonly named: readonly NamedException[];
  /** Gets every finding, excepted ones and waits among them. */
  readonly note: (finding: Finding) => void;
}

const SEVERITIES: readonly string[] = ["advisory", "blocking", "mandatory"];
/** The resource that stands for the stack itself, registered before all others. */
const STACK = "pulumi:pulumi:Stack";

/** What a pack learns while it runs. */
interface Running extends Omit<PackArgs, "about"> {
  /** Of the stack that is judged; undefined before its first resource. */
  known: About | undefined;
  readonly learn: (urn: string) => About;
  /** Exceptions that something needed. */
  readonly used: Set<Exception>;
  /**
   * What the program asked for, by URN. Of a whole stack the engine tells what providers answered
   * instead: in a preview nothing at all of a cluster that is not there yet, and unknown lists where
   * nothing was asked for.
   */
  readonly asked: Map<string, ResourceValidationArgs["props"]>;
}

/** Policies as Pulumi's SDK serves them: with the stack's severities and exceptions. */
export function packPolicies(args: PackArgs): (ResourceValidationPolicy | StackValidationPolicy)[] {
  const running: Running = {
    ...args,
    known: undefined,
    used: new Set(),
    asked: new Map(),
    learn: (urn) => {
      running.known ??= args.about(urn.split("::")[0]?.replace("urn:pulumi:", "") ?? "");
      return running.known;
    },
  };
  // The last is asked after every other has judged the whole stack.
  return [...args.policies, ownFaults(running), unusedExceptions(running)].flatMap((policy) =>
    served(policy, running),
  );
}

/**
 * A policy at its own level and, where a stack may change that, once more at the other. The engine
 * asks for levels once and before it names the stack, so both are served and one of them is silent.
 */
function served(policy: Policy, pack: Running) {
  if (policy.severity === "mandatory") return serve(policy, pack, "mandatory", policy.id);
  return policy.severity === "advisory"
    ? [
        ...serve(policy, pack, "advisory", policy.id),
        ...serve(policy, pack, "mandatory", `${policy.id}-raised`),
      ]
    : [
        ...serve(policy, pack, "mandatory", policy.id),
        ...serve(policy, pack, "advisory", `${policy.id}-lowered`),
      ];
}

/** As the stack says; a mandatory policy stays what it is. */
export function severityOf(policy: Policy, facts: Pick<Facts, "severities">): Severity {
  const wanted = facts.severities[policy.id];
  if (policy.severity === "mandatory" || !wanted || !SEVERITIES.includes(wanted))
    return policy.severity;
  return wanted as Severity;
}

function severityFaults(policies: readonly Policy[], facts: Facts): string[] {
  return Object.entries(facts.severities).flatMap(([id, wanted]) => {
    const setting = `policies.severity.${id}`;
    const policy = policies.find((one) => one.id === id);
    if (!policy) {
      const near = nearestId(id, policies);
      return [`${setting} names no policy${near ? `. Did you mean ${near}?` : ""}`];
    }
    if (!SEVERITIES.includes(wanted))
      return [`${setting} is ${wanted}, none of ${SEVERITIES.join(", ")}`];
    if (policy.severity === "mandatory" && wanted !== "mandatory")
      return [`${setting} is ${wanted}, and this policy is mandatory`];
    return [];
  });
}

function serve(
  policy: Policy,
  pack: Running,
  level: "advisory" | "mandatory",
  name: string,
): (ResourceValidationPolicy | StackValidationPolicy)[] {
  const { validateResource, validateStack, remediateResource } = policy;
  const spoken = (facts: Facts) =>
    (severityOf(policy, facts) === "advisory" ? "advisory" : "mandatory") === level;
  const common = {
    name,
    description: policy.sentence,
    remediationSteps: policy.fix,
  };
  /** One judgement: with facts, exceptions and notes; a judgement that breaks off counts as a finding. */
  const judged = <Args extends { getConfig: ResourceValidationArgs["getConfig"] }>(
    judge: (args: Args, report: ReportViolation) => void,
    args: Args,
    own: string,
    report: ReportViolation,
  ) => {
    const about = pack.learn(own);
    if (!spoken(about.facts)) return;
    const severity = severityOf(policy, about.facts);
    const note = (outcome: Finding["outcome"], urn: string, found: string, reason?: string) => {
      const { id, sentence, setting, fix } = policy;
      const what = { policy: id, severity, sentence, urn, found, setting, fix };
      pack.note({ ...what, outcome, ...(reason === undefined ? {} : { reason }) });
    };
    const facts: Facts = { ...about.facts, waits: (what) => note("waits", own, what) };
    const finding: ReportViolation = (found, urn = own) => {
      const reason = excepted(policy.id, urn, about.exceptions, pack);
      note(reason === undefined ? "found" : "excepted", urn, found, reason);
      if (reason === undefined) report(explain(policy, found), urn);
    };
    try {
      judge({ ...args, getConfig: <T>() => facts as T }, finding);
    } catch (error) {
      finding(`it cannot be judged: ${(error as Error).message}`);
    }
  };
  const made: (ResourceValidationPolicy | StackValidationPolicy)[] = [];
  if (validateResource) {
    const mends = remediateResource !== undefined && level === "mandatory";
    made.push({
      ...common,
      enforcementLevel: mends ? "remediate" : level,
      validateResource: (args: ResourceValidationArgs, report: ReportViolation) =>
        judged(validateResource, args, args.urn, report),
      ...(mends
        ? {
            remediateResource: (args: ResourceValidationArgs) => {
              const { facts } = pack.learn(args.urn);
              if (!spoken(facts)) return undefined;
              return remediateResource({ ...args, getConfig: <T>() => facts as T });
            },
          }
        : {}),
    });
  }
  if (validateStack)
    made.push({
      ...common,
      enforcementLevel: level,
      validateStack: (args: StackValidationArgs, report: ReportViolation) => {
        // In place: resources lead to each other.
        for (const one of args.resources) one.props = pack.asked.get(one.urn) ?? one.props;
        if (args.resources.length > 0) judged(validateStack, args, stackUrn(args), report);
      },
    });
  return made;
}

const stackUrn = ({ resources }: StackValidationArgs): string =>
  (resources.find(({ type }) => type === STACK) ?? resources[0])?.urn ?? "";

/** Why a resource may break a policy; undefined: it may not. */
function excepted(
  policy: string,
  urn: string,
  exceptions: ExceptionsRead,
  { named, used }: Running,
): string | undefined {
  const own = named.find((one) => one.policy === policy && one.urn.test(urn));
  if (own) return own.reason;
  const held = exceptions.held.find((one) => one.policy === policy && one.urn === urn);
  if (!held) return undefined;
  used.add(held);
  return `${held.reason} (${held.owner}, until ${held.expires})`;
}

/** Faults of the stack's own severities and exceptions. Asked about every resource, it notes them all. */
const ownFaults = (pack: Running): Policy => ({
  id: "hygiene-policy-settings",
  sentence: "Severities and exceptions of the stack name policies that exist, and hold today.",
  severity: "mandatory",
  setting: "policies",
  fix: "mend the entry, or take it out",
  unknown: "They are settings, and so are known.",
  validateResource({ type, urn, props }, report) {
    pack.asked.set(urn, props);
    if (type !== STACK) return;
    const { facts, exceptions } = pack.learn(urn);
    for (const fault of severityFaults(pack.policies, facts)) report(fault);
    for (const fault of exceptions.faults) report(fault);
  },
});

const unusedExceptions = (pack: Running): Policy => ({
  id: "hygiene-unused-exceptions",
  sentence: "Every exception of the stack is needed.",
  severity: "mandatory",
  setting: "policies.exceptions",
  fix: "take the entry out of the file",
  unknown: "It is asked after all have been judged.",
  validateStack(args, report) {
    for (const one of pack.learn(stackUrn(args)).exceptions.held)
      if (!pack.used.has(one)) report(`nothing breaks ${one.policy} at ${one.urn}`);
  },
});
