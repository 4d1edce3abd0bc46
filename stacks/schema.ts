import { z } from "zod";
import { bare, typeName, walkSettings } from "./schema-walk.ts";
import { settingsSchema } from "./settings-schema.ts";

/** Where the editor schema is kept, from the project's root. */
export const SCHEMA_FILE = "schema/settings.schema.json";
/** Where the generated page is kept, from the project's root. */
export const DOCS_FILE = "docs/settings.md";

const SEALED = {
  type: "object",
  properties: { secure: { type: "string" } },
  required: ["secure"],
  additionalProperties: false,
  description: "A Pulumi secret, as `pulumi config set --secret` writes it.",
};

/** JSON schema of Pulumi.<stack>.yaml for editors, from the same source as the checks. */
export function editorSchema(): Record<string, unknown> {
  const settings = z.toJSONSchema(settingsSchema, {
    io: "input",
    target: "draft-7",
    override: ({ jsonSchema, zodSchema }) => {
      const kind = zodSchema._zod.def.type;
      if (kind !== "string") return;
      const plain = { ...jsonSchema };
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key as keyof typeof jsonSchema];
      jsonSchema.anyOf = [plain, SEALED as typeof plain];
    },
  }) as { properties: Record<string, unknown> };
  const properties = Object.fromEntries(
    Object.entries(settings.properties).map(([name, schema]) => [`openclaw-fleet:${name}`, schema]),
  );
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Stack settings of openclaw-fleet",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties,
        patternProperties: { "^(?!openclaw-fleet:)": {} },
        additionalProperties: false,
      },
    },
  };
}

/** One setting for people. */
export interface SettingDoc {
  /** `agents[].replicas`. */
  readonly path: string;
  readonly type: string;
  readonly description: string;
  /** As it would be written; undefined when there is none. */
  readonly default: string | undefined;
  readonly required: boolean;
}

/** Every setting at every depth, in the order of the schema. `fleet docs` prints these. */
export function settingDocs(): SettingDoc[] {
  return [...walkSettings(settingsSchema)].map(({ path, schema }) => {
    const def = schema.def as { type: string; defaultValue?: unknown };
    const hasDefault = def.type === "default" || def.type === "prefault";
    return {
      path,
      type: typeName(schema),
      description: schema.description ?? bare(schema).description ?? "",
      default: hasDefault ? JSON.stringify(def.defaultValue) : undefined,
      required: !hasDefault && def.type !== "optional",
    };
  });
}

/** The settings at or below `name`; empty when it names none. `agents[0].name` finds `agents[].name`. */
export function docsFor(name: string): SettingDoc[] {
  const wanted = name.replace(/^openclaw-fleet:/, "").replaceAll(/\[\d*\]/g, "[]");
  return settingDocs().filter(
    ({ path }) => path === wanted || path.startsWith(`${wanted}.`) || path.startsWith(`${wanted}[`),
  );
}

/** The generated page docs/settings.md. */
export function settingsPage(): string {
  const rows = settingDocs().map((doc) => {
    const value =
      doc.default === undefined ? (doc.required ? "required" : "–") : `\`${doc.default}\``;
    return `| \`${doc.path}\` | ${doc.type.replaceAll("|", "\\|")} | ${value} | ${doc.description} |`;
  });
  return `# Settings

Written as \`openclaw-fleet:<setting>\` below \`config\` in \`Pulumi.<stack>.yaml\`, or set with
\`./fleet pulumi config set --path\`. This page and \`${SCHEMA_FILE}\` are made from
\`stacks/settings-schema.ts\` by \`node stacks/generate.ts\`; a test holds them to it.

| setting | kind | default | meaning |
|---|---|---|---|
${rows.join("\n")}

Keys are never written plain: \`env:NAME\` takes a value from the environment of the command, and
\`./fleet pulumi config set --secret --path 'openclaw-fleet:models.providers.NAME.apiKey'\` stores it
encrypted in the stack's file.
`;
}
