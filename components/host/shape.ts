import { z } from "zod";
import { hasWrongMark } from "./secrets.ts";

/**
 * The shape of a host's plan, checked where a plan leaves the program: what a host cannot carry out is
 * refused before any host is touched.
 */

const NAME = /^[a-z_][a-z0-9_-]{0,31}$/;
const UNIT = /^[A-Za-z0-9:_.\\@-]+\.(service|timer|socket|path|target|slice|mount)$/;

const path = z
  .string()
  .refine((text) => /^(\/[^/\0]+){2,}$/.test(text) && !/\/\.{1,2}(\/|$)/.test(text), {
    error: (issue) =>
      `${String(issue.input)} is no absolute path below a folder of the system, without . and ..`,
  });
const account = z.string().regex(NAME, "is no name of a user or group");
const mode = z.string().regex(/^[0-7]{4}$/, "is no octal mode of four digits, such as 0750");
const argv = z.array(z.string()).min(1);
const noSecret = (text: string) => !text.includes("{{secret");

const user = z.strictObject({
  home: z.string().startsWith("/"),
  groups: z.array(account).optional(),
  shell: z.string().startsWith("/").optional(),
});

const directory = z.strictObject({
  owner: account,
  group: account,
  mode,
  data: z.boolean().optional(),
});

const file = z.strictObject({
  content: z.string().refine((text) => !hasWrongMark(text), {
    error: "has a mark of a secret that is none: {{secret NAME}}, of letters, digits and ._-[]",
  }),
  owner: account,
  group: account,
  mode,
  format: z.enum(["text", "json"]).optional(),
  rewritten: z.boolean().optional(),
  verify: argv.optional(),
});

// Everybody may read a unit, and `systemctl show` shows it.
const unitText = z.string().refine(noSecret, { error: "holds a secret; put it into a file" });

const unit = z.strictObject({
  content: unitText.optional(),
  dropIn: unitText.optional(),
  state: z.enum(["enabled", "disabled", "triggered"]),
  order: z.number(),
  restartOn: z.array(z.string()).optional(),
  reloadOn: z.array(z.string()).optional(),
  verify: argv.optional(),
  leave: argv.optional(),
  drains: z.boolean().optional(),
});

const check = z.strictObject({
  argv,
  deadlineSeconds: z.number().positive(),
  needsFleet: z.boolean().optional(),
  remedy: z.string().min(1),
});

/** A plan as {@link HostPlan} says it. */
export const hostPlan = z
  .strictObject({
    packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/, "is no name of a package")),
    users: z.record(account, user),
    directories: z.record(path, directory),
    files: z.record(path, file),
    units: z.record(z.string().regex(UNIT, "is no name of a unit"), unit),
    checks: z.record(z.string().min(1), check),
  })
  .superRefine((plan, context) => {
    for (const [name, { restartOn = [], reloadOn = [] }] of Object.entries(plan.units)) {
      for (const each of [...restartOn, ...reloadOn]) {
        if (plan.files[each]) continue;
        context.addIssue({
          code: "custom",
          path: ["units", name],
          message: `follows ${each}, which the plan has no file for`,
        });
      }
    }
    for (const each of Object.keys(plan.files)) {
      if (!plan.directories[each]) continue;
      const message = "is a file and a directory at once";
      context.addIssue({ code: "custom", path: ["files", each], message });
    }
  });
