// A process that commits until it is killed, and says after each commit which revision it has stored.
import { event, node, openStore } from "./records.ts";

await using store = await openStore(process.argv[2] ?? "");
for (let round = 1; ; round++) {
  const numbered = [];
  let revision = store.revision;
  // Decisions of one batch; both nodes of a revision say the same, and so does the first node of every batch.
  const decisions = 1 + ((round * 7) % 30);
  const last = revision + BigInt(decisions);
  for (let i = 0; i < decisions; i++) {
    revision++;
    const text = `${revision} of ${last}`;
    const changes = [node(`a${revision % 50n}`, text), node(`b${revision % 50n}`, text), event(text)];
    numbered.push(...store.number(changes, revision));
  }
  await store.commit(numbered);
  process.stdout.write(`${store.revision}\n`);
}
