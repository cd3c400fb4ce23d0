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

/**
 * Share of the time that is spent in `part` functions and what they call, of the time in `whole` functions and what they call: from the profiles (`--cpu-prof`) of a
 * directory. The first half of that time warms up and is not counted.
 */
export function shareOf(directory: string, part: RegExp, whole: RegExp): number {
  let inPart = 0;
  let inWhole = 0;
  for (const name of readdirSync(directory)) {
    const profile = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Profile;
    const places = placesOf(profile, part, whole);
    const samples = profile.samples
      .map((id, i) => ({ place: places.get(id), time: profile.timeDeltas[i] as number }))
      .filter(({ place }) => place !== undefined);
    const total = samples.reduce((sum, { time }) => sum + time, 0);
    let before = 0;
    for (const { place, time } of samples) {
      before += time;
      if (before < total / 2) continue;
      inWhole += time;
      if (place === 'part') inPart += time;
    }
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
