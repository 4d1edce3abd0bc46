// biome-ignore-all lint/suspicious/noExplicitAny: inputs of any type pass through here.
import type { PolicyResource, ResourceValidationArgs, StackValidationArgs } from "@pulumi/policy";
import * as proxy from "@pulumi/policy/proxy.js";
import * as pulumi from "@pulumi/pulumi";
import { type Facts, readFacts } from "../../policies/facts.ts";
import type { Policy } from "../../policies/policy.ts";
import { deployAws } from "../../stacks/aws/deploy.ts";
import type { AwsStackSettings } from "../../stacks/aws/plan.ts";
import type { PresetName } from "../../stacks/preset-table.ts";
import { settingsSchema } from "../../stacks/settings-schema.ts";
import { COMPUTED, LOOKUPS } from "../stacks/aws/account.ts";
import { NOTHING_SECRET } from "../support/nothing-secret.ts";
import { type Computed, type Registered, record } from "../support/pulumi-mocks.ts";

/** The stack's name in all recordings. */
export const STACK = "team";
export const BOUNDARY = "arn:aws:iam::123456789012:policy/boundary";

/** A resource as an engine would hand it to a policy. */
export interface Made extends Registered {
  /** URNs that each property came from. */
  readonly from: Readonly<Record<string, readonly string[]>>;
}

const settingsOf = (target: "ec2" | "eks", preset: PresetName, more: object) => ({
  target,
  preset,
  environment: "prod",
  domain: "chat.example.com",
  dns: { checkDelegation: false },
  aws: {
    region: "eu-central-1",
    accountId: "123456789012",
    zones: ["euc1-az2", "euc1-az3", "euc1-az1"],
    permissionsBoundaryArn: BOUNDARY,
  },
  cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deployer"] },
  tags: { team: "agents" },
  ...more,
});

/** AWS names what has no name of its own. */
const NAMED: Computed = Object.fromEntries(
  [
    "aws:rds/parameterGroup:ParameterGroup",
    "aws:rds/subnetGroup:SubnetGroup",
    "aws:elasticache/subnetGroup:SubnetGroup",
    "aws:elasticache/parameterGroup:ParameterGroup",
  ].map((type) => [type, (_: unknown, name: string) => ({ name })]),
);

const kept = new Map<string, Promise<readonly Made[]>>();

/** Everything that a stack of that preset registers, once a test file. */
export function stackOf(
  target: "ec2" | "eks",
  preset: PresetName,
  more: object = {},
  preview = false,
): Promise<readonly Made[]> {
  const key = JSON.stringify([target, preset, more, preview]);
  const made = kept.get(key) ?? recordStack(settingsOf(target, preset, more), preview);
  kept.set(key, made);
  return made;
}

async function recordStack(settings: object, preview: boolean): Promise<readonly Made[]> {
  const from = new Map<string, Record<string, string[]>>();
  const { resources } = await record(
    () => {
      watchProperties(from);
      return deployAws({
        stack: STACK,
        settings: settingsSchema.parse(settings) as AwsStackSettings,
        isSecret: NOTHING_SECRET,
      });
    },
    { lookups: LOOKUPS, computed: { ...COMPUTED, ...NAMED }, preview },
  );
  return resources.map((made) => ({ ...made, from: from.get(made.urn) ?? {} }));
}

/** Notes from which resources each property came. */
function watchProperties(from: Map<string, Record<string, string[]>>): void {
  const monitor = pulumi.runtime.getMonitor() as any;
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request: any, callback: any) =>
    register(request, (error: unknown, response: any) => {
      if (response) {
        const properties: Record<string, string[]> = {};
        request.getPropertydependenciesMap().forEach((urns: any, name: string) => {
          properties[name] = urns.getUrnsList();
        });
        from.set(response.getUrn(), properties);
      }
      callback(error, response);
    });
}

/** Facts of a stack in prod, changed as a test wants them. */
export function facts(changes: Partial<Facts> = {}, config: Record<string, unknown> = {}): Facts {
  const all = {
    environment: "prod",
    preset: "medium",
    tags: { team: "agents" },
    aws: { permissionsBoundaryArn: BOUNDARY },
    ...config,
  };
  const read = readFacts({
    stack: STACK,
    settings: Object.fromEntries(
      Object.entries(all).map(([key, value]) => [`openclaw-fleet:${key}`, value]),
    ),
    today: "2026-11-21",
  });
  return { ...read, ...changes };
}

/** The mark that the engine sends for a value which a preview does not know. */
export const UNKNOWN_TEXT = (proxy as unknown as { unknownStringValue: string }).unknownStringValue;

