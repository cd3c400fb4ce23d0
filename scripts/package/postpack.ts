/** After `npm pack`: the folder is as it was. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { restoreManifest } from './manifest.ts';

restoreManifest(process.cwd());
rmSync(join(process.cwd(), 'LICENSE'), { force: true });
