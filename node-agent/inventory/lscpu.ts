// `lscpu -J` as the machine's processors.
import { create } from "@bufbuild/protobuf";
import { type Cpu, CpuSchema } from "../../proto/gen/muster/v1/inventory_pb.ts";

type Field = { field: string; data: string | null; children?: Field[] };

export function parseLscpu(text: string): Cpu {
  const { lscpu } = JSON.parse(text) as { lscpu: Field[] };
  const values = new Map<string, string>();
  // Newer versions group the fields.
  const visit = (fields: Field[]) => {
    for (const { field, data, children } of fields) {
      if (data !== null && data !== undefined) values.set(field, data);
      visit(children ?? []);
    }
  };
  visit(lscpu);
  const count = (field: string) => Number.parseInt(values.get(field) ?? "", 10) || 0;
  const sockets = count("Socket(s):");
  return create(CpuSchema, {
    model: values.get("Model name:") ?? "",
    sockets,
    cores: count("Core(s) per socket:") * sockets,
    threads: count("CPU(s):"),
    architecture: values.get("Architecture:") ?? "",
  });
}
