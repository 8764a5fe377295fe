// Ansible, and Ansible with mitogen, doing what agents are measured with: Debian's ansible-core and ansible-mitogen. All
// hosts are this machine, so that no side pays for ssh.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type Cost, timed } from "./timed.ts";

export type Playbook = { hosts: number; tasks: number };

const forks = 50;
const mitogen = {
  ANSIBLE_STRATEGY: "mitogen_linear",
  ANSIBLE_STRATEGY_PLUGINS: "/usr/lib/python3/dist-packages/ansible_mitogen/plugins/strategy",
};

export function ansible(directory: string, playbook: Playbook): Promise<Cost> {
  return run(directory, playbook, {});
}

export function ansibleWithMitogen(directory: string, playbook: Playbook): Promise<Cost> {
  return run(directory, playbook, mitogen);
}

async function run(
  directory: string,
  { hosts, tasks }: Playbook,
  env: Record<string, string>,
): Promise<Cost> {
  const inventory = path.join(directory, "hosts");
  const playbook = path.join(directory, "playbook.yml");
  const local = "ansible_connection=local ansible_python_interpreter=/usr/bin/python3";
  writeFileSync(inventory, Array.from({ length: hosts }, (_, i) => `h${i} ${local}\n`).join(""));
  const task = "    - command: /bin/true\n";
  writeFileSync(playbook, `- hosts: all\n  gather_facts: false\n  tasks:\n${task.repeat(tasks)}`);
  const cost = await timed(`ansible-playbook -i ${inventory} ${playbook}`, {
    ANSIBLE_FORKS: `${forks}`,
    ANSIBLE_LOCALHOST_WARNING: "false",
    HOME: directory,
    ...env,
  });
  const done = cost.stdout.match(new RegExp(`ok=${tasks} `, "g"))?.length ?? 0;
  if (done !== hosts) throw new Error(`ansible did ${done} of ${hosts} hosts:\n${cost.stdout.slice(-1000)}`);
  return cost;
}
