/** The part of Standard Schema (standardschema.dev, version 1) that is needed here; the libraries' schemas have this shape. */
export interface StandardSchema<T> {
  readonly '~standard': {
    /** The value as the schema makes it, or what is wrong with it. */
    readonly validate: (value: unknown) => SchemaResult<T> | Promise<SchemaResult<T>>;
  };
}

type SchemaResult<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: SchemaPath | undefined }[] };
type SchemaPath = readonly (PropertyKey | { readonly key: PropertyKey })[];

/** What the schema makes of the value; throws with all of its complaints. A schema that must be awaited cannot be used: records keep their order. */
export function validated<T>(schema: StandardSchema<T>, value: unknown): T {
  const result = schema['~standard'].validate(value);
  if (result instanceof Promise) throw new TypeError('the schema is asynchronous; one that answers at once is needed');
  if (result.issues === undefined) return result.value;
  const complaints = result.issues.map(({ path = [], message }) => {
    const where = path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.');
    return where === '' ? message : `${where}: ${message}`;
  });
  throw new TypeError(`not as the schema wants it: ${complaints.join('; ')}`);
}
