import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from "yaml";

/** `Pulumi.<stack>.yaml` as a person wrote it: where each setting stands, and which are encrypted. */
export interface StackFile {
  /** `file:line:column` of a setting, or of the nearest part of it that is written. */
  place(path: readonly PropertyKey[]): string | undefined;
  /** Paths (first key without its namespace) written as `secure: …`. */
  readonly secure: readonly (readonly PropertyKey[])[];
}

const NAMESPACE = "openclaw-fleet:";

/** Reads the file; undefined when there is none or it cannot be parsed (Pulumi then says so itself). */
export function readStackFile(path: string): StackFile | undefined {
  if (!existsSync(path)) return undefined;
  return parseStackFile(readFileSync(path, "utf8"), basename(path));
}

/** The same from text; `name` is shown in places. */
export function parseStackFile(text: string, name: string): StackFile | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) return undefined;
  return {
    place(path) {
      const offset = offsetOf(document, path);
      if (offset === undefined) return undefined;
      const { line, col } = lines.linePos(offset);
      return `${name}:${line}:${col}`;
    },
    secure: securePaths(document),
  };
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  let at: unknown = document.get("config", true);
  let offset: number | undefined;
  for (const [depth, key] of path.entries()) {
    const wanted = depth === 0 ? `${NAMESPACE}${String(key)}` : key;
    if (isMap(at)) {
      const pair = at.items.find((item) => isScalar(item.key) && item.key.value === wanted);
      if (!pair || !isNode(pair.key)) return offset;
      offset = pair.key.range?.[0] ?? offset;
      at = pair.value;
    } else if (at && typeof at === "object" && "items" in at && Array.isArray(at.items)) {
      const item: unknown = at.items[Number(key)];
      if (!isNode(item)) return offset;
      offset = item.range?.[0] ?? offset;
      at = item;
    } else return offset;
  }
  return offset;
}

function securePaths(document: Document): PropertyKey[][] {
  const found: PropertyKey[][] = [];
  const config = document.get("config", true);
  const visit = (node: unknown, path: PropertyKey[]) => {
    if (isMap(node)) {
      const [first] = node.items;
      const sealed = isPair(first) && isScalar(first.key) && first.key.value === "secure";
      if (node.items.length === 1 && sealed && path.length > 0) found.push(path);
      else {
        for (const item of node.items) {
          const key = isScalar(item.key) ? String(item.key.value) : "";
          const top = path.length === 0 && key.startsWith(NAMESPACE);
          visit(item.value, [...path, top ? key.slice(NAMESPACE.length) : key]);
        }
      }
    } else if (node && typeof node === "object" && "items" in node && Array.isArray(node.items)) {
      node.items.forEach((item, i) => {
        visit(item, [...path, i]);
      });
    }
  };
  visit(config, []);
  return found;
}
