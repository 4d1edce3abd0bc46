// biome-ignore-all lint/suspicious/noExplicitAny: messages of the runtime and inputs of any type pass through here.
import * as pulumi from "@pulumi/pulumi";

/** One resource that a program registered. */
export interface Registered {
  readonly type: string;
  /** The logical name. */
  readonly name: string;
  readonly urn: string;
  /** URN of the parent; empty at the top. */
  readonly parent: string;
  /** Inputs as a provider gets them: outputs resolved, secrets opened. */
  readonly inputs: Record<string, any>;
  /** Inputs that hold a secret, at their first level. */
  readonly secrets: readonly string[];
  /** URNs this one waits for: `dependsOn`, and what its inputs came from. */
  readonly dependencies: readonly string[];
  /** `urn::id` of an explicit provider; empty for the default one. */
  readonly provider: string;
  readonly options: {
    readonly protect: boolean;
    readonly retainOnDelete: boolean;
    readonly deleteBeforeReplace: boolean;
    readonly ignoreChanges: readonly string[];
    readonly replaceOnChanges: readonly string[];
    readonly deletedWith: string;
  };
}

type Fields = Record<string, unknown>;
/** Answers of lookups by token, e.g. `aws:ec2/getAmi:getAmi`. */
export type Lookups = Readonly<Record<string, (args: Fields) => Fields>>;
/** What AWS would add to a type's inputs. An `arn` is added to every aws resource. */
export type Computed = Readonly<Record<string, (inputs: Fields, name: string) => Fields>>;

export interface RecordOptions {
  readonly lookups?: Lookups;
  readonly computed?: Computed;
  /** Leave ids and what is not an input unknown, as `pulumi preview` does. */
  readonly preview?: boolean;
}

/** What a part of a program registered. */
export class Recording<T> {
  readonly value: T;
  readonly resources: readonly Registered[];

  constructor(value: T, resources: readonly Registered[]) {
    this.value = value;
    this.resources = resources;
  }

  /** All of a type, e.g. `aws:ec2/vpc:Vpc`. */
  of(type: string): Registered[] {
    return this.resources.filter((r) => r.type === type);
  }

  /** The only one of a type, or the one of that name. Throws when there is none or there are several. */
  one(type: string, name?: string): Registered {
    const all = this.of(type);
    const found = all.filter((r) => name === undefined || r.name === name);
    if (found.length !== 1) {
      const there = all.map((r) => r.name).join(", ") || "none";
      throw new Error(`wanted one ${type}${name ? ` called ${name}` : ""}; there is: ${there}`);
    }
    return found[0] as Registered;
  }
}

/**
 * Runs a part of a program without an engine and records what it registers. A lookup that has no
 * answer in `lookups` throws, and so fails the build.
 */
export async function record<T>(
  build: () => T | Promise<T>,
  { lookups = {}, computed = {}, preview = false }: RecordOptions = {},
): Promise<Recording<T>> {
  const resources: Registered[] = [];
  const unknown: string[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs, custom }) => ({
        id: custom === false ? undefined : preview ? "" : `${name}-id`,
        state: preview
          ? inputs
          : { ...arnOf(type, name), ...inputs, ...computed[type]?.(inputs, name) },
      }),
      call: ({ token, inputs }) => {
        const lookup = lookups[token] ?? COMMON[token];
        if (lookup) return lookup(inputs);
        unknown.push(token);
        throw new Error(`the test has no answer for the lookup ${token}`);
      },
    },
    "openclaw-fleet",
    "test",
    preview,
    "organization",
  );
  watch(resources);
  try {
    const value = await build();
    await pulumi.runtime.disconnect();
    return new Recording(value, resources);
  } catch (error) {
    // The runtime drops the message of an answer that failed.
    if (unknown.length > 0) throw new Error(`the test has no answer for the lookup ${unknown}`);
    throw error;
  }
}

/** Value of an output, once it is known. */
export function settled<T>(output: pulumi.Input<T>): Promise<T> {
  const promise = (pulumi.output(output) as unknown as { promise(): Promise<T> }).promise();
  return promise;
}

const COMMON: Lookups = {
  "aws:index/getPartition:getPartition": () => ({
    id: "aws",
    partition: "aws",
    dnsSuffix: "amazonaws.com",
    reverseDnsPrefix: "com.amazonaws",
  }),
};

const arnOf = (type: string, name: string): Fields =>
  type.startsWith("aws:")
    ? { arn: `arn:aws:${type.split(/[:/]/)[1]}:eu-central-1:123456789012:${name}` }
    : {};

/** The request has what `newResource` is not told: parent, dependencies, options. */
function watch(resources: Registered[]): void {
  const monitor = pulumi.runtime.getMonitor() as any;
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request: any, callback: any) => {
    register(request, (error: unknown, response: any) => {
      if (response) {
        const raw = request.getObject()?.toJavaScript() ?? {};
        resources.push({
          type: request.getType(),
          name: request.getName(),
          urn: response.getUrn(),
          parent: request.getParent(),
          inputs: plain(raw) as Record<string, any>,
          secrets: Object.keys(raw).filter((key) => holdsSecret(raw[key])),
          dependencies: request.getDependenciesList(),
          provider: request.getProvider(),
          options: {
            protect: request.getProtect(),
            retainOnDelete: request.getRetainondelete(),
            deleteBeforeReplace: request.getDeletebeforereplace(),
            ignoreChanges: request.getIgnorechangesList(),
            replaceOnChanges: request.getReplaceonchangesList(),
            deletedWith: request.getDeletedwith(),
          },
        });
      }
      callback(error, response);
    });
  };
}

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const isSecret = (value: any): boolean => value?.[SIGNATURE] === SECRET;

function holdsSecret(value: any): boolean {
  if (isSecret(value)) return true;
  return value !== null && typeof value === "object" && Object.values(value).some(holdsSecret);
}

function plain(value: any): unknown {
  if (isSecret(value)) return plain(value.value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]));
}
