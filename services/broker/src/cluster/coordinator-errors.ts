import { CoordinatorError, type CoordinatorErrorCode } from '@naru/coordinator-client';

export function isCoordinatorError(
  error: unknown,
  ...codes: readonly CoordinatorErrorCode[]
): error is CoordinatorError {
  return error instanceof CoordinatorError && (codes.length === 0 || codes.includes(error.code));
}
