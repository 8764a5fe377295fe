import { defineConfig } from "vitest/config";

// unit: anywhere, no privileges. agent: loop devices, needs root. rack: QEMU machines, needs root.
const timeout = { testTimeout: 20_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{proto,daemon,node-agent,imagebuild,tui,test}/**/*.test.{ts,tsx}"],
          exclude: ["test/rack/**", "test/agent/**"],
          ...timeout,
        },
      },
      {
        test: {
          name: "agent",
          include: ["test/agent/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "rack",
          include: ["test/rack/**/*.test.ts"],
          testTimeout: 1_800_000,
          hookTimeout: 1_200_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
