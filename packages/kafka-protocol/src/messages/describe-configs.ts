import { defineApi } from '../api.ts';
import { array, bool, int8, int16, int32, string, structs } from '../schema.ts';

export const describeConfigs = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  versions: '0-4',
  flexible: '4+',
  request: {
    resources: structs({
      /** 2 topic, 4 broker. */
      resourceType: int8(),
      resourceName: string(),
      /** Null: all. */
      configurationKeys: array(string(), { nullable: '0+', default: null }),
    }),
    includeSynonyms: bool({ versions: '1+', default: false }),
    includeDocumentation: bool({ versions: '3+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: structs({
      errorCode: int16(),
      errorMessage: string({ nullable: '0+', default: null }),
      resourceType: int8(),
      resourceName: string(),
      configs: structs({
        name: string(),
        value: string({ nullable: '0+' }),
        readOnly: bool(),
        isDefault: bool({ versions: '0', default: false }),
        configSource: int8({ versions: '1+', default: -1 }),
        isSensitive: bool(),
        synonyms: structs(
          { name: string(), value: string({ nullable: '0+' }), source: int8() },
          { versions: '1+', default: [] },
        ),
        configType: int8({ versions: '3+', default: 0 }),
        documentation: string({ versions: '3+', nullable: '3+', default: null }),
      }),
    }),
  },
});
