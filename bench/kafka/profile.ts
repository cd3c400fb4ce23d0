import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Share of the time that is spent under `root`, of the time under `within` functions: from the profiles (`--cpu-prof`) of a directory. */
export function shareOf(directory: string, part: RegExp, whole: RegExp): number {
  let inPart = 0;
  let inWhole = 0;
  for (const name of readdirSync(directory)) {
    const profile = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Profile;
    const places = placesOf(profile, part, whole);
    profile.samples.forEach((id, i) => {
      const place = places.get(id);
      if (place === undefined) return;
      inWhole += profile.timeDeltas[i] as number;
      if (place === 'part') inPart += profile.timeDeltas[i] as number;
    });
  }
  return inPart / inWhole;
}

/** Which nodes of the call tree are below a function of `whole`, and which of them below one of `part` or are it. */
function placesOf({ nodes }: Profile, part: RegExp, whole: RegExp): ReadonlyMap<number, 'part' | 'whole'> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const places = new Map<number, 'part' | 'whole'>();
  const visit = (id: number, inherited: 'part' | 'whole' | undefined): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const name = `${node.callFrame.url} ${node.callFrame.functionName}`;
    const place =
      inherited === 'part' || part.test(name) ? 'part' : (inherited ?? (whole.test(name) ? 'whole' : undefined));
    if (place !== undefined) places.set(id, place);
    for (const child of node.children ?? []) visit(child, place);
  };
  const isChild = new Set(nodes.flatMap(({ children }) => children ?? []));
  for (const { id } of nodes) if (!isChild.has(id)) visit(id, undefined);
  return places;
}
