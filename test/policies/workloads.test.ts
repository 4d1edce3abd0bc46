import { describe, expect, test } from "vitest";
import { CHARTS } from "../../components/charts.ts";
import { CHART_EXCEPTIONS } from "../../policies/named-exceptions.ts";
import type { Policy } from "../../policies/policy.ts";
import { TYPE } from "../../policies/resources.ts";
import * as rules from "../../policies/workloads.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { shard } from "./runtime.ts";
import { judge, type Made, withUnknown, withValue } from "./support.ts";
import { contexts, eks, ONE, RESOURCES, STACKS } from "./workloads-cases.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test("pods of kube-system are AWS's and Kubernetes' own", () => {
  const own = withValue(
    withValue(shard(), "metadata.namespace", "kube-system"),
    `${ONE}.image`,
    "x",
  );
  expect(judge(rules.imageDigest, own).found).toEqual([]);
});

test("a CronJob's pod is found where it is", () => {
  const pod = shard().inputs.spec.template;
  const job = {
    ...shard(),
    type: "kubernetes:batch/v1:CronJob",
    inputs: { metadata: {}, spec: { jobTemplate: { spec: { template: pod } } } },
  };
  expect(judge(rules.imageDigest, job).found).toEqual([]);
  const path = "spec.jobTemplate.spec.template.spec.containers.0.image";
  expect(judge(rules.imageDigest, withUnknown(job, path)).found).toHaveLength(1);
});

/**
 * A Release hides its objects from policies: what a chart is told is judged here, by the same words.
 */
describe("values of charts", () => {
  const releases = async () => (await eks()).filter(({ type }) => type === TYPE.release);

  test("ask for nothing that pods may not have, but in the charts that are named with a reason", async () => {
    for (const { inputs } of await releases()) {
      if (CHART_EXCEPTIONS[inputs.chart]) continue;
      const text = JSON.stringify(inputs.values ?? {});
      expect([inputs.chart, text]).toEqual([
        inputs.chart,
        expect.not.stringMatching(
          /"(hostNetwork|hostPID|hostIPC|privileged|allowPrivilegeEscalation)":true/,
        ),
      ]);
      expect(text).not.toMatch(/"hostPath":\{/);
      for (const { path, fields } of contexts(inputs.values)) {
        expect([inputs.chart, path, fields.runAsNonRoot ?? true]).toEqual([
          inputs.chart,
          path,
          true,
        ]);
        expect([inputs.chart, path, fields.runAsUser === 0]).toEqual([inputs.chart, path, false]);
      }
    }
  });

  test("limit memory", async () => {
    for (const { inputs } of await releases()) {
      const crdsOnly = /crd/.test(inputs.chart);
      const text = JSON.stringify(inputs.values ?? {});
      if (!crdsOnly)
        expect([inputs.chart, text]).toEqual([
          inputs.chart,
          expect.stringMatching(/"limits":\{[^}]*"memory"/),
        ]);
    }
  });

  test("every named chart is one that is installed", () => {
    const known: string[] = Object.values(CHARTS).map(({ chart }) => chart);
    for (const chart of Object.keys(CHART_EXCEPTIONS)) expect(known).toContain(chart);
  });
});

test("policies of workloads leave Releases to that", async () => {
  const [release] = (await eks()).filter(({ type }) => type === TYPE.release);
  for (const policy of rules.WORKLOAD as Policy[])
    expect(judge(policy, release as Made).found).toEqual([]);
});
