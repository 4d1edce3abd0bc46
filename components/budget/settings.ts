import { z } from "zod";
import { MAX_EMAILS } from "./catalog.ts";

export const budgetSettings = z.strictObject({
  emails: z
    .array(z.email())
    .max(MAX_EMAILS)
    .default([])
    .describe(
      `Addresses told when the month is forecast to reach 80 % of budgetMonthlyUsd and when all of it is spent, at most ${MAX_EMAILS}.`,
    ),
  snsTopicArn: z
    .string()
    .regex(/^arn:[\w-]+:sns:[a-z0-9-]+:\d{12}:[\w-]+$/, "the ARN of a topic")
    .optional()
    .describe("Topic told too; budgets.amazonaws.com must be allowed to publish to it."),
  tag: z
    .strictObject({
      key: z.string().min(1).max(128).describe("Key of a cost-allocation tag that billing knows."),
      value: z.string().max(256).describe("Its value on what this fleet made."),
    })
    .optional()
    .describe(
      "Count only what has this tag; the whole account when left out. Until billing has activated and seen the tag such a budget shows 0 dollars.",
    ),
});

export type BudgetSettings = z.output<typeof budgetSettings>;