/** What a policy made of something. */
export interface Judged {
  readonly found: readonly string[];
  /** URNs of the findings. */
  readonly urns: readonly string[];
  /** What waits for `up`. */
  readonly waits: readonly string[];
}

const guard = (inputs: object): Record<string, any> =>
  (
    proxy as unknown as { unknownCheckingProxy(o: object): Record<string, any> }
  ).unknownCheckingProxy(inputs);

const options = (made: Pick<Registered, "options">): any => ({
  protect: made.options.protect,
  ignoreChanges: [...made.options.ignoreChanges],
  deleteBeforeReplace: made.options.deleteBeforeReplace,
  aliases: [],
  customTimeouts: { createSeconds: 0, updateSeconds: 0, deleteSeconds: 0 },
  additionalSecretOutputs: [],
});

/** Arguments of one resource, its inputs guarded as the SDK guards them. */
export function argsOf(made: Registered, about: Facts = facts()): ResourceValidationArgs {
  return {
    type: made.type,
    name: made.name,
    urn: made.urn,
    props: guard(made.inputs),
    opts: options(made),
    stackTags: new Map(),
    isType: () => false,
    asType: () => undefined,
    getConfig: () => about as any,
    notApplicable: (): never => {
      throw new Error("no policy of ours says so");
    },
  };
}

/** What one resource, or a whole stack, is to a policy. */
export function judge(
  policy: Policy,
  made: Registered | readonly Made[],
  about: Facts = facts(),
): Judged {
  const found: string[] = [];
  const urns: string[] = [];
  const waits: string[] = [];
  const asked: Facts = { ...about, waits: (what) => waits.push(what) };
  const report = (message: string, urn?: string) => {
    found.push(message);
    urns.push(urn ?? "");
  };
  if (Array.isArray(made)) policy.validateStack?.(stackArgs(made, asked), report);
  else policy.validateResource?.(argsOf(made as Registered, asked), report);
  return { found, urns, waits };
}

/** Arguments of a whole stack, with relations as the SDK links them. */
export function stackArgs(made: readonly Made[], about: Facts = facts()): StackValidationArgs {
  const resources = new Map<string, PolicyResource>();
  for (const one of made) {
    const { type, name, urn, props, opts, isType, asType } = argsOf(one, about);
    const resource = { type, name, urn, props, opts, isType, asType };
    resources.set(urn, { ...resource, dependencies: [], propertyDependencies: {} });
  }
  const linked = (urns: readonly string[]) =>
    urns.flatMap((urn) => resources.get(urn) ?? ([] as PolicyResource[]));
  for (const one of made) {
    const resource = resources.get(one.urn) as PolicyResource;
    resource.parent = resources.get(one.parent);
    resource.dependencies = linked(one.dependencies);
    for (const [property, urns] of Object.entries(one.from))
      resource.propertyDependencies[property] = linked(urns);
  }
  return {
    resources: [...resources.values()],
    stackTags: new Map(),
    getConfig: () => about as any,
    notApplicable: (): never => {
      throw new Error("no policy of ours says so");
    },
  };
}

/** The only resource of a type, or the first whose name ends so. */
export function pick(made: readonly Made[], type: string, end = ""): Made {
  const found = made.find((one) => one.type === type && one.name.endsWith(end));
  if (found) return found;
  const there = made.filter((one) => one.type === type).map(({ name }) => name);
  throw new Error(
    `no ${type} ending in ${end || "anything"}; there is ${there.join(", ") || "none"}`,
  );
}

/** The same resource with one property changed; `undefined` takes it away. Paths as `a.b.0.c`. */
export function withValue<R extends Registered>(made: R, path: string, value: unknown): R {
  const inputs = structuredClone(made.inputs);
  const keys = path.split(/(?<!\\)\./).map((key) => key.replaceAll("\\.", "."));
  const last = keys.pop() as string;
  let at: any = inputs;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key];
  }
  if (value === undefined) delete at[last];
  else at[last] = value;
  return { ...made, inputs };
}

/** The same resource with one property unknown, as a preview may have it. */
export const withUnknown = <R extends Registered>(made: R, path: string): R =>
  withValue(made, path, UNKNOWN_TEXT);

/** A stack with one resource changed, or without it. */
export function changed(
  made: readonly Made[],
  which: (one: Made) => boolean,
  change: (one: Made) => Made | null,
): readonly Made[] {
  if (!made.some(which)) throw new Error("nothing of the stack is meant");
  return made.flatMap((one) => (which(one) ? (change(one) ?? []) : one));
}

/** The only resource of a type in a stack, asked for later. */
export const later =
  (stack: () => Promise<readonly Made[]>, type: string, end = "") =>
  async (): Promise<Made> =>
    pick(await stack(), type, end);
