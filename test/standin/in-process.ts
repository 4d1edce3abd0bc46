// biome-ignore-all lint/suspicious/noExplicitAny: messages of the runtime pass through here.
import * as pulumi from "@pulumi/pulumi";
import { type Props, reveal } from "../../plugin/values.ts";
import { Cloud } from "./cloud.ts";
import { scopeOf } from "./provider.ts";
import type { Deployed } from "./replay.ts";
import { ACCOUNT_ID, CALLER } from "./settings.ts";
import type { Scope, World } from "./world.ts";

/** A resource as `pulumi stack export` would list it, and the URNs that it had before. */
export type Made = Deployed & { readonly aliases: readonly string[] };

const PROJECT = "openclaw-fleet";
const SETTINGS = { accountId: ACCOUNT_ID, caller: CALLER };

/**
 * Runs a part of a program on the stand-in without an engine: everything is made in the program's own
 * order, and refused as it would be. For graphs of many stacks in seconds; whether the engine agrees is
 * for tests with the engine.
 */
export async function runInProcess(
  world: World,
  stack: string,
  build: () => unknown,
): Promise<Made[]> {
  const cloud = new Cloud(world);
  const resources = new Map<string, Made>();
  const scopes = new Map<string, Scope>();
  const parents = new Map<string, string>();
  const refusals: string[] = [];
  const urnBelow = (parent: string, type: string, name: string) => {
    const above = parent.split("::")[2] ?? "";
    const chain = above === "" || above === "pulumi:pulumi:Stack" ? type : `${above}$${type}`;
    return `urn:pulumi:${stack}::${PROJECT}::${chain}::${name}`;
  };
  const urnOf = (type: string, name: string) =>
    urnBelow(parents.get(`${type} ${name}`) ?? "", type, name);
  const refused = (what: string, error: unknown) => {
    refusals.push(`${what}: ${(error as Error).message}`);
    return error;
  };
  await pulumi.runtime.setMocks(
    {
      newResource({ type, name, inputs: raw, provider, custom }) {
        const inputs = reveal<Props>(raw);
        const urn = urnOf(type, name);
        if (custom === false || type.startsWith("pulumi:")) {
          if (type.startsWith("pulumi:providers:")) {
            scopes.set(urn, scopeOf(type.split(":").at(-1) as string, inputs, SETTINGS));
          }
          const outputs = type === "pulumi:pulumi:StackReference" ? { outputs: {} } : {};
          note(urn, type, `${name}-id`, inputs, custom !== false);
          return { id: `${name}-id`, state: { ...inputs, ...outputs } };
        }
        const asked = { type, urn, scope: placeOf(type, provider) };
        try {
          const checked = cloud.check(asked, undefined, inputs, seedOf(urn));
          const [failure] = checked.failures;
          if (failure) throw new Error(failure.reason);
          const made = cloud.create(asked, checked.inputs);
          note(urn, type, made.id, checked.inputs, true, provider);
          return { id: made.id, state: made.state };
        } catch (error) {
          throw refused(urn, error);
        }
      },
      call({ token, inputs, provider }) {
        try {
          return cloud.invoke(token, reveal<Props>(inputs), placeOf(token, provider));
        } catch (error) {
          // Programs may ask in vain; what they cannot do without fails them.
          throw new Error((error as Error).message);
        }
      },
    },
    PROJECT,
    stack,
    false,
    "organization",
  );
  watch();
  try {
    await build();
    await pulumi.runtime.disconnect();
  } catch (error) {
    throw refusals.length > 0 ? new Error(refusals.join("\n")) : error;
  }
  if (refusals.length > 0) throw new Error(refusals.join("\n"));
  return [...resources.values()];

  function placeOf(type: string, provider: string | undefined): Scope {
    const scope = scopes.get((provider ?? "").replace(/::[^:]*$/, ""));
    if (scope) return scope;
    // The project's own provider and random are the default ones, and ask no account.
    if (/^(random|openclaw):/.test(type))
      return scopeOf(type.split(":")[0] as string, {}, SETTINGS);
    throw new Error(`${type} has no explicit provider`);
  }

  function note(
    urn: string,
    type: string,
    id: string,
    inputs: Props,
    custom: boolean,
    provider?: string,
  ): void {
    resources.set(urn, {
      ...resources.get(urn),
      urn,
      type,
      id,
      inputs,
      custom,
      provider,
      aliases: [],
    });
  }

  /** The request has what `newResource` is not told: parent, dependencies, options. */
  function watch(): void {
    const monitor = pulumi.runtime.getMonitor() as any;
    // The runtime's own mock leaves out all but the nearest parent.
    monitor.newUrn = urnBelow;
    const register = monitor.registerResource.bind(monitor);
    monitor.registerResource = (request: any, callback: any) => {
      parents.set(`${request.getType()} ${request.getName()}`, request.getParent());
      register(request, (error: unknown, response: any) => {
        const made = response && resources.get(response.getUrn());
        if (made) {
          resources.set(made.urn, {
            ...made,
            parent: request.getParent(),
            dependencies: request.getDependenciesList(),
            propertyDependencies: propertiesOf(request),
            deletedWith: request.getDeletedwith() || undefined,
            aliases: aliasesOf(request, made.urn, request.getParent()),
          });
        }
        callback(error, response);
      });
    };
  }
}

/** What each input was made of. */
function propertiesOf(request: any): Record<string, string[]> {
  const map = request.getPropertydependenciesMap();
  return Object.fromEntries(
    map.toArray().map(([key]: [string]) => [key, map.get(key).getUrnsList()]),
  );
}

/** Former URNs, as a resource's options name them. */
function aliasesOf(request: any, urn: string, parent: string): string[] {
  const [head, , , name] = urn.split("::") as [string, string, string, string];
  const own = urn.split("::")[2]?.split("$").at(-1) as string;
  const specs: string[] = request.getAliasesList().map((alias: any) => {
    const spec = alias.getSpec();
    if (!spec) return alias.getUrn();
    const above = spec.getNoparent() ? "" : spec.getParenturn() || parent;
    const chain = above.split("::")[2] ?? "";
    const type = spec.getType() || own;
    const types = chain === "" || chain === "pulumi:pulumi:Stack" ? type : `${chain}$${type}`;
    return `${head}::${spec.getProject() || PROJECT}::${types}::${spec.getName() || name}`;
  });
  return [...specs, ...request.getAliasurnsList()];
}

/** Random digits of a made-up name: the same in each run. */
function seedOf(urn: string): string {
  let hash = 7;
  for (const letter of urn) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
