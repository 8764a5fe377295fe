// Lists come in pages; verbs want all of them.

type Page = { nextPageToken: string };
type PageRequest = { pageSize: number; pageToken: string; filter: string };

const pageSize = 1000;

/** Every item of every page, or the first `limit` of them. */
export async function allPages<P extends Page, T>(
  list: (request: PageRequest) => Promise<P>,
  items: (page: P) => T[],
  { filter = "", limit = Number.POSITIVE_INFINITY }: { filter?: string; limit?: number } = {},
): Promise<T[]> {
  const all: T[] = [];
  let pageToken = "";
  do {
    const page = await list({ pageSize: Math.min(pageSize, limit - all.length), pageToken, filter });
    all.push(...items(page));
    pageToken = page.nextPageToken;
  } while (pageToken && all.length < limit);
  return all.slice(0, limit);
}

/** `node = "n1" AND task = "image"`, of what is given. */
export function filterOf(fields: Record<string, string | undefined>): string {
  return Object.entries(fields)
    .filter(([, value]) => value)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
    .join(" AND ");
}
