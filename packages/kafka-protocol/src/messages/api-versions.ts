import { defineApi } from '../api.ts';
import { bool, int16, int32, int64, string, structs } from '../schema.ts';

export const apiVersions = defineApi({
  key: 18,
  name: 'ApiVersions',
  versions: '0-4',
  flexible: '3+',
  request: {
    clientSoftwareName: string({ versions: '3+', default: '' }),
    clientSoftwareVersion: string({ versions: '3+', default: '' }),
  },
  response: {
    errorCode: int16(),
    apiKeys: structs({ apiKey: int16(), minVersion: int16(), maxVersion: int16() }),
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    // In versions below 4 a feature whose minimum is 0 must not be told (KAFKA-17011).
    supportedFeatures: structs(
      { name: string(), minVersion: int16(), maxVersion: int16() },
      { versions: '3+', tag: 0, default: [] },
    ),
    finalizedFeaturesEpoch: int64({ versions: '3+', tag: 1, default: -1 }),
    finalizedFeatures: structs(
      { name: string(), maxVersionLevel: int16(), minVersionLevel: int16() },
      { versions: '3+', tag: 2, default: [] },
    ),
    zkMigrationReady: bool({ versions: '3+', tag: 3, default: false }),
  },
});
