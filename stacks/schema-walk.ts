import type { z } from "zod";

/** What walking a zod schema needs of its definition. */
interface Def {
  type: string;
  innerType?: Schema;
  element?: Schema;
  valueType?: Schema;
  options?: Schema[];
  shape?: Record<string, Schema>;
}
type Schema = z.ZodType;

function definition(schema: Schema): Def {
  return schema.def as unknown as Def;
}

/** The schema without `optional` and `default` around it. */
export function bare(schema: Schema): Schema {
  const { innerType } = definition(schema);
  return innerType ? bare(innerType) : schema;
}

/** Schemas one step below: several where a setting can have several forms. */
function below(schema: Schema, key: PropertyKey): Schema[] {
  const def = definition(bare(schema));
  if (def.type === "union") return (def.options ?? []).flatMap((option) => below(option, key));
  if (def.type === "array" && def.element) return [def.element];
  if (def.type === "record" && def.valueType) return [def.valueType];
  const field = def.shape?.[String(key)];
  return field ? [field] : [];
}

/** Names that may stand at `path`, for "did you mean". */
export function knownKeys(root: Schema, path: readonly PropertyKey[]): string[] {
  const at = schemasAt(root, path).map(bare);
  return at.flatMap((schema) => {
    const def = definition(schema);
    const forms = def.type === "union" ? (def.options ?? []).map(bare) : [schema];
    return forms.flatMap((form) => Object.keys(definition(form).shape ?? {}));
  });
}

/** Every schema that could stand at `path`. */
export function schemasAt(root: Schema, path: readonly PropertyKey[]): Schema[] {
  return path.reduce<Schema[]>((at, key) => at.flatMap((schema) => below(schema, key)), [root]);
}

/** `string`, `integer`, `one of a, b`, … as a person would say it. */
export function typeName(schema: Schema): string {
  const inner = bare(schema);
  const def = definition(inner) as Def & {
    entries?: Record<string, string>;
    values?: unknown[];
    check?: string;
    format?: string;
  };
  switch (def.type) {
    case "enum":
      return Object.values(def.entries ?? {}).join(" | ");
    case "literal":
      return (def.values ?? []).join(" | ");
    case "union":
      return (def.options ?? []).map(typeName).join(" | ");
    case "array":
      return def.element ? `list of ${typeName(def.element)}` : "list";
    case "record":
      return def.valueType && definition(bare(def.valueType)).type !== "unknown"
        ? `map to ${typeName(def.valueType)}`
        : "map";
    case "number":
      return def.format === "safeint" ? "integer" : "number";
    default:
      return def.type;
  }
}

/** Every setting below `schema`, depth first: `agents[].cron[].name`. */
export function* walkSettings(
  schema: Schema,
  prefix = "",
): Generator<{ path: string; schema: Schema }> {
  const def = definition(bare(schema));
  const forms = def.type === "union" ? (def.options ?? []) : [bare(schema)];
  for (const form of forms) {
    const inner = definition(bare(form));
    if (inner.shape) {
      for (const [key, field] of Object.entries(inner.shape)) {
        const path = prefix ? `${prefix}.${key}` : key;
        yield { path, schema: field };
        yield* walkSettings(field, path);
      }
    } else if (inner.element) yield* walkSettings(inner.element, `${prefix}[]`);
    else if (inner.type === "record" && inner.valueType) {
      yield* walkSettings(inner.valueType, `${prefix}.<name>`);
    }
  }
}
