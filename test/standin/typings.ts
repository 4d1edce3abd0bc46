import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** What a package's own types say of a resource: the stand-in learns required inputs and outputs from them. */
export interface Typing {
  /** Inputs by name; true: required. */
  readonly inputs: ReadonlyMap<string, boolean>;
  readonly outputs: ReadonlyMap<string, OutputTyping>;
}

export interface OutputTyping {
  /** As written, e.g. `string`, `outputs.eks.ClusterVpcConfig`. */
  readonly text: string;
  /** Stays unset when no input gives it. */
  readonly optional: boolean;
}

const require = createRequire(import.meta.url);
const cache = new Map<string, Typing>();

/** Typing of `aws:ec2/vpc:Vpc` or `random:index/randomPassword:RandomPassword`; null when the package has no such type. */
export function typingOf(type: string): Typing | null {
  const known = cache.get(type);
  if (known) return known;
  // Kubernetes's outputs are its inputs, and the project's own provider declares none.
  if (!/^(aws|random):/.test(type)) return null;
  const [pack, member, name] = type.split(":") as [string, string, string];
  const root = dirname(require.resolve(`@pulumi/${pack}/package.json`));
  const file = join(root, `${member.replace(/^index\//, "")}.d.ts`);
  if (!existsSync(file)) return null;
  const typing = parseTyping(readFileSync(file, "utf8"), name);
  cache.set(type, typing);
  return typing;
}

/** Reads a generated declaration file: one class, its State and its Args. */
export function parseTyping(text: string, name: string): Typing {
  const bare = text.replace(/\/\*\*[\s\S]*?\*\//g, "");
  const body = (start: RegExp) => {
    const begin = bare.search(start);
    return begin < 0 ? "" : bare.slice(begin, bare.indexOf("\n}", begin));
  };
  const outputs = new Map<string, OutputTyping>();
  const declared = body(new RegExp(`^export declare class ${name} `, "m"));
  for (const [, key, value] of declared.matchAll(
    /^ {4}readonly (\w+): pulumi\.Output<([\s\S]*?)>;$/gm,
  )) {
    const optional = /\| undefined$/.test(value as string);
    outputs.set(key as string, { text: (value as string).replace(/ \| undefined$/, ""), optional });
  }
  const inputs = new Map<string, boolean>();
  const args = body(new RegExp(`^export interface ${name}Args `, "m"));
  for (const [, key, mark] of args.matchAll(/^ {4}(\w+)(\??): /gm)) {
    inputs.set(key as string, mark === "");
  }
  return { inputs, outputs };
}

/** A value of a type for which no rule says one. */
export function emptyOf({ text }: OutputTyping): unknown {
  if (text === "boolean") return false;
  if (text === "number") return 0;
  if (text.endsWith("[]")) return [];
  if (text.startsWith("{") || text.startsWith("outputs.")) return {};
  return "";
}
